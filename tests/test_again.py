"""A pass that came to nothing is tried again soon: the rule, the scheduler, and the program as a process."""

import re
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Semaphore

import pytest

from rotator.config import load
from rotator.errors import BrokenContract, Denied, Rejected, RotatorError, Transient
from rotator.passes.result import Outcome
from rotator.rules.again import again_after
from rotator.rules.cadence import CronSchedule
from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.sandbox.ledger import Lag
from rotator.sandbox.vault import VaultServer
from rotator.service.daemon import Daemon
from tests.deployed import until
from tests.facts import PATH
from tests.served import Served
from tests.shown import one, passed, snapshot, together
from tests.stage import Stage, staged
from tests.test_scheduler import AT_ONCE, BOUND, HOURLY, scheduled

YEARLY = {"cron": "0 0 1 1 *"}
LATE = Rejected("none of the sources in gateway.api_key holds a key")
REFUSED = Denied("GET /keys: 401", status=401)
AWAY = Transient("GET /keys: 503", ambiguous=False, status=503)
ASKS_FOR_A_MINUTE = Transient("GET /keys: 503", ambiguous=False, status=503, retry_after=60)


class TestTheRule:
    @pytest.mark.parametrize(
        ("why", "waits"),
        [
            (LATE, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]),
            (AWAY, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]),
            (REFUSED, [60, 120, 240, 480]),
            (ASKS_FOR_A_MINUTE, [60, 60, 60, 60, 60, 60, 64, 128]),
        ],
        ids=["something is late", "a server is away", "a server refuses us", "it says how long"],
    )
    def test_the_wait_doubles(self, why: RotatorError, waits: list[int]) -> None:
        assert [again_after(n, why).total_seconds() for n in range(1, len(waits) + 1)] == waits

    def test_no_number_of_failures_is_too_many(self) -> None:
        assert timedelta(days=99) < again_after(10**9, AWAY) < again_after(10**9, REFUSED)

    @pytest.mark.parametrize(
        ("error", "passes"), [(AWAY, True), (LATE, False), (BrokenContract("odd"), False)]
    )
    def test_a_key_that_failed_for_good_is_left_to_the_schedule(
        self, error: RotatorError, passes: bool
    ) -> None:
        failed = one(2, outcome=Outcome.FAILED, errors=(LATE, error))
        assert together(one(1), failed).passing == (error if passes else None)

    def test_a_pass_that_was_refused_in_the_middle_is_tried_again(self) -> None:
        assert replace(together(one(1)), refused=REFUSED).passing == REFUSED


class TestTheScheduler:
    def test_the_next_call_comes_as_soon_as_the_last_one_wants_it(self) -> None:
        waits = [timedelta(milliseconds=1), timedelta(milliseconds=2), None]
        called, left = Semaphore(0), list(waits)

        def work() -> timedelta | None:
            called.release()
            return left.pop(0)

        with scheduled(HOURLY, work) as scheduler:
            for _ in waits:
                assert called.acquire(timeout=BOUND)
            assert scheduler.next_at
            assert scheduler.next_at > datetime.now(UTC) + timedelta(minutes=59)
            assert not called.acquire(blocking=False)

    def test_the_schedule_comes_first(self) -> None:
        called = Semaphore(0)

        def work() -> timedelta:
            called.release()
            return timedelta(hours=2)

        with scheduled(AT_ONCE, work):
            for _ in range(3):
                assert called.acquire(timeout=BOUND)

    @pytest.mark.parametrize("wakes", [True, False], ids=["woken", "stopped"])
    def test_a_wait_ends_at_once(self, wakes: bool) -> None:
        """The clock of the machine is not waited for: `stop` returns, and `wake` calls."""
        called, waiting = Semaphore(0), timedelta(minutes=30)

        def work() -> timedelta:
            called.release()
            return waiting

        with scheduled(CronSchedule("0 0 1 1 *"), work) as scheduler:
            assert called.acquire(timeout=BOUND)
            began, soon = datetime.now(UTC), timedelta(minutes=46)
            until(lambda: scheduler.next_at is not None and scheduler.next_at < began + soon)
            assert scheduler.alive
            if wakes:
                scheduler.wake()
                assert called.acquire(timeout=BOUND)


@pytest.fixture
def stage(vault_server: VaultServer, tmp_path: Path) -> Iterator[Stage]:
    """A daemon whose schedule never comes: each pass but the first is one that is tried again."""
    with staged(vault_server, tmp_path / "stage") as stage:
        stage.configure(schedule=YEARLY)
        yield stage


def _stored(stage: Stage) -> bool:
    return bool(stage.world.secret(PATH).get("rotation"))


