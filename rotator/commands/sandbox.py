"""`rotator sandbox`: the story, or two servers to try commands on."""

import sys

import click

from rotator.sandbox.story import run


@click.command("sandbox")
@click.option("--keep", is_flag=True, help="Leave both servers up until Ctrl-C, and say what to try.")
def command(*, keep: bool) -> None:
    """Try it all on this machine: a gateway that keeps the contract, and a real Vault-API server.

    \b
    Example: two rotations; or two servers to try things on
      rotator sandbox
      rotator sandbox --keep
    """
    sys.exit(run(keep=keep))
