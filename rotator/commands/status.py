"""`rotator status`: look, and say how everything stands."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from rotator.commands.names import load_with
from rotator.commands.options import Common, common_options, heed_signals, json_option, key_option
from rotator.commands.output import CONVERGED, FAILED, Output, print_json
from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.observe import look
from rotator.passes.stopping import Stopping
from rotator.printing import streams
from rotator.show.about import About
from rotator.show.console import captured, console_for_stdout, lines_of
from rotator.show.output import Kind, error_document
from rotator.show.status import AccountStatus, render
from rotator.wiring import open_account

_OVERWRITE = "\x1b[H{}\x1b[J"  # from the upper left corner on, so that nothing flickers


@click.command("status")
@key_option
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=10,
    type=click.IntRange(min=1),
    help="Look again every 10 s, or as told, until Ctrl-C.",
)
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, names: tuple[str, ...], watch: int | None, as_json: bool) -> None:
    """Show every managed key: its state, its next rotation, and the keys that live beside it.

    \b
    Example: for a person, for a monitor
      rotator status --watch
      rotator status --json

    Writes nothing. Exit codes: 0 all is well; 1 something failed or is overdue; 2 usage or config; 3 Vault or the
    gateway could not be reached or refused us.
    """
    output = common.begin(as_json=as_json)
    heed_signals()
    environ, only = dict(os.environ), frozenset(names)
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


def _look(account: Account, about: About, only: frozenset[str], output: Output, frame: str = "{}") -> int:
    status = AccountStatus.of(*look(account, only), about)
    output.show(Kind.STATUS, status.to_json, lambda: frame.format(render(status, console_for_stdout())))
    return CONVERGED if status.well else FAILED


def _watch(account: Account, about: About, only: frozenset[str], output: Output, seconds: int) -> int:
    code, frame = FAILED, _OVERWRITE if sys.stdout.isatty() else "{}\n"
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[2J")
    try:
        while True:
            try:
                code = _look(account, about, only, output, frame)
            except RotatorError as error:
                code = FAILED
                if output.as_json:
                    print_json(error_document(error))
                else:
                    sys.stdout.write(
                        frame.format(captured(console_for_stdout(), lines_of("the account", error)))
                    )
            if not streams.can_print():  # nobody looks any more
                return code
            time.sleep(seconds)
    except KeyboardInterrupt:
        return code
