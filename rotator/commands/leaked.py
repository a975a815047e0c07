"""`rotator leaked`: a string was found where it must not be. Say which key it is, then replace and revoke it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from rotator.commands.given import given_key, no_key_as_argument
from rotator.commands.leak import contain, exposed_in
from rotator.commands.names import load_with
from rotator.commands.options import Common, common_options, heed_signals, json_option
from rotator.commands.output import CONVERGED, FAILED, Output, can_ask_terminal
from rotator.commands.screen import waiting
from rotator.passes.look_up import look_up
from rotator.passes.stopping import Stopping
from rotator.rules.identify import Identified
from rotator.rules.shard import WHOLE
from rotator.show.console import console_for_stdout
from rotator.show.identified import identified_to_json, render
from rotator.show.output import Kind
from rotator.wiring import open_account

_NOT_TOUCHED: Final = (
    "nothing was changed: leaked replaces only a key that is certain to be a managed key's\n"
)


@click.command("leaked")
@no_key_as_argument
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Replace and revoke the managed key that a string belongs to.

    \b
    Example: see what it is and what would go, then do it
      rotator leaked --dry-run < found.txt
      rotator leaked < found.txt

    It is identify, then --rotate-now --revoke-old-now. Asks at the terminal. A key of no managed key is not
    touched: it says what revokes that.

    Exit codes: 0 all of it is dead; 1 it may live; 2 it is no key, not confirmed, or wrong usage or config;
    3 a server could not be reached or refused us.
    """
    if not (yes or dry_run or can_ask_terminal()):
        raise click.UsageError("it asks first, and nobody is there to answer: add --yes")
    output = common.begin(as_json=as_json, command="leaked", asked=True)
    heed_signals()
    output = replace(output, asks_terminal=True)
    path, environ = common.config_path, dict(os.environ)
    sys.exit(run_leaked(path, environ, dry_run=dry_run, yes=yes, output=output))


def run_leaked(
    config_path: Path | None, environ: Mapping[str, str], *, dry_run: bool, yes: bool, output: Output
) -> int:
    """Say which key was given, and contain the leak of its managed key; return the exit code."""

    def go() -> int:
        config = replace(load_with(frozenset(), config_path, environ), shard=WHOLE)
        given = given_key()
        with open_account(config, environ, Stopping()) as account, waiting("looking"):
            found, seen = look_up(account, given)
            exposed = exposed_in(account, seen, found.managed)
        if exposed and not found.dead:
            if not output.as_json:  # a program gets one document, the record
                sys.stdout.write(render(found, console_for_stdout(), to_do=""))
            return contain(config, environ, exposed, dry_run=dry_run, yes=yes, output=output)
        output.show(Kind.IDENTIFIED, lambda: identified_to_json(found), lambda: _left_alone(found))
        return CONVERGED if found.dead else FAILED

    return output.guard(go)


def _left_alone(found: Identified) -> str:
    """Say what it is and, where it may live, what ends it: this command does not."""
    return render(found, console_for_stdout(), "to end the leak") + ("" if found.dead else _NOT_TOUCHED)
