"""The program's entry."""


def main() -> None:
    from rotator.cli import cli

    cli(prog_name="rotator")


if __name__ == "__main__":
    main()
