"""`rotator explain`: look, and say why one managed key is rotated now or not."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from rotator.commands.names import load_with
from rotator.commands.options import (
    Common,
    common_options,
    heed_signals,
    json_option,
    key_option,
    name_argument,
    the_name,
)
from rotator.commands.output import CONVERGED, Output
from rotator.commands.screen import waiting
from rotator.passes.observe import copies_of, observe
from rotator.passes.result import said
from rotator.passes.stopping import Stopping
from rotator.rules.explain import explain
from rotator.show.console import console_for_stdout
from rotator.show.explanation import render
from rotator.show.output import Kind
from rotator.wiring import open_account


@click.command("explain")
@name_argument
@key_option
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, words: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> None:
    """Say why a managed key is or is not rotated now.

    \b
    Example:
      rotator explain "Production backend"

    Prints each row of the decision tables with the facts behind it, and then why each other live key is or is not
    revoked now. ✓ marks a row that applies; the first one counts.

    Writes nothing. Exit codes: 0, also when it is due; 2 wrong usage or config; 3 Vault or the gateway could not be
    reached or refused us, or the secret cannot be used as it is.
    """
    name = the_name(words, names)
    output = common.begin(as_json=as_json, command="explain", asked=True)
    heed_signals()
    sys.exit(run_explain(common.config_path, dict(os.environ), name, output))


def run_explain(config_path: Path | None, environ: Mapping[str, str], name: str, output: Output) -> int:
    """Print why `name` is rotated now or not; return the exit code."""

    def go() -> int:
        only = frozenset({name})
        config = load_with(only, config_path, environ)
        with open_account(config, environ, Stopping()) as account, waiting("looking"):
            seen = observe(account, only=(name,), dry_run=True)
            if error := seen.failed.get(name):
                raise error
            copies = copies_of(seen, name)
        behind = {consumer: said(error) if error else None for consumer, error in copies.items()}
        explanation = explain(seen.facts[name], behind)
        output.show(Kind.EXPLANATION, explanation.to_json, lambda: render(explanation, console_for_stdout()))
        return CONVERGED

    return output.guard(go)
