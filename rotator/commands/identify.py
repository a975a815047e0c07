"""`rotator identify`: which key a string is."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from rotator.commands.given import given_key, no_key_as_argument
from rotator.commands.names import load_with
from rotator.commands.options import Common, common_options, heed_signals, json_option
from rotator.commands.output import CONVERGED, FAILED, Output
from rotator.commands.screen import waiting
from rotator.passes.look_up import look_up
from rotator.passes.stopping import Stopping
from rotator.show.console import console_for_stdout
from rotator.show.identified import identified_to_json, render
from rotator.show.output import Kind
from rotator.wiring import open_account


@click.command("identify")
@no_key_as_argument
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, as_json: bool) -> None:
    """Say which key a string is: read from standard input, or asked for without showing it.

    \b
    Example: of a plaintext, a masked preview or a key id
      rotator identify < found.txt
      rotator identify

    Whose it is, whether it works (one call with it), how old it is, when it goes by itself, and the command that
    revokes it. Changes nothing, and never repeats what it was given.

    Exit codes: 0 it is dead; 1 it is alive, or that is not known; 2 it is no key, or wrong usage or config;
    3 a server could not be reached or refused us.
    """
    output = common.begin(as_json=as_json, command="identify", asked=True)
    heed_signals()
    sys.exit(run_identify(common.config_path, dict(os.environ), output))


def run_identify(config_path: Path | None, environ: Mapping[str, str], output: Output) -> int:
    """Print which key was given; return the exit code."""

    def go() -> int:
        config = load_with(frozenset(), config_path, environ)
        given = given_key()
        with open_account(config, environ, Stopping()) as account, waiting("looking"):
            found, _ = look_up(account, given)
        output.show(
            Kind.IDENTIFIED, lambda: identified_to_json(found), lambda: render(found, console_for_stdout())
        )
        return CONVERGED if found.dead else FAILED

    return output.guard(go)