def test_readiness_says_when_it_is_tried_again_where_a_pass_is_what_is_amiss() -> None:
    served = Served()
    now = served.now.now
    failed = snapshot(passed(None, now, AWAY), now=now)
    with served.web:
        for shown, says in (
            (failed, "GET /keys: 503; tried again in 9m"),
            (replace(failed, running_since=now), "GET /keys: 503; it is being tried again"),
            (replace(failed, next_pass=now), "GET /keys: 503; tried again now"),
            (replace(failed, alive=False), "the schedule does not go on"),
            (replace(failed, next_pass=now - timedelta(minutes=2)), "the next pass is overdue"),
        ):
            served.now = shown
            assert served.ask("/readyz")[1] == f"not ready: {says}\n"


class TestTheProgram:
    def test_a_bearer_that_is_late(self, stage: Stage) -> None:
        """As a Secret that is made after the Deployment. Meanwhile `/readyz` says what is waited for."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        late = stage.directory / "late"
        stage.configure(
            schedule=YEARLY,
            gateway={"url": stage.world.server.url, "api_key": {"file": str(late)}},
            http={"listen": f"127.0.0.1:{port}"},
        )
        process = stage.start()
        stage.until(lambda: stage.logged("daemon.tries_again") >= 1)
        stage.until(lambda: bool(re.search(r"; tried again (in \d+s|now)\n$", _readyz(port))))
        assert _readyz(port).startswith("not ready: there is no key in gateway.api_key.file")
        late.write_text(stage.environ["APIMALL_API_KEY"])
        stage.until(lambda: _readyz(port) == "ready\n")
        assert _stored(stage)
        process.send(signal.SIGTERM)
        assert process.wait() == 0

    def test_a_key_that_failed_for_what_passes(self, stage: Stage) -> None:
        """Here the gateway takes long to know a new key."""
        account = stage.world.server.account
        account.quirks = replace(account.quirks, propagation=Lag(by=timedelta(days=1)))
        stage.configure(schedule=YEARLY, verify_deadline="1s")
        process = stage.start()
        stage.until(lambda: stage.logged("reconcile.finished") == 1)
        account.quirks = replace(account.quirks, propagation=Lag())
        stage.until(lambda: _stored(stage))
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert stage.logged("daemon.tries_again") >= 1

    def test_after_a_pass_that_went_well_the_wait_is_short_again(self, stage: Stage) -> None:
        late = stage.directory / "late"
        path = stage.configure(gateway={"url": stage.world.server.url, "api_key": {"file": str(late)}})
        config = load(path, stage.environ)
        daemon = Daemon(
            config, lambda: config, stage.environ, lambda _: None, lambda _server: lambda *_: None
        )
        waits = [daemon._pass(), daemon._pass()]
        late.write_text(stage.environ["APIMALL_API_KEY"])
        waits.append(daemon._pass())
        late.unlink()
        waits.append(daemon._pass())
        assert waits == [timedelta(seconds=1), timedelta(seconds=2), None, timedelta(seconds=1)]

    def test_a_failure_that_no_other_try_soon_may_mend_says_when_the_schedule_tries_again(
        self, stage: Stage
    ) -> None:
        stage.world.server.faults.add(Fault("POST /keys", Status(400), times=ALWAYS))
        stage.configure(schedule={"every": "50m", "jitter": "0s"})
        process = stage.start()
        stage.until(lambda: stage.logged("daemon.tries_on_schedule") == 1)
        assert re.search(rb'"wait_s": (2[89]|30)\d\d\.', (stage.directory / "stderr").read_bytes())
        assert stage.logged("daemon.tries_again") == 0
        process.send(signal.SIGTERM)
        assert process.wait() == 0

    def test_a_refusal_is_not_asked_for_again_in_a_moment_but_a_new_config_is(self, stage: Stage) -> None:
        wrong = {"url": stage.world.server.url, "api_key": {"file": str(stage.directory / "wrong")}}
        (stage.directory / "wrong").write_text("sk-" + "0" * 32)
        stage.configure(schedule=YEARLY, gateway=wrong)
        process = stage.start()
        stage.until(lambda: stage.logged("daemon.tries_again") == 1)
        assert re.search(rb'"wait_s": [6-9]\d\.', (stage.directory / "stderr").read_bytes())
        stage.configure(schedule=YEARLY)
        process.send(signal.SIGHUP)
        stage.until(lambda: _stored(stage))
        process.send(signal.SIGTERM)
        assert process.wait() == 0

    def test_it_stops_at_once_while_it_waits(self, stage: Stage) -> None:
        stage.world.server.faults.add(Fault("* *", Status(401), times=ALWAYS))
        process = stage.start()
        stage.until(lambda: stage.logged("daemon.tries_again") == 1)
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert stage.logged("daemon.pass_failed") == 1


def _readyz(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/readyz")
    text = connection.getresponse().read().decode()
    connection.close()
    return text
