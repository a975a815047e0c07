"""The long-running mode as a process: its schedule, its signals, and how it goes on through trouble."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from rotator import SIGNALS
from rotator.config import Config, load
from rotator.errors import ConfigError
from rotator.sandbox.faults import ALWAYS, Cut, Fault, Status
from rotator.sandbox.vault import VaultServer
from rotator.service.daemon import Daemon
from rotator.service.metrics import Metrics
from rotator.show.snapshot import PassRecord, Snapshot
from tests.facts import PATH, managed
from tests.logs import captured
from tests.processes import Process
from tests.stage import BEARER, Stage, settle, staged

OFTEN = {"every": "1s", "jitter": "0s"}


@pytest.fixture
def stage(vault_server: VaultServer, tmp_path: Path) -> Iterator[Stage]:
    with staged(vault_server, tmp_path / "stage") as stage:
        stage.configure(schedule=OFTEN)
        yield stage


def _stop(process: Process, number: int = signal.SIGTERM) -> None:
    process.send(number)
    assert process.wait() == 0


def _current(stage: Stage, path: str = PATH) -> int:
    return int((stage.world.secret(path).get("rotation") or {"key_id": 0})["key_id"])


def test_pass_after_pass(stage: Stage) -> None:
    process = stage.start()
    stage.until(lambda: stage.logged("rotation.stored") == 1)
    stage.world.advance(7)
    stage.until(lambda: stage.logged("rotation.stored") == 2)
    stage.world.advance(1)
    stage.until(lambda: stage.logged("key.revoked") == 1)
    _stop(process)
    assert stage.logged("daemon.started") == stage.logged("daemon.stopped") == 1
    stage.promises.hold()
    settle(stage.world, stage.promises)


def test_a_pass_is_being_made_until_all_have_heard_of_it(stage: Stage) -> None:
    seen: list[Snapshot] = []

    def told(_record: PassRecord) -> None:
        seen.append(daemon.snapshot())
        daemon.stop()

    config = load(stage.configure(), stage.environ)
    daemon = Daemon(config, lambda: config, stage.environ, told, lambda _server: lambda *_: None)
    daemon.run()
    assert [snapshot.running_since for snapshot in seen] == [seen[0].passes[0].began]
    assert daemon.snapshot().running_since is None


def test_a_pass_that_fails_at_once_is_found_in_the_log_by_its_run_id(stage: Stage) -> None:
    config = load(stage.configure(), {**stage.environ, "VAULT_TOKEN": "s.000000000000000000000000"})
    daemon = Daemon(config, lambda: config, stage.environ, lambda _: daemon.stop(), lambda _: lambda *_: None)
    with captured() as log:
        daemon.run()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (record,) = daemon.snapshot().passes
    ids = {line["event"]: line.get("run_id") for line in lines}
    assert record.run_id == ids["daemon.pass_failed"] == ids["vault.request"] != ""


def test_a_signal_waits_until_it_is_handled() -> None:
    """Process 1 of a container is not sent one that nobody handles."""
    program = (
        "import signal, rotator.commands.root, rotator.__main__ as program; "
        "rotator.commands.root.cli = lambda **_: print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))); "
        "program.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{sorted(SIGNALS)}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_while_it_waits(stage: Stage, number: int) -> None:
    stage.configure(schedule={"cron": "0 0 1 1 *"})
    process = stage.start()
    stage.until(lambda: stage.logged("reconcile.finished") == 1)
    _stop(process, number)


def test_it_ends_while_the_gateway_is_down(stage: Stage) -> None:
    stage.world.server.faults.add(Fault("* *", Status(503, retry_after="3600"), times=ALWAYS))
    process = stage.start()
    stage.until(lambda: stage.logged("gateway.retry") >= 1)
    _stop(process)


class TestReload:
    def _reload(self, process: Process, stage: Stage, event: str) -> None:
        before = stage.logged(event)
        process.send(signal.SIGHUP)
        stage.until(lambda: stage.logged(event) == before + 1)

    def test_a_new_managed_key(self, stage: Stage) -> None:
        process = stage.start()
        stage.until(lambda: _current(stage) == 2)
        stage.world.keys = (managed(), replace(managed(), name="Reporting", path="apimall/reporting"))
        stage.configure(schedule=OFTEN)
        self._reload(process, stage, "daemon.reloaded")
        stage.until(lambda: _current(stage, "apimall/reporting") == 3)
        _stop(process)

    def test_a_config_with_faults_is_reported_and_the_old_one_stays(self, stage: Stage) -> None:
        process = stage.start()
        stage.until(lambda: _current(stage) == 2)
        whole = stage.configure()
        good = whole.read_text()
        for broken in ("keys: [", "", good + "unknown: 1\n"):
            whole.write_text(broken)
            self._reload(process, stage, "daemon.reload_failed")
        whole.unlink()
        self._reload(process, stage, "daemon.reload_failed")
        stage.world.advance(7)
        stage.until(lambda: _current(stage) == 3)
        _stop(process)

    def test_what_is_shown_of_one_that_failed(self, stage: Stage) -> None:
        config = load(stage.configure(), stage.environ)
        answers: list[Config | ConfigError] = [
            ConfigError("it has faults", ("rotator.yaml:3:1: unknown",)),
            config,
        ]

        def reload() -> Config:
            answer = answers.pop(0)
            if isinstance(answer, ConfigError):
                raise answer
            return answer

        daemon = Daemon(config, reload, stage.environ, lambda _: None, lambda _server: lambda *_: None)
        metrics = Metrics()
        metrics.follow(daemon.snapshot)
        for failed, gauge in ((False, b"1.0"), (True, b"0.0"), (False, b"1.0")):
            assert daemon.snapshot().reload_failed is failed
            assert daemon.snapshot().reload_faults == (("rotator.yaml:3:1: unknown",) if failed else ())
            assert b"\nrotator_config_last_reload_successful " + gauge in metrics.exposition()
            if answers:
                daemon.reload()

    def test_another_schedule(self, stage: Stage) -> None:
        stage.configure(schedule={"cron": "0 0 1 1 *"})
        process = stage.start()
        stage.until(lambda: stage.logged("reconcile.finished") == 1)
        stage.configure(schedule=OFTEN)
        self._reload(process, stage, "daemon.reloaded")
        stage.until(lambda: stage.logged("reconcile.finished") >= 3)
        _stop(process)

    def test_while_a_pass_is_being_made(self, stage: Stage) -> None:
        """The pass goes on by the config that it began with."""
        stage.world.server.faults.add(Fault("POST /keys", Status(429, retry_after="1"), times=2))
        process = stage.start()
        stage.until(lambda: stage.logged("gateway.retry") >= 1)
        self._reload(process, stage, "daemon.reloaded")
        stage.until(lambda: _current(stage) > 0)
        _stop(process)
        settle(stage.world, stage.promises)


def test_what_it_shows(stage: Stage) -> None:
    """Over HTTP while it runs: the passes that it made, and all requests, counted on both sides."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stage.configure(schedule={"cron": "0 0 1 1 *"}, http={"listen": f"127.0.0.1:{port}", "names": ["ours"]})
    process = stage.start()
    stage.until(lambda: stage.logged("reconcile.finished") == 1)
    stage.until(lambda: _get(port, "readyz") == "ready\n")
    assert json.loads(_get(port, "status.json"))["keys"][0]["key_id"] == 2
    metrics = _get(port, "metrics")
    created = 'rotator_requests_total{method="POST",server="gateway",status="200"} 1.0'
    assert created in metrics
    assert 'rotator_rotations_total{outcome="done",reason="missing"} 1.0' in metrics
    assert 'rotator_requests_total{method="GET",server="vault"' in metrics
    assert "Backend" in _get(port, "")
    assert "Backend" in _get(port, "", Host="ours:80")
    assert "Backend" not in _get(port, "", Host="theirs:80")
    again = stage.start()
    assert again.wait() == 2, "the address is taken"
    _stop(process)


