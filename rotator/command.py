"""The program's two ways of running, one pass and the long-running mode: config in, exit code out."""

import difflib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from rotator.config import Config, load
from rotator.errors import ConfigError, RotatorError
from rotator.reconcile import Progress, reconcile
from rotator.redaction import redact, redact_values
from rotator.result import PassResult, error_to_json
from rotator.signals import on_signals
from rotator.stopping import Stopped, Stopping
from rotator.wiring import open_account, open_notifier

if TYPE_CHECKING:
    from rotator.metrics import OnePass

CONVERGED, FAILED, MISCONFIGURED, UNREACHABLE = 0, 1, 2, 3

log = structlog.get_logger()


def run_pass(
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    only: frozenset[str],
    forced: bool,
    dry_run: bool,
    as_json: bool,
    plain_errors: bool,
) -> int:
    """Make one pass and print it; return the exit code."""
    stopping = _stop_on_signals()
    try:
        config = load(config_path, environ)
        _check_names(only, config)
        with open_notifier(None if dry_run else config.webhook, environ) as tell:
            result = _make_pass(config, environ, stopping, only=only, forced=forced, dry_run=dry_run)
            tell(result)
            _print(result, as_json=as_json)
    except RotatorError as error:
        _complain(error, as_json=as_json, plain=plain_errors)
        if isinstance(error, Stopped):
            return CONVERGED
        return MISCONFIGURED if isinstance(error, ConfigError) else UNREACHABLE
    if result.refused and not result.changed:
        return UNREACHABLE
    return FAILED if result.failed else CONVERGED


def run_daemon(config_path: Path | None, environ: Mapping[str, str], *, plain_errors: bool) -> int:
    """Make passes until SIGTERM or SIGINT; return the exit code."""
    from rotator import daemon

    try:
        daemon.run(config_path, environ)
    except ConfigError as error:
        _complain(error, as_json=False, plain=plain_errors)
        return MISCONFIGURED
    return CONVERGED


def _make_pass(
    config: Config,
    environ: Mapping[str, str],
    stopping: Stopping,
    *,
    only: frozenset[str],
    forced: bool,
    dry_run: bool,
) -> PassResult:
    """Make one pass, and leave its metrics where the config wants them."""

    def go(one: "OnePass | None") -> PassResult:
        watch = one.metrics.watch if one else None
        with open_account(config, environ, stopping, watch=watch) as account, _progress() as progress:
            result = reconcile(account, only=only, forced=forced, dry_run=dry_run, progress=progress)
            if one:
                one.result = result
                one.metrics.token_expires(account.store.token_ttl)
        return result

    metrics = config.metrics
    if dry_run or not metrics.wanted:
        return go(None)
    from rotator.metrics import one_pass

    with one_pass(
        textfile=metrics.textfile, pushgateway=metrics.pushgateway, job=metrics.job, shard=config.shard
    ) as one:
        return go(one)


def _stop_on_signals() -> Stopping:
    stopping = Stopping()

    def stop(_number: signal.Signals) -> None:
        if not stopping.requested and sys.stderr.isatty():
            # Not through the log: its stream may be in the middle of a line.
            os.write(2, b"\nrotator: stopping; a key that was just created is still proved and stored\n")
        stopping.request()

    on_signals({signal.SIGTERM, signal.SIGINT}, stop)
    return stopping


def _check_names(only: frozenset[str], config: Config) -> None:
    known = [key.name for key in config.managed]
    faults = []
    for name in sorted(only - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        # The name is not repeated: a slip of the hand may have put a plaintext there.
        shown = ", ".join(known[:10]) + (" …" if len(known) > 10 else "")
        faults.append(f"did you mean --key {near[0]!r}?" if near else f"the config has: {shown}")
    if faults:
        raise ConfigError("no such managed key", tuple(faults))


def _print(result: PassResult, *, as_json: bool) -> None:
    if as_json:
        _print_json(result.to_json())
    else:
        from rotator.report import console_for_stdout, render

        _write(render(result, console_for_stdout()))


def _print_json(body: dict[str, Any]) -> None:
    text = json.dumps(redact_values(body), indent=2 if sys.stdout.isatty() else None)
    _write(redact(text) + "\n")


def _write(text: str) -> None:
    """Write to stdout. What was done is done: that it cannot be printed does not make it a failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter tries once more at its end
        if not isinstance(error, BrokenPipeError):
            log.warning("result.unprinted", error=error.strerror)


def _complain(error: RotatorError, *, as_json: bool, plain: bool) -> None:
    faults = list(error.faults) if isinstance(error, ConfigError) else None
    if as_json:
        body = error_to_json(error) | ({"faults": faults} if faults else {})
        _print_json({"converged": False, "error": body})
    if plain:
        sys.stderr.write(redact(f"rotator: {error}", short=True) + "\n")
    else:
        fields = {"request_id": error.request_id, "cure": error.cure, "faults": faults}
        log.critical(
            "reconcile.failed",
            error=error.message,
            **{name: value for name, value in fields.items() if value},
        )


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A line on a terminal's stderr while a long pass runs; logs are printed above it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Line

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Line(*columns, console=Console(stderr=True), transient=True) as line:
        task = line.add_task("looking", total=None)
        yield lambda done, total: line.update(task, description="managed keys", completed=done, total=total)
