"""The program's entry."""

import signal

from rotator import SIGNALS


def main() -> None:
    """Run the command line and exit with its code. SIGNALS are blocked until a command takes them."""
    # Process 1 of a container is not sent a signal that nobody handles yet. One that is blocked waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    from rotator.commands.root import cli

    cli(prog_name="rotator")


if __name__ == "__main__":
    main()
