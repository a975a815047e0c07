"""The program as a process, between a real Vault-API server and the sandbox's gateway, watched from all sides."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import TypeVar

import yaml

from rotator.sandbox.faults import Phase
from rotator.sandbox.ledger import Clock
from rotator.sandbox.vault import VaultServer
from tests.leaks import leaks
from tests.long import LONG
from tests.processes import BOUND, Process
from tests.promises import Promises
from tests.proxy import Proxy
from tests.vaults import connect_to, new_kv
from tests.world import ANY_CLOCK, World, later, loopback_only_environment, new_server

BEARER = "apimall/rotator"
# Dead after one request or dead before the next one is the same to the world. The long run does not take that for
# granted.
KILLED_AT = {Phase.BEFORE, Phase.AFTER} if LONG else {Phase.AFTER}
# Asked to stop after one request or before the next one is the same to the world, too.
STOPPED_AT = {Phase.BEFORE, Phase.AFTER} if LONG else {Phase.BEFORE}
LEAST = 4
"""So many boundaries has any scene: the list, the identity, the secret, and a write."""


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
    tolerance: str = ANY_CLOCK
    """Between the gateway's clock and this machine's."""

    def configure(self, **more: object) -> Path:
        """Write the config, with `more` blocks in it, unless it is there and there are none."""
        keys = [{"name": key.name, "path": key.path, "rotation_period": "7d"} for key in self.world.keys]
        sources = {"env": "APIMALL_API_KEY"}
        if self.world.bearer_path:
            sources["vault"] = BEARER
        config = {
            "gateway": {"url": self.world.server.url, "max_concurrency": 1, "api_key": sources},
            "vault": {"address": self.proxy.address, "mount": self.mount},
            "keys": keys,
            "http": {"listen": None},
            "clock_tolerance": self.tolerance,
        }
        path = self.directory / "rotator.yaml"
        if more or not path.exists():
            merged = {name: value for name, value in {**config, **more}.items() if value is not None}
            path.write_text(yaml.safe_dump(merged))
        return path

    def start(self, *mode: str) -> Process:
        """Run the program in this mode; in the long-running one if there is none."""
        arguments = ["--config", str(self.configure()), "--log-level", "debug", *(mode or ("run",))]
        return Process(self.directory, arguments, self.environ)

    def logged(self, event: str) -> int:
        """How often the program has logged this event."""
        log = self.directory / "stderr"
        return log.read_bytes().count(f'"event": "{event}"'.encode()) if log.exists() else 0

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the program does."""
        deadline = time.monotonic() + BOUND
        while not condition():
            assert time.monotonic() < deadline, f"not within {BOUND} s"
            time.sleep(0.01)

    def cross(
        self, at: int, phases: set[Phase], act: Callable[[Process], None], mode: str = "--once"
    ) -> int | None:
        """Run the program; at its boundary number `at` of these phases, `act` on it.

        Return its exit code; None if it ended before it got that far.
        """
        reached, lock = Event(), Lock()
        self.crossed.clear()
        started = Event()
        process: list[Process] = []

        def boundary(method: str, path: str, phase: Phase) -> None:
            if phase not in phases:
                return
            with lock:
                self.crossed.append(f"{phase.value} {method} {path.split('/')[-1]}")
                here = len(self.crossed) - 1 == at
            if here:
                started.wait()
                reached.set()
                act(process[0])

        self.world.server.hook = self.proxy.hook = boundary
        process.append(self.start(*mode.split()))
        started.set()
        code = process[0].wait()
        self.world.server.hook = self.proxy.hook = None
        return code if reached.is_set() else None

    def leaks(self) -> list[str]:
        """Secrets in what the program printed, at every log level."""
        printed = b"".join(file.read_bytes() for file in self.directory.rglob("std*"))
        plaintexts = [key.plaintext for key in self.world.server.account.keys]
        return leaks(printed, [*plaintexts, self.environ["VAULT_TOKEN"]])


S = TypeVar("S", bound=Stage)


def kill(process: Process) -> None:
    process.kill()
    raise ConnectionResetError  # what was not forwarded yet never will be


def terminate(process: Process) -> None:
    process.send(signal.SIGTERM)


@contextmanager
def staged(vault: VaultServer, directory: Path, clock: Clock | None = None) -> Iterator[Stage]:
    """Set a stage, and search what was printed on it for secrets when it is left. `clock` is the gateway's."""
    with staged_as(Stage, vault, directory, clock) as stage:
        yield stage


@contextmanager
def staged_as(kind: type[S], vault: VaultServer, directory: Path, clock: Clock | None = None) -> Iterator[S]:
    """The same for a stage of another kind."""
    mount = new_kv(vault)
    directory.mkdir()
    with new_server(clock or later()) as gateway, Proxy(vault.address) as proxy:
        world = World(gateway, connect_to(proxy.address, vault.token, mount))
        environ = {
            **loopback_only_environment(),
            "HOME": str(directory),
            "APIMALL_API_KEY": gateway.account.bootstrap.plaintext,
            "VAULT_TOKEN": vault.token.reveal(),
        }
        promises = Promises(world, connect_to(vault.address, vault.token, mount))
        proxy.watch = promises.seen
        stage = kind(world, proxy, promises, directory, environ, mount)
        stage.tolerance = "5m" if clock else ANY_CLOCK
        yield stage
        assert stage.leaks() == []


def settle(world: World, promises: Promises) -> None:
    """Let later passes come in their usual rhythm, until all is over its grace; then all must be well."""
    for minutes in (3, 15, 60 * 24, 60 * 24):
        world.advance(0, minutes=minutes)
        world.make_pass()
        promises.hold()
    assert world.log[-1].converged
    promises.converged()
