"""A stage on which two releases play in turns or at once, and what must be true whoever made the last pass."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from threading import Event
from typing import Any

from rotator.sandbox.faults import Phase
from tests.old_release import OldProcess
from tests.processes import Process
from tests.stage import Stage, kill

NEIGHBOURS = {"endpoint": "https://api.example.com", "note": "keep me"}
"""What else is in each secret, and must stay there."""


@dataclass(frozen=True, eq=False)
class Release:
    name: str
    process: type[Process]
    long_running: tuple[str, ...] = ("run",)
    """What begins its long-running mode."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """What its config says beyond the stage's. An older release refuses a field that it does not know."""


OLD = Release("old", OldProcess, (), {"clock_tolerance": None})  # it knows no such field
PRESENT = Release("present", Process)
RELEASES = (OLD, PRESENT)


@dataclass
class Crossing(Stage):
    release: Release = PRESENT
    """The one that is started next."""
    fields: dict[str, object] = field(default_factory=dict)
    """What the configs of this stage say beyond the usual."""
    runs: int = 0
    dark: list[str] = field(default_factory=list)
    """Where a current key did not work right after some key had been revoked."""

    bare: bool = False
    """Nobody put other fields into the secrets, or somebody took them out."""
    unprovable: bool = False
    """Of a key it can no longer be told whether it was published: it may stay, if it is named."""

    def __post_init__(self) -> None:
        self.world.server.hook = self.look

    def configure(self, **more: object) -> Any:
        written = super().configure(
            **{"http": {"listen": None}, **self.fields, **self.release.fields, **more}
        )
        return written.replace(self.directory / f"{self.release.name}.yaml")

    def start(self, *mode: str) -> Process:
        self.runs += 1
        directory = self.directory / f"run-{self.runs}"
        directory.mkdir()
        arguments = ["--config", str(self.configure()), "--log-level", "debug"]
        arguments += mode or self.release.long_running
        return self.release.process(directory, arguments, self.environ)

    def begin(self, release: Release, *mode: str) -> Process:
        self.release = release
        return self.start(*mode)

    def run(self, release: Release, *mode: str, code: int | None = 0) -> Any:
        """Run a command to its end; return what it printed as JSON. With `code` None it may fail."""
        process = self.begin(release, *mode, "--json")
        ended = process.wait()
        assert ended in ((0, 1) if code is None else (code,)), process.err.read_text()[-2000:]
        return json.loads(process.out.read_text()) if process.out.read_text() else None

    def killed(
        self, release: Release, where: str, *mode: str, phase: Phase = Phase.AFTER, nth: int = 1
    ) -> None:
        """Run a command until the `nth` request like `where`, and kill it there."""
        seen, started = [0], Event()
        process: list[Process] = []

        def hook(method: str, path: str, at: Phase) -> None:
            self.look(method, path, at)
            if at is phase and fnmatchcase(f"{method} {path}", where):
                seen[0] += 1
                if seen[0] == nth:
                    started.wait()
                    kill(process[0])

        self.world.server.hook = self.proxy.hook = hook
        process.append(self.begin(release, *(mode or ("--once",))))
        started.set()
        assert process[0].wait() < 0, f"it never came to {where}"
        self.world.server.hook, self.proxy.hook = self.look, None

    def look(self, method: str, path: str, phase: Phase) -> None:
        """Look at each moment at which a current key could have died."""
        if method == "DELETE" and phase is Phase.AFTER:
            account = self.world.server.account
            self.dark += [
                f"{where}, after {method} {path}"
                for where, plaintext in self.promises.current.items()
                if plaintext and account.find(plaintext) and not account.authenticates(plaintext)
            ]

    def make_pass(self, release: Release, *mode: str, code: int | None = 0) -> Any:
        """Make a pass, and hold it to what must be true after each."""
        paths = [key.path for key in self.world.keys]
        worked = {path for path in paths if self._works(path)}
        result = self.run(release, *(mode or ("--once",)), code=code)
        self.check(worked)
        forgotten = self.left - named(result)
        assert not forgotten, f"{release.name} does not say what becomes of {forgotten}: {result}"
        return result

    def check(self, worked: set[str]) -> None:
        """`worked`: where there was a current key before."""
        self.promises.hold()
        assert self.dark == []
        for key in self.world.keys:
            assert key.path not in worked or self._works(key.path), f"the key at {key.path} does not work"
            secret = self.world.secret(key.path)
            kept = {name: value for name, value in secret.items() if name not in ("api_key", "rotation")}
            assert kept in (NEIGHBOURS, {}), f"other fields at {key.path}"
            assert kept or not worked or self.bare, f"the other fields at {key.path} are gone"

    def _works(self, path: str) -> bool:
        plaintext = self.world.secret(path).get("api_key")
        return self.world.server.account.authenticates(plaintext or "") is not None

    @property
    def left(self) -> set[int]:
        """The live keys that the program made and that are not current."""
        account = self.world.server.account
        current = {
            key.id for plaintext in self.promises.current.values() if (key := account.find(plaintext or ""))
        }
        return {key.id for key in self.world.live} - current - self.promises.others

    @property
    def left_of_published(self) -> set[int]:
        """Of those, the ones that were current once."""
        account = self.world.server.account
        once = {key.id for plaintext in self.promises.published if (key := account.find(plaintext))}
        return self.left & once


def named(result: Any) -> set[int]:
    """Every key that a pass's result names by its id, in a field or in words."""
    return set(_named(result))


def _named(value: Any) -> Iterator[int]:
    match value:
        case dict():
            for name, inner in value.items():
                if name in ("key_id", "id") and isinstance(inner, int):
                    yield inner
                yield from _named(inner)
        case list():
            for inner in value:
                yield from [inner] if isinstance(inner, int) else _named(inner)
        case str():
            for ids in re.findall(r"\bkeys? ([0-9]+(?:(?:, | and )[0-9]+)*)", value):
                yield from map(int, re.findall("[0-9]+", ids))
