"""The long-running mode: passes on a schedule, until it is asked to stop."""

import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock

import structlog

from rotator import SIGNALS
from rotator.clients.exchange import Watch
from rotator.config import Config, load
from rotator.config.monitoring import Http
from rotator.errors import ConfigError, RotatorError, unexpected
from rotator.passes.account import Account
from rotator.passes.reconcile import new_run_id, reconcile
from rotator.passes.stopping import FAREWELL, Stopped, Stopping
from rotator.printing.log import log_failure
from rotator.rules.again import again_after
from rotator.service.metrics import Metrics
from rotator.service.scheduler import Scheduler
from rotator.service.signals import on_signals
from rotator.service.webhook import open_notifier
from rotator.show.about import About
from rotator.show.snapshot import KEPT, PassRecord, Snapshot
from rotator.wiring import open_account

log = structlog.get_logger()


class Daemon:
    """Passes over one account, each by the config of its time.

    `told` hears of each pass that has ended, `watch` makes the watch of each server's requests.
    """

    def __init__(
        self,
        config: Config,
        reload: Callable[[], Config],
        environ: Mapping[str, str],
        told: Callable[[PassRecord], None],
        watch: Callable[[str], Watch],
    ) -> None:
        self._config, self._reload, self._environ = config, reload, environ
        self._told, self._watch = told, watch
        self._stopping, self._ended = Stopping(), Event()
        self._scheduler = Scheduler(config.schedule, self._pass)
        self._started = _now()
        self._passes: deque[PassRecord] = deque(maxlen=KEPT)
        self._running_since: datetime | None = None
        self._reload_failed: ConfigError | None = None
        self._failures = 0
        """So many passes in a row could not observe, or failed for what may pass."""
        self._opened: tuple[Config, Account] | None = None
        """The account, and the config that it was opened by."""
        self._resources = ExitStack()
        self._lock = Lock()

    def run(self) -> None:
        """Make passes until `stop`; then finish what must be finished."""
        log.info("daemon.started", keys=len(self._config.managed), **About.of(self._config).named())
        self._scheduler.start()
        self._ended.wait()
        log.info("daemon.stopping")
        self._scheduler.stop()
        self._resources.close()
        log.info("daemon.stopped")

    def stop(self) -> None:
        """Begin nothing new; what is between create and store is finished."""
        self._stopping.request()
        self._ended.set()

    def reload(self) -> None:
        """Read the config again. One that has faults is reported, and the old one stays."""
        try:
            config = self._reload()
        except ConfigError as error:
            log.error("daemon.reload_failed", error=error.message, faults=list(error.faults))
            self._reload_failed = error
            return
        self._reload_failed = None
        with self._lock:
            changed = config.schedule != self._config.schedule
            self._config = config
        if changed:
            self._scheduler.reschedule(config.schedule)
        self._scheduler.wake()
        log.info("daemon.reloaded", keys=len(config.managed))

    def snapshot(self) -> Snapshot:
        """How it is now, for whoever asks from outside."""
        failed = self._reload_failed
        return Snapshot(
            started=self._started,
            now=_now(),
            alive=self._scheduler.alive,
            running_since=self._running_since,
            passes=tuple(self._passes),
            next_pass=self._scheduler.next_at,
            reload_failed=failed is not None,
            reload_faults=(failed.faults or (failed.message,)) if failed else (),
            about=About.of(self._config),
        )

    def token_ttl(self) -> timedelta | None:
        """How long the last pass's Vault token lives; None for one that does not expire, and before any."""
        with self._stopping.within(FAREWELL):
            return self._opened[1].store.token_ttl() if self._opened else None

    def _pass(self) -> timedelta | None:
        """Make one pass and tell of it; return how soon another one should be tried, None for on schedule.

        Nothing that it raises may end the schedule.
        """
        began, run_id = _now(), new_run_id()
        self._running_since = began
        try:
            with structlog.contextvars.bound_contextvars(run_id=run_id):
                record = self._make_pass(began, run_id)
        finally:
            self._running_since = None
        why = record and (record.error or (record.result and record.result.passing))
        self._failures = self._failures + 1 if why else 0
        if record and not (record.converged or why):  # nothing that a try soon after could mend
            self._scheduler.say_when()
        return again_after(self._failures, why) if why else None

    def _make_pass(self, began: datetime, run_id: str) -> PassRecord | None:
        """None for one that was stopped before it came to a result."""
        result, failure = None, None
        try:
            result = reconcile(self._account(), run_id=run_id)
        except Stopped:
            return None
        except RotatorError as error:
            failure = error
            log_failure("daemon.pass_failed", error)
        except Exception as error:
            log.error("unexpected", exc_info=True)
            failure = unexpected(error)
        record = PassRecord(run_id, began, _now(), result, failure)
        self._passes.appendleft(record)
        self._told(record)
        return record

    def _account(self) -> Account:
        """The account of the config as it is now; opened anew after a reload, or when opening failed."""
        with self._lock:
            config = self._config
        if self._opened is None or self._opened[0] is not config:
            self._opened = None
            self._resources.close()
            self._opened = (
                config,
                self._resources.enter_context(
                    open_account(config, self._environ, self._stopping, watch=self._watch)
                ),
            )
        return self._opened[1]


def run(
    config_path: Path | None, environ: Mapping[str, str], ready: Callable[[Config], None] = lambda _: None
) -> None:
    """Run until SIGTERM or SIGINT; `ready` is told when it shows itself. Raises ConfigError for faults."""
    config, metrics = load(config_path, environ), Metrics()

    def told(record: PassRecord) -> None:
        metrics.count(record)
        if seen := record.result or record.error:
            tell(seen)
        if record.result:
            metrics.token_expires(daemon.token_ttl)

    daemon = Daemon(config, lambda: load(config_path, environ), environ, told, metrics.watch)
    metrics.follow(daemon.snapshot)

    def handle(number: signal.Signals) -> None:
        if number is signal.SIGHUP:
            daemon.reload()
        else:
            daemon.stop()

    on_signals(SIGNALS, handle)
    # Both have threads, so only after the signals.
    with open_notifier(config.webhook, environ) as tell, _shown(config.http, daemon, metrics):
        ready(config)
        daemon.run()


def _shown(http: Http, daemon: Daemon, metrics: Metrics) -> AbstractContextManager[object]:
    """Show it over HTTP, where that is wanted. Entering raises ConfigError when it cannot be had."""
    if http.address is None:
        return nullcontext()
    from rotator.service.web import Web

    return Web(http.address, daemon.snapshot, metrics.exposition, http.names)


def _now() -> datetime:
    return datetime.now(UTC)
