"""Stores that fail, lag or move under the program's hands; all else is the store behind them."""

from rotator.errors import RotatorError, Transient
from rotator.model import Version
from tests.facts import PATH
from tests.memory_store import MemoryStore

CUT = Transient("cut", ambiguous=True)
DOWN = Transient("down", ambiguous=False)


class Faulty:
    """A store that fails as it is told to; all else is the store behind it."""

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
    """A store whose first read of a path is stale: as if it had never been written."""

    def __init__(self, store: MemoryStore, path: str) -> None:
        self._store, self._path, self._stale = store, path, 2

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == self._path and self._stale:
            self._stale -= 1
            return Version(0, None)
        return self._store.read(path, version)


class Moving:
    """A store in which a person restores the first version after `reads` reads of the secret."""

    def __init__(self, store: MemoryStore, *, reads: int) -> None:
        self._store, self._reads = store, reads

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == PATH:
            if self._reads == 0:
                self._store.put(PATH, self._store.read(PATH, 1).data or {})
            self._reads -= 1
        return self._store.read(path, version)
