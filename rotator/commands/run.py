"""The program's two ways of making passes: one, and `rotator run`, one after another until it is stopped."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import click
import structlog

from rotator.commands.names import load_with
from rotator.commands.options import Common, common_options, shard_environ, shard_option
from rotator.commands.output import CONVERGED, FAILED, UNREACHABLE, Output
from rotator.config import Config
from rotator.passes.account import Account
from rotator.passes.reconcile import Progress, reconcile
from rotator.passes.result import PassResult
from rotator.passes.stopping import FAREWELL, Stopping
from rotator.printing import streams
from rotator.rules.times import short
from rotator.service.signals import on_signals
from rotator.service.webhook import open_notifier
from rotator.show.about import About
from rotator.show.output import Kind
from rotator.wiring import open_account

if TYPE_CHECKING:
    from rotator.service.metrics import OnePass

log = structlog.get_logger()


@click.command("run")
@shard_option
@common_options
@click.pass_obj
def command(common: Common, *, shard: str | None) -> None:
    """Make a pass at once, and then on the config's schedule, until it is stopped.

    \b
    Example: on a terminal, in a container, as a service
      rotator run

    The page, the metrics and the probes are at http.listen. After SIGTERM or Ctrl-C nothing new begins, but a
    key that was just created is still proved and stored. SIGHUP reads the config again.
    """
    environ = dict(os.environ) | shard_environ(shard)
    sys.exit(run_daemon(common.config_path, environ, common.begin(command="run")))


def run_pass(
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    only: frozenset[str],
    forced: bool,
    dry_run: bool,
    output: Output,
) -> int:
    """Make one pass and print it; return the exit code."""
    stopping = stop_on_signals()

    def go() -> int:
        config = load_with(only, config_path, environ)
        with open_notifier(None if dry_run else config.webhook, environ) as tell:
            result = make_pass(config, environ, stopping, only=only, forced=forced, dry_run=dry_run)
            tell(result)
            output.show(Kind.PASS, result.to_json, lambda: _rendered(result))
        if result.refused and not result.changed:
            return UNREACHABLE
        return FAILED if result.failed or result.not_reached else CONVERGED

    return output.guard(go)


def run_daemon(config_path: Path | None, environ: Mapping[str, str], output: Output) -> int:
    """Make passes until SIGTERM or SIGINT; return the exit code."""
    from rotator.service import daemon

    def go() -> int:
        daemon.run(config_path, environ, ready=_say_where)
        return CONVERGED

    return output.guard(go)


def _say_where(config: Config) -> None:
    """Say to a person where the page is."""
    if sys.stderr.isatty():
        at = page_url(config.http.address)
        where = f"its page is at {at}" if at else "it has no page (http.listen is null)"
        sys.stderr.write(f"rotator: makes passes until Ctrl-C; {where}\n")


def page_url(address: tuple[str, int] | None) -> str | None:
    """Return the URL under which this machine reaches the page; None where there is none."""
    if address is None:
        return None
    host, port = address
    host = "localhost" if host in ("0.0.0.0", "::") else host  # noqa: S104 - all addresses are no address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def make_pass(
    config: Config,
    environ: Mapping[str, str],
    stopping: Stopping,
    *,
    only: frozenset[str],
    forced: bool = False,
    without_grace: bool = False,
    dry_run: bool = False,
) -> PassResult:
    """Make one pass, and leave its metrics where the config wants them."""
    log.info("rotator.started", **About.of(config).named())

    def go(one: "OnePass | None") -> PassResult:
        watch = one.metrics.watch if one else None
        with open_account(config, environ, stopping, watch=watch) as account, _progress(account) as progress:
            result = reconcile(
                account,
                only=only,
                forced=forced,
                without_grace=without_grace,
                dry_run=dry_run,
                progress=progress,
            )
            if one:
                one.result = result
                with stopping.within(FAREWELL):
                    one.metrics.token_expires(account.store.token_ttl)
        return result

    metrics = config.metrics
    if dry_run or not metrics.wanted:
        return go(None)
    from rotator.service.metrics import one_pass

    with one_pass(
        textfile=metrics.textfile,
        pushgateway=metrics.pushgateway,
        job=metrics.job,
        shard=config.shard,
        about=About.of(config),
    ) as one:
        return go(one)


def stop_on_signals() -> Stopping:
    """Let SIGTERM and SIGINT ask to stop; what is between create and store is finished."""
    stopping = Stopping()

    def stop(_number: signal.Signals) -> None:
        first = not stopping.requested
        stopping.request()
        streams.hurry()
        if first and sys.stderr.isatty():
            sys.stderr.write(
                "\nrotator: stopping; a key that was just created will still be proved and stored\n"
            )

    on_signals({signal.SIGTERM, signal.SIGINT}, stop)
    return stopping


def _rendered(result: PassResult) -> str:
    from rotator.show.console import console_for_stdout
    from rotator.show.pass_table import render

    return render(result, console_for_stdout())


@contextmanager
def _progress(account: Account) -> Iterator[Progress | None]:
    """A line on a terminal's stderr while a long pass runs; logs are printed above it.

    What works on a key only leaves numbers; a thread of the line's own draws them, unless the terminal is behind.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Line

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Line(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as line:
        task, ended, began = line.add_task("looking", total=None), Event(), time.monotonic()

        def draw() -> None:
            while not ended.wait(0.1):
                if not streams.behind():
                    now = line.tasks[0]
                    spent = time.monotonic() - began
                    words = what_it_waits_for(
                        account.limits(), spent, int(now.completed), int(now.total or 0)
                    )
                    line.update(task, description=words)
                    line.refresh()

        drawing = Thread(target=draw, name="progress", daemon=True)
        drawing.start()
        try:
            yield lambda done, total: line.update(task, completed=done, total=total)
        finally:
            ended.set()
            drawing.join()


def what_it_waits_for(limits: Mapping[str, float], spent: float, done: int, total: int) -> str:
    """Say what a pass is doing, how fast the servers let it, and how long it will take after `spent` seconds."""
    words = ["keys" if total else "looking"]
    for server, rate in limits.items():
        shown = f"{rate:.0f} calls/s" if rate >= 1 else f"{rate * 60:.0f} calls/min"
        words.append(f"{'Vault' if server == 'vault' else server} {shown}")
    if limits and 0 < done < total:
        left = spent / done * (total - done)
        words.append(f"{short(timedelta(seconds=left))} left")
    return ", ".join(words)
