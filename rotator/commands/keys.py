"""`rotator keys`: every key of the account, and whose each is."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from rotator.commands.names import load_with
from rotator.commands.options import Common, common_options, heed_signals, json_option
from rotator.commands.output import CONVERGED, Output
from rotator.commands.screen import waiting
from rotator.passes.look_up import belongings_of
from rotator.passes.observe import observe
from rotator.passes.stopping import Stopping
from rotator.show.about import About
from rotator.show.console import console_for_stdout
from rotator.show.key_list import KeyList, render
from rotator.show.output import Kind
from rotator.wiring import open_account


@click.command("keys")
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, as_json: bool) -> None:
    """Show every key of the account: whose it is, how old, where it is stored, when it goes.

    \b
    Example: for a person; for a program: what a person made
      rotator keys
      rotator keys --json | jq '.keys[] | select(.whose == "unmanaged")'

    Those that need attention come first: what programs are refused, what should be gone, what nobody manages.
    Changes nothing. Exit codes: 0 they were seen; 2 usage or config; 3 a server could not be reached or refused us.
    """
    output = common.begin(as_json=as_json, command="keys", asked=True)
    heed_signals()
    sys.exit(run_keys(common.config_path, dict(os.environ), output))


def run_keys(config_path: Path | None, environ: Mapping[str, str], output: Output) -> int:
    """Print every key of the account; return the exit code."""

    def go() -> int:
        config = load_with(frozenset(), config_path, environ)
        with open_account(config, environ, Stopping()) as account, waiting("looking"):
            seen = observe(account, dry_run=True)
            listed = KeyList(belongings_of(account, seen).all(), seen, About.of(config))
        output.show(Kind.KEYS, listed.to_json, lambda: render(listed, console_for_stdout()))
        return CONVERGED

    return output.guard(go)
