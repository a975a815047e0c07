"""Prometheus metrics: what was done, counted; and how it stands, computed when somebody asks.

The only importer of prometheus_client. Labels hold names of managed keys and words of this program; those of
`rotator_build_info` hold what the config names.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from rotator.clients.exchange import Request, Server, Watch
from rotator.errors import RotatorError, cause
from rotator.files import read_bytes
from rotator.passes.result import Action, KeyResult, Outcome, PassResult
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Victim
from rotator.rules.shard import WHOLE, Shard
from rotator.show.about import NOTHING, About
from rotator.show.key_status import KeyStatus, key_statuses
from rotator.show.snapshot import PassRecord, Snapshot

PUSH_TIMEOUT: Final = 10.0
_MAX_ANSWER_BYTES: Final = 1024 * 1024
"""What a Pushgateway says beside its status is read and thrown away."""
_MAX_FILE_BYTES: Final = 256 * 1024 * 1024
_UNPUSHED: Final = "check metrics.pushgateway, and the network between here and there"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_CONVERGED: Final = "rotator_last_converged_timestamp_seconds"
_ROTATION_OUTCOMES: Final = tuple(outcome for outcome in Outcome if outcome is not Outcome.PLANNED)

# Each series would have a second one with the time of its creation, which nobody asks for.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
log = structlog.get_logger()


class UnpublishedError(RotatorError):
    """The metrics did not get where they should. No pass fails for it."""


class Metrics:
    """The metrics of one run. Thread-safe.

    Every counter that may come is there from the start: a series that begins at 1 has no increase.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges = _Gauges()
        self.registry.register(self._gauges)
        self._rotations = Counter(
            "rotator_rotations",
            "Rotations by what came of them and why they were due.",
            ["outcome", "reason"],
            registry=self.registry,
        )
        self._revocations = Counter(
            "rotator_revocations",
            "Revocations by what came of them and why; kept: put off to a later pass.",
            ["outcome", "reason"],
            registry=self.registry,
        )
        self._requests = Counter(
            "rotator_requests",
            "Requests by server, method and status; none: no answer came.",
            ["server", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rotator_request_duration_seconds",
            "How long requests took, answered or not.",
            ["server"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        for reason in Reason:
            for outcome in _ROTATION_OUTCOMES:
                self._rotations.labels(outcome, reason)
        for victim in Victim:
            for revoked in ("done", "failed", "kept"):
                self._revocations.labels(revoked, victim)

    def watch(self, server: str) -> Watch:
        """Return the watch that counts the requests to `server`."""

        def watch(method: str, status: int | None, seconds: float) -> None:
            self._requests.labels(server, method, status or "none").inc()
            self._seconds.labels(server).observe(seconds)

        return watch

    def follow(self, snapshot: Callable[[], Snapshot]) -> None:
        """Compute the gauges from `snapshot` whenever they are asked for."""
        self._gauges.snapshot = snapshot

    def count(self, record: PassRecord) -> None:
        """Count what a pass did; to be called once for each."""
        for key in record.result.keys if record.result else ():
            if key.plan and key.plan.reason and key.action is Action.ROTATE:
                self._rotations.labels(key.outcome, key.plan.reason).inc()
            self._count_revocations(key)
        if record.converged:
            self._gauges.converged_at = record.ended.timestamp()

    def token_expires(self, ask: Callable[[], timedelta | None]) -> None:
        """Ask how long the Vault token lives from now on; None for one that does not expire."""
        with suppress(RotatorError):  # to know it is no condition of a pass
            ttl = ask()
            self._gauges.token_expires_at = None if ttl is None else time.time() + ttl.total_seconds()

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus's text format 0.0.4, with the gauges as they are now."""
        return prometheus_client.generate_latest(self.registry)

    def write_textfile(self, path: str) -> None:
        """Write the metrics to `path`, in one step. Raises UnpublishedError."""
        if self._gauges.converged_at is None:
            self._gauges.converged_at = _read_converged(Path(path))  # it is told most when passes fail
        try:
            prometheus_client.write_to_textfile(path, self.registry)
        except OSError as error:
            raise UnpublishedError(
                f"metrics.textfile {path}: {cause(error)}",
                cure="create the directory, and let this user write to it",
            ) from None

    def push(self, url: str, job: str, shard: Shard = WHOLE, *, timeout: float = PUSH_TIMEOUT) -> None:
        """Push the metrics to a Pushgateway, each shard into a group of its own. Raises UnpublishedError."""
        group = {} if shard == WHOLE else {"shard": str(shard.index)}
        try:
            # Not `push_to_gateway`: it would remove what this run does not know, the last converged pass.
            prometheus_client.pushadd_to_gateway(
                url, job, self.registry, group, timeout=timeout, handler=_post
            )
        except UnpublishedError:
            raise
        except RotatorError as error:
            raise UnpublishedError(f"metrics.pushgateway: {error.message}", cure=error.cure) from None

    def publish(self, *, textfile: str | None, pushgateway: str | None, job: str, shard: Shard) -> None:
        """Leave the metrics where the config says; what fails is logged and no more."""
        for name, publish in (
            (textfile, self.write_textfile),
            (pushgateway, lambda url: self.push(url, job, shard)),
        ):
            try:
                if name:
                    publish(name)
            except UnpublishedError as error:
                log.warning("metrics.unpublished", error=error.message, cure=error.cure)

    def _count_revocations(self, key: KeyResult) -> None:
        done = {revocation.key_id for revocation in key.revoked}
        for revocation in key.plan.revocations if key.plan else ():
            outcome = "done" if revocation.key_id in done else "failed" if key.failed else "kept"
            self._revocations.labels(outcome, revocation.victim).inc()


@dataclass
class OnePass:
    """The metrics of a process that makes one pass and ends, and the pass's result when there is one."""

    metrics: Metrics
    result: PassResult | None = None


@contextmanager
def one_pass(
    *, textfile: str | None, pushgateway: str | None, job: str, shard: Shard, about: About = NOTHING
) -> Iterator[OnePass]:
    """Publish the metrics when the pass is over, also those of one that failed."""
    one, began, error = OnePass(Metrics()), datetime.now(UTC), None
    try:
        yield one
    except RotatorError as failed:
        error = failed
        raise
    finally:
        run_id = one.result.run_id if one.result else ""
        record = PassRecord(run_id, began, datetime.now(UTC), one.result, error)
        snapshot = Snapshot(
            started=began,
            now=record.ended,
            alive=True,
            running_since=None,
            passes=(record,),
            next_pass=None,
            about=about,
        )
        one.metrics.count(record)
        one.metrics.follow(lambda: snapshot)
        one.metrics.publish(textfile=textfile, pushgateway=pushgateway, job=job, shard=shard)


class _Gauges(Collector):
    """What is computed at each scrape: an age that was written down would stand still."""

    def __init__(self) -> None:
        self.snapshot: Callable[[], Snapshot] | None = None
        self.converged_at: float | None = None
        self.token_expires_at: float | None = None

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # else the registry would collect, to know the names

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self.snapshot:
            snapshot = self.snapshot()
            yield from _of_keys(key_statuses(snapshot), snapshot.gateway_now)
            yield _build_info(snapshot)
            yield GaugeMetricFamily(
                "rotator_config_last_reload_successful",
                "0 if a changed config could not be loaded, and the old one is in use; else 1.",
                not snapshot.reload_failed,
            )
        if self.converged_at is not None:
            yield GaugeMetricFamily(
                _CONVERGED, "When the last pass that converged ended, in Unix time.", self.converged_at
            )
        if self.token_expires_at is not None:
            yield GaugeMetricFamily(
                "rotator_vault_token_expiry_timestamp_seconds",
                "When the Vault token expires, in Unix time.",
                self.token_expires_at,
            )


def _build_info(snapshot: Snapshot) -> GaugeMetricFamily:
    about = {
        name: value or ""
        for name, value in snapshot.about.to_json(snapshot.installation).items()
        if name != "config"
    }
    gauge = GaugeMetricFamily(
        "rotator_build_info", "1; the labels say what runs, and what it works on.", labels=list(about)
    )
    gauge.add_metric(list(about.values()), 1)
    return gauge


def _of_keys(keys: tuple[KeyStatus, ...], now: datetime) -> Iterator[GaugeMetricFamily]:
    def family(
        name: str, says: str, value: Callable[[KeyStatus], timedelta | float | None]
    ) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"rotator_key_{name}", says, labels=["key"])
        for key in keys:
            if (seen := value(key)) is not None:
                number = seen.total_seconds() if isinstance(seen, timedelta) else seen
                gauge.add_metric([key.name], number)
        return gauge

    yield family(
        "severity",
        "How bad it is: 5 programs are refused, 4 in danger, 3 late, 2 held, 1 to note, 0 well.",
        lambda key: key.severity.value,
    )
    yield family("age_seconds", "Since when the current key is in use.", lambda key: key.age)
    yield family(
        "until_rotation_seconds",
        "Until the next rotation is due and not frozen; negative when it is late.",
        lambda key: (key.frozen_until or key.due_at) - now if key.due_at else None,
    )
    yield family(
        "frozen_until_timestamp_seconds",
        "When the freeze of its secret ends, in Unix time; +Inf where that cannot be read. Absent for none.",
        lambda key: (key.freeze.until.timestamp() if key.freeze.until else inf) if key.freeze else None,
    )
    yield family(
        "superseded", "Live superseded keys.", lambda key: len(key.superseded) if key.known else None
    )
    yield family("orphans", "Live orphans.", lambda key: len(key.orphans) if key.known else None)
    yield family(
        "overdue_revocations",
        "Keys that the last pass had to revoke and that still live.",
        lambda key: key.overdue,
    )
    yield from _of_consumers(keys)


def _of_consumers(keys: tuple[KeyStatus, ...]) -> Iterator[GaugeMetricFamily]:
    def family(name: str, says: str, values: Callable[[KeyStatus], Mapping[str, bool]]) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"rotator_{name}", says, labels=["key", "consumer"])
        for key in keys:
            for consumer, value in values(key).items():
                gauge.add_metric([key.name, consumer], value)
        return gauge

    yield family(
        "key_unconfirmed",
        "1 for each consumer that keeps a superseded key alive, because it has not confirmed a later one.",
        lambda key: dict.fromkeys(key.unconfirmed, True),
    )
    yield family(
        "key_untold",
        "1 for each consumer that could not be told yet which key is current.",
        lambda key: dict.fromkeys(key.untold, True),
    )
    yield family(
        "copy_behind",
        "1 for each copy that does not hold the current key, 0 for one that does.",
        lambda key: {consumer: not holds for consumer, holds in key.copies.items()},
    )


def _post(
    url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
) -> Callable[[], None]:
    """Speak to a Pushgateway as to every other server: by the environment's proxies and CAs, without redirects."""
    parts = urlsplit(url)
    server = Server(
        f"{parts.scheme}://{parts.netloc}",
        timeout=timedelta(seconds=timeout or PUSH_TIMEOUT),
        limit=_MAX_ANSWER_BYTES,
        cure=_UNPUSHED,
    )

    def post() -> None:
        # A redirect is a failure, too: the page behind it says nothing of what was pushed.
        with closing(server):
            answer = server.exchange(Request(method, parts.path, body=data), dict(headers))
        if not 200 <= answer.status < 300:
            raise UnpublishedError(f"metrics.pushgateway: it answered {answer.status}", cure=_UNPUSHED)

    return post


def _read_converged(path: Path) -> float | None:
    """The last converged pass of an earlier run, out of the file that it wrote."""
    try:
        families = text_string_to_metric_families(read_bytes(path, _MAX_FILE_BYTES).decode())
        return next(family.samples[0].value for family in families if family.name == _CONVERGED)
    except (OSError, ValueError, IndexError, KeyError, StopIteration):
        return None
