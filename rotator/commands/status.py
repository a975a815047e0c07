"""`rotator status`: look, and say how everything stands."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rotator.commands.names import load_with
from rotator.commands.output import CONVERGED, FAILED, Output, write
from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.stopping import Stopping
from rotator.passes.survey import survey
from rotator.show.pass_table import captured, console_for_stdout, lines_of
from rotator.show.status import Status, render
from rotator.wiring import open_account

_OVERWRITE = "\x1b[H{}\x1b[J"  # from the upper left corner on, so that nothing flickers


def run_status(
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    only: frozenset[str],
    watch: int | None,
    output: Output,
) -> int:
    """Print how everything stands, again each `watch` seconds until Ctrl-C; return the exit code."""

    def go() -> int:
        config = load_with(only, config_path, environ)
        with open_account(config, environ, Stopping()) as account:
            if watch is None:
                return _look(account, only, output)
            return _watch(account, only, output, watch)

    return output.guard(go)


def _look(account: Account, only: frozenset[str], output: Output, frame: str = "{}") -> int:
    status = Status.of(survey(account, only=only))
    output.show(status.to_json, lambda: frame.format(render(status, console_for_stdout())))
    return CONVERGED if status.well else FAILED


def _watch(account: Account, only: frozenset[str], output: Output, seconds: int) -> int:
    code, frame = FAILED, _OVERWRITE if sys.stdout.isatty() else "{}\n"
    if sys.stdout.isatty():
        write("\x1b[2J")
    try:
        while True:
            try:
                code = _look(account, only, output, frame)
            except RotatorError as error:
                code = FAILED
                write(frame.format(captured(console_for_stdout(), lines_of("the account", error))))
            time.sleep(seconds)
    except KeyboardInterrupt:
        return code
