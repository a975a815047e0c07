"""Stores that fail, lag or move under the program's hands; all else is the store behind them."""

from collections.abc import Callable
from typing import Any

from rotator.errors import RotatorError, Transient
from rotator.model import Version
from rotator.store import Store
from tests.facts import PATH
from tests.memory_store import MemoryStore

CUT = Transient("cut", ambiguous=True)
DOWN = Transient("down", ambiguous=False)


class Faulty:
    """A store whose writes fail as they are told to."""

    def __init__(self, store: MemoryStore, path: str = PATH) -> None:
        self._store, self._path = store, path
        self.before: list[RotatorError] = []
        """Raised by the next writes, before their effect."""
        self.after: list[RotatorError] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def write(self, path: str, data: dict[str, object], *, cas: int) -> int:
        if path == self._path and self.before:
            raise self.before.pop(0)
        number = self._store.write(path, data, cas=cas)
        if path == self._path and self.after:
            raise self.after.pop(0)
        return number


class StaleOnce:
    """A store whose first reads of a path are stale: as if it had never been written."""

    def __init__(self, store: MemoryStore, path: str, times: int = 2) -> None:
        self._store, self._path, self._stale = store, path, times
        self.once: list[bool] = []
        """How it was asked for what was stale."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == self._path and self._stale:
            self._stale -= 1
            self.once.append(once)
            return Version(0, None)
        return self._store.read(path, version)


class Paused(Faulty):
    """A store whose first write of the secret is held up while `meanwhile` happens."""

    def __init__(self, store: MemoryStore, meanwhile: Callable[[], object]) -> None:
        super().__init__(store)
        self._meanwhile: Callable[[], object] | None = meanwhile

    def write(self, path: str, data: dict[str, object], *, cas: int) -> int:
        if path == PATH and self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return super().write(path, data, cas=cas)


class Stale(Faulty):
    """A store that goes on reading what the secret was when this was made; its writes see the truth."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self._then = store.read(PATH)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        return self._then if path == PATH and version is None else self._store.read(path, version)


class Lagging:
    """A standby: its reads are so many versions behind, of every path; its writes see the truth."""

    def __init__(self, store: Store, behind: int) -> None:
        self._store, self._behind = store, behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        seen = max(0, self._store.read(path).number - self._behind)
        number = seen if version is None else version
        return self._store.read(path, number, once=once) if 0 < number <= seen else Version(0, None)