def _get(port: int, path: str, **headers: str) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/{path}", headers=headers)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_a_config_with_faults_at_the_start(stage: Stage) -> None:
    stage.configure(schedule={"every": "soon"})
    assert stage.start().wait() == 2


@pytest.mark.parametrize("side", ["gateway", "vault"])
def test_it_starts_though_a_side_is_down_and_goes_on_when_it_is_back(stage: Stage, side: str) -> None:
    faults = stage.world.server.faults if side == "gateway" else stage.proxy.faults
    faults.add(Fault("* *", Cut() if side == "vault" else Status(403), times=ALWAYS))
    process = stage.start()
    stage.until(lambda: stage.logged("vault.retry" if side == "vault" else "daemon.pass_failed") >= 1)
    faults.clear()
    stage.until(lambda: _current(stage) > 0)
    _stop(process)


def test_two_replicas_whose_bearer_rotates_itself(stage: Stage) -> None:
    world = stage.world
    world.keys = (managed(), replace(managed(), name="Rotator", path=BEARER))
    world.bearer_path = BEARER
    stage.configure(schedule=OFTEN)
    replicas = [stage.start(), stage.start()]
    for _ in range(3):
        world.advance(7)
        stage.until(lambda: _all_younger_than_a_day(stage))
        passes = stage.logged("reconcile.finished")  # which also says that the watcher has seen it
        stage.until(lambda passes=passes: stage.logged("reconcile.finished") > passes + 2)  # type: ignore[misc]
        world.advance(1, minutes=1)
        stage.until(lambda: len(world.live) == 2)
    for process in replicas:
        _stop(process)
    stage.promises.hold()
    settle(world, stage.promises)


def _all_younger_than_a_day(stage: Stage) -> bool:
    current = [_current(stage, key.path) for key in stage.world.keys]
    made = {key.id: key.created_at for key in stage.world.server.account.keys}
    a_day_ago = stage.world.server.account.clock.now() - timedelta(days=1)
    return all(id_ and made[id_] > a_day_ago for id_ in current)
