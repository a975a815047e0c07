"""Stores that fail, lag or move under the program's hands; all else is the store behind them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from rotator.errors import RotatorError, Transient
from rotator.passes.account import Store
from rotator.rules.installation import Whereabouts
from rotator.rules.model import Version
from tests.facts import PATH
from tests.memory_store import MemoryStore

CUT = Transient("cut", ambiguous=True)
DOWN = Transient("down", ambiguous=False)


class StoreWrapper:
    """Hands everything on to the store behind it; a subclass changes a part."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        return self._store.read(path, version, once=once)

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        return self._store.write(path, data, cas=cas)

    def read_custom(self, path: str) -> Mapping[str, str] | None:
        return self._store.read_custom(path)

    def write_custom(self, path: str, changes: Mapping[str, str | None]) -> None:
        self._store.write_custom(path, changes)

    def check_mount(self) -> None:
        self._store.check_mount()

    def whereabouts(self) -> Whereabouts:
        return self._store.whereabouts()

    def missing_capabilities(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        return self._store.missing_capabilities(needed)

    def token_ttl(self, *, at_least: timedelta = timedelta()) -> timedelta | None:
        return self._store.token_ttl(at_least=at_least)


class Faulty(StoreWrapper):
    """A store whose writes fail as they are told to."""

    def __init__(self, store: Store, path: str = PATH) -> None:
        super().__init__(store)
        self._path = path
        self.before: list[RotatorError] = []
        """Raised by the next writes, before their effect."""
        self.after: list[RotatorError] = []

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        if path == self._path and self.before:
            raise self.before.pop(0)
        number = super().write(path, data, cas=cas)
        if path == self._path and self.after:
            raise self.after.pop(0)
        return number


class Overtaken(StoreWrapper):
    """A store whose writes of the secret land, lose their answers, and are written over by a person at once."""

    def __init__(self, store: MemoryStore, theirs: Mapping[str, Any]) -> None:
        super().__init__(store)
        self._memory, self._theirs = store, theirs

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        number = super().write(path, data, cas=cas)
        if path == PATH:
            self._memory.put(PATH, self._theirs)
            raise CUT
        return number


class StaleAtFirst(StoreWrapper):
    """A store whose first reads of a path are stale: as if it had never been written."""

    def __init__(self, store: Store, path: str, times: int = 2) -> None:
        super().__init__(store)
        self._path, self._stale = path, times
        self.once: list[bool] = []
        """How it was asked for what was stale."""

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == self._path and self._stale:
            self._stale -= 1
            self.once.append(once)
            return Version(0, None)
        return super().read(path, version, once=once)


class Paused(StoreWrapper):
    """A store whose first write at `path`, of the secret by default, is held up while `meanwhile` happens."""

    def __init__(self, store: Store, meanwhile: Callable[[], object], path: str = PATH) -> None:
        super().__init__(store)
        self._path = path
        self._meanwhile: Callable[[], object] | None = meanwhile

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        if path == self._path and self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return super().write(path, data, cas=cas)


class Stale(StoreWrapper):
    """A store that goes on reading what the secret was when this was made; its writes see the truth."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._then = store.read(PATH)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        return self._then if path == PATH and version is None else super().read(path, version, once=once)


class Lagging(StoreWrapper):
    """A standby: its reads are so many versions behind, of every path; its writes see the truth."""

    def __init__(self, store: Store, behind: int) -> None:
        super().__init__(store)
        self._behind = behind

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        seen = max(0, self._store.read(path).number - self._behind)
        number = seen if version is None else version
        return self._store.read(path, number, once=once) if 0 < number <= seen else Version(0, None)


class Unreadable(StoreWrapper):
    """A Vault that lets nobody read a confirmation."""

    def __init__(self, store: Store, error: Exception) -> None:
        super().__init__(store)
        self._error = error
        self.asked: list[bool] = []
        """Whether each question was to be asked once."""

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path.startswith("rotator/acks/"):
            self.asked.append(once)
            raise self._error
        return super().read(path, version, once=once)
