"""`rotator status`: look, and say how everything stands."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import click

from rotator.commands.names import load_with
from rotator.commands.options import (
    Common,
    common_options,
    heed_signals,
    json_option,
    key_option,
    names_argument,
)
from rotator.commands.output import CONVERGED, FAILED, Output, print_json
from rotator.commands.screen import Screen, waiting
from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.observe import look
from rotator.passes.stopping import Stopping
from rotator.printing import streams
from rotator.show.about import About
from rotator.show.console import captured, console_for_stdout, lines_of
from rotator.show.output import Kind, document, error_document
from rotator.show.status import AccountStatus, render
from rotator.wiring import open_account


@click.command("status")
@names_argument
@key_option
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=10,
    type=click.IntRange(min=1),
    help="Look again every 10 s, or every SECONDS, until Ctrl-C.",
)
@json_option
@common_options
@click.pass_obj
def command(
    common: Common, *, words: tuple[str, ...], names: tuple[str, ...], watch: int | None, as_json: bool
) -> None:
    """Show every managed key: its state, its next rotation, and its other keys.

    \b
    Example: for a person, for a monitor
      rotator status --watch
      rotator status --json

    Writes nothing. Exit codes: 0 all is well; 1 something failed or is overdue; 2 wrong usage or config; 3 Vault
    or the gateway could not be reached or refused us.
    """
    output = common.begin(as_json=as_json, command="status", asked=True)
    heed_signals()
    environ, only = dict(os.environ), frozenset({*words, *names})
    sys.exit(run_status(common.config_path, environ, only=only, watch=watch, output=output))


def run_status(
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    only: frozenset[str],
    watch: int | None,
    output: Output,
) -> int:
    """Print how everything stands, again each `watch` seconds until Ctrl-C or nobody reads; return the code."""

    def go() -> int:
        config = load_with(only, config_path, environ)
        with open_account(config, environ, Stopping()) as account:
            about = About.of(config)
            if watch is None:
                return _look(account, about, only, output)
            return _watch(account, about, only, output, watch)

    return output.guard(go)


def _look(account: Account, about: About, only: frozenset[str], output: Output) -> int:
    with waiting("looking"):
        status = AccountStatus.of(*look(account, only), about)
    output.show(Kind.STATUS, status.to_json, lambda: render(status, console_for_stdout()))
    return CONVERGED if status.well else FAILED


def _watch(account: Account, about: About, only: frozenset[str], output: Output, seconds: int) -> int:
    code, screen = FAILED, Screen("rotator status", seconds)
    try:
        with screen.opened() if not output.as_json else nullcontext():
            while True:
                if not output.as_json:
                    screen.looking()
                try:
                    status = AccountStatus.of(*look(account, only), about)
                    code = CONVERGED if status.well else FAILED
                    body = document(Kind.STATUS, status.to_json()) if output.as_json else {}
                    text = "" if output.as_json else render(status, console_for_stdout())
                except RotatorError as error:
                    code, body = FAILED, error_document(error)
                    retried = f"rotator status looks again in {seconds} s"
                    text = captured(console_for_stdout(), lines_of("the account", error, retried))
                if output.as_json:
                    print_json(body)
                else:
                    screen.draw(text)
                if not streams.can_print():  # nobody looks any more
                    return code
                time.sleep(seconds)
    except KeyboardInterrupt:
        return code
