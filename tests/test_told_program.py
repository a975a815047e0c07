"""Consumers that are told, by the real program between a real Vault-API server and the sandbox's gateway."""

import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from rotator.sandbox.faults import Phase
from rotator.sandbox.vault import VaultServer
from tests.processes import Process
from tests.program import BACKEND, Program
from tests.receiver import SECRET, receiving
from tests.receiver import Receiver as Listener
from tests.serving import Answering, reply
from tests.stage import Stage, kill, staged
from tests.test_told import hanging
from tests.traffic import BOUND
from tests.vaults import new_token

NAME = "Production backend"
ACK = f"rotator/acks/{BACKEND}/batch"


def policy(mount: str, *, acks: str = '"create", "read", "update"') -> str:
    return f"""
        path "{mount}/data/apimall/*" {{ capabilities = ["create", "read", "update"] }}
        path "{mount}/data/rotator/installation" {{ capabilities = ["create", "read"] }}
        path "{mount}/data/rotator/claims/*" {{ capabilities = ["create", "read", "update"] }}
        path "{mount}/data/rotator/acks/*" {{ capabilities = [{acks}] }}
    """


@pytest.fixture
def receiver(rotator: Program) -> Iterator[Listener]:
    with receiving() as receiver:
        rotator.environ["WEBHOOK_SECRET"] = SECRET
        consumer = {"name": "batch", "url": receiver.url, "secret": {"env": "WEBHOOK_SECRET"}}
        rotator.config["keys"] = [rotator.config["keys"][0] | {"consumers": [consumer]}]
        yield receiver


def test_its_2xx_is_its_confirmation(
    rotator: Program, receiver: Listener, vault_server: VaultServer, mount: str
) -> None:
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount)).reveal()
    assert rotator.run("--once").code == 0
    done = rotator.run("--once", "--json")
    [event] = receiver.events()
    assert (done.code, event["subject"], done.json["keys"][0]["untold"]) == (0, NAME, [])
    key_id = done.json["keys"][0]["key_id"]
    assert event["data"]["key_id"] == key_id
    assert event["data"]["mount"] == mount
    said = vault_server.api("GET", f"{mount}/data/{ACK}")["data"]["data"]
    assert said == {"key_id": key_id, "event": event["id"]}


@pytest.mark.parametrize(
    ("mode", "answer"),
    [("--once", reply(500)), ("--rotate-now", reply(410)), ("--rotate-now", hanging)],
)
def test_no_exit_code_says_that_a_receiver_did_not_take_it(
    rotator: Program, receiver: Listener, mode: str, answer: Answering
) -> None:
    receiver._answers = [answer]
    done = rotator.run(mode, "--json")
    assert (done.code, done.json["keys"][0]["untold"]) == (0, ["batch"])
    assert "consumer.untold" in done.err
    assert rotator.run("status").code == 0


def test_the_line_that_a_policy_lacks_is_named_and_cures_it(
    rotator: Program, receiver: Listener, vault_server: VaultServer, mount: str
) -> None:
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount, acks='"read"')).reveal()
    done = rotator.run("--once")
    assert (done.code, receiver.received) == (0, [])
    assert f"lacks create, update on {mount}/data/{ACK}" in done.err
    checked = rotator.run("check", "--json")
    [found] = [finding for finding in checked.json["checks"] if finding["state"] == "bad"]
    assert (checked.code, found["name"]) == (1, "Vault policy")
    assert f"lacks create, update on {mount}/data/{ACK}" in found["seen"]
    cured = policy(mount, acks='"read"') + found["cure"].partition("\n")[2]
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, cured).reveal()
    assert rotator.run("check").code == 0
    assert rotator.run("--once").code == 0
    assert len(receiver.received) == 1


def test_check_names_what_signs_and_is_not_there(rotator: Program, receiver: Listener) -> None:
    del rotator.environ["WEBHOOK_SECRET"]
    done = rotator.run("check", "--json")
    [found] = done.json["checks"]
    assert done.code == 2
    assert "keys[0].consumers[0].secret: names a source that is empty or not set" in found["seen"]


class TestAProcess:
    @pytest.fixture
    def stage(self, vault_server: VaultServer, tmp_path: Path) -> Iterator[Stage]:
        with staged(vault_server, tmp_path / "stage") as stage:
            yield stage

    def configure(self, stage: Stage, receiver: Listener) -> None:
        [key] = stage.world.keys
        consumer = {"name": "batch", "url": receiver.url, "secret": {"env": "WEBHOOK_SECRET"}}
        stage.environ["WEBHOOK_SECRET"] = SECRET
        entry = {"name": key.name, "path": key.path, "rotation_period": "7d", "consumers": [consumer]}
        stage.configure(schedule={"every": "1s", "jitter": "0s"}, keys=[entry])

    def test_that_dies_before_the_record_is_written_is_followed_by_one_that_tells_again(
        self, stage: Stage
    ) -> None:
        with receiving() as receiver:
            self.configure(stage, receiver)
            process: list[Process] = []
            started = Event()

            def die(method: str, path: str, phase: Phase) -> None:
                if method == "POST" and "/acks/" in path and phase is Phase.BEFORE:
                    started.wait(BOUND)
                    stage.proxy.hook = None
                    kill(process[0])

            stage.proxy.hook = die
            process.append(stage.start("--once"))
            started.set()
            assert process[0].wait() == -signal.SIGKILL
            assert len(receiver.received) == 1
            assert stage.start("--once").wait() == 0
            assert stage.start("--once").wait() == 0
        first, second = receiver.ids()
        assert first == second

    def test_that_is_stopped_waits_for_no_more_than_one_exchange(self, stage: Stage) -> None:
        with receiving(*[hanging] * 99) as receiver:
            self.configure(stage, receiver)
            process = stage.start()
            stage.until(lambda: bool(receiver.received))
            process.send(signal.SIGTERM)
            assert process.wait() == 0
        assert len(receiver.received) == 1

    def test_that_runs_on_tells_once(self, stage: Stage) -> None:
        with receiving(reply(503)) as receiver:
            self.configure(stage, receiver)
            process = stage.start()
            stage.until(lambda: stage.logged("reconcile.finished") >= 4)
            process.send(signal.SIGTERM)
            assert process.wait() == 0
        first, second = receiver.ids()
        assert first == second
