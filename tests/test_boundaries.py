"""Whatever the instruction at which the process dies, later passes put everything right.

The boundaries are recorded from the run itself: each request to either side, before and after its effect. A request
that is added tomorrow is covered tomorrow.
"""

import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock
from uuid import uuid4

import pytest
import yaml

from rotator.bookkeeping import Rotation
from rotator.sandbox.faults import Fault, Phase, Reply, Status
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH, managed
from tests.processes import Process
from tests.promises import Promises
from tests.proxy import Proxy
from tests.test_store import connect_to
from tests.world import World, loopback_only_environment, new_server

BEARER = "apimall/rotator"


@dataclass
class Stage:
    """A world over a real Vault-API server, with a stand between it and the program, and its promises watched."""

    world: World
    proxy: Proxy
    promises: Promises
    directory: Path
    environ: dict[str, str] = field(repr=False)
    mount: str
    crossed: list[str] = field(default_factory=list)

    def start(self) -> Process:
        keys = [{"name": key.name, "path": key.path, "rotation_period": "7d"} for key in self.world.keys]
        sources = {"env": "APIMALL_API_KEY"}
        if self.world.bearer_path:
            sources["vault"] = BEARER
        config = {
            "gateway": {"url": self.world.server.url, "max_concurrency": 1, "api_key": sources},
            "vault": {"address": self.proxy.address, "mount": self.mount},
            "keys": keys,
        }
        path = self.directory / "rotator.yaml"
        path.write_text(yaml.safe_dump(config))
        return Process(self.directory, ["--config", str(path), "--once"], self.environ)

    def cross(self, at: int, act: Callable[[Process], None]) -> int | None:
        """Run the program; at boundary number `at`, `act` on it. Return its exit code; None if it got that far."""
        reached, lock = Event(), Lock()
        self.crossed.clear()
        started = Event()
        process: list[Process] = []

        def boundary(method: str, path: str, phase: Phase) -> None:
            with lock:
                self.crossed.append(f"{phase.value} {method} {path.split('/')[-1]}")
                here = len(self.crossed) - 1 == at
            if here:
                started.wait()
                reached.set()
                act(process[0])

        self.world.server.hook = self.proxy.hook = boundary
        process.append(self.start())
        started.set()
        code = process[0].wait()
        self.world.server.hook = self.proxy.hook = None
        return code if reached.is_set() else None


def kill(process: Process) -> None:
    process.kill()
    raise ConnectionResetError  # what was not forwarded yet never will be


def terminate(process: Process) -> None:
    process.send(signal.SIGTERM)


def missing(stage: Stage) -> None:
    """Nothing is there yet, not even an identity."""


def due(stage: Stage) -> None:
    stage.world.make_pass()
    stage.world.advance(7)


def due_with_a_revocation(stage: Stage) -> None:
    due(stage)
    stage.world.make_pass()
    stage.world.advance(7)


def sweep(stage: Stage) -> None:
    stage.world.make_pass()
    stage.world.advance(1)
    stage.world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=2))
    stage.world.make_pass(forced=True)
    stage.world.advance(1, minutes=16)


def adoption(stage: Stage) -> None:
    by_hand = stage.promises.by_hand("made by hand")
    stage.world.store.write(PATH, {"api_key": by_hand.plaintext, "note": "keep me"}, cas=0)


def record(stage: Stage) -> None:
    """Somebody wrote a secret, with its bookkeeping, over ours."""
    stage.world.make_pass()
    by_hand = stage.promises.by_hand("made by hand")
    rotation = Rotation(by_hand.id, by_hand.title, by_hand.created_at, by_hand.created_at, {})
    stage.world.store.write(PATH, rotation.merged_into({"api_key": by_hand.plaintext}), cas=1)


def lost_race(stage: Stage) -> None:
    """Somebody puts another key into the secret between our create and our store."""
    due(stage)
    secret = {**stage.world.secret(), "api_key": stage.promises.by_hand("by hand").plaintext}

    def rival(reply: Reply | None) -> Reply | None:
        stage.world.store.write(PATH, secret, cas=1)
        return reply

    stage.world.server.faults.add(Fault("POST /keys", rival, at=Phase.AFTER))


def bearer(stage: Stage) -> None:
    stage.world.keys = (managed(), replace(managed(), name="Rotator", path=BEARER))
    stage.world.bearer_path = BEARER
    due_with_a_revocation(stage)


SCENES = [missing, due, due_with_a_revocation, sweep, adoption, record, lost_race, bearer]


@contextmanager
def staged(scene: Callable[[Stage], None], vault: VaultServer, directory: Path) -> Iterator[Stage]:
    mount = f"kv-{uuid4().hex[:8]}"
    vault.api("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
    directory.mkdir()
    with new_server() as gateway, Proxy(vault.address) as proxy:
        world = World(gateway, connect_to(proxy.address, vault.token, mount))
        environ = {
            **loopback_only_environment(),
            "HOME": str(directory),
            "APIMALL_API_KEY": gateway.account.bootstrap.plaintext,
            "VAULT_TOKEN": vault.token.reveal(),
        }
        promises = Promises(world)
        proxy.watch = promises.seen
        stage = Stage(world, proxy, promises, directory, environ, mount)
        scene(stage)
        yield stage


def _later_passes(stage: Stage) -> None:
    """What comes after a crash: passes in their usual rhythm, until everything is over its grace."""
    for minutes in (3, 15, 60 * 24, 60 * 24):
        stage.world.advance(0, minutes=minutes)
        stage.world.make_pass()
        stage.promises.hold()
    assert stage.world.log[-1].converged
    stage.promises.converged()


@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_every_boundary(
    scene: Callable[[Stage], None], vault_server: VaultServer, tmp_path: Path
) -> None:
    for at in itertools.count():
        with staged(scene, vault_server, tmp_path / str(at)) as stage:
            code = stage.cross(at, kill)
            stage.promises.hold()
            _later_passes(stage)
            if code is None:  # it ended before it got so far: there are no more
                assert len(stage.crossed) == at >= 8
                print(f"{scene.__name__}: killed at {at} boundaries")
                break
            assert code == -signal.SIGKILL


@pytest.mark.parametrize("scene", SCENES)
def test_asked_to_stop_at_every_boundary(
    scene: Callable[[Stage], None], vault_server: VaultServer, tmp_path: Path
) -> None:
    for at in itertools.count():
        with staged(scene, vault_server, tmp_path / str(at)) as stage:
            made = len(stage.world.server.account.ledger)
            code = stage.cross(at, terminate)
            stage.promises.hold()
            created = stage.world.server.account.ledger[made:]
            published = {stage.world.secret(key.path).get("api_key") for key in stage.world.keys}
            # What was created was stored too, or revoked because somebody else was first.
            assert all(key.plaintext in published or not key.live for key in created)
            if code is None:
                break
            assert code == 0
