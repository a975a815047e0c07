"""A watcher of the bookkeeping, from outside: what stood in a block is neither forgotten nor dated anew.

It holds where no person restores or rolls back, for then a grace rightly begins again.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rotator.bookkeeping import FIELD, WITHOUT_GRACE, parse_time
from rotator.store import Store
from tests.stores import StoreWrapper
from tests.world import World

TOLERANCE = timedelta(minutes=5)
"""So far a clock may be off the true time, which is the account's."""


class Books:
    """The blocks as the program writes them, each held against the one before."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._blocks: dict[str, Mapping[str, Any]] = {}
        self._broken: list[str] = []

    def watch(self, store: Store) -> Store:
        """Return `store` with the blocks that the program writes watched."""
        return _Watched(store, self)

    def by_hand(self, path: str, data: Mapping[str, Any]) -> None:
        """A person wrote the secret. Of ids that they put there, nothing is promised but that they are kept."""
        self._blocks[path] = dict(data.get(FIELD) or {})

    def written(self, path: str, data: Mapping[str, Any]) -> None:
        block = dict(data.get(FIELD) or {})
        if block:
            before, self._blocks[path] = self._blocks.get(path, {}), block
            self._broken += [f"{path}: {what}" for what in self._changes(before, block)]

    def hold(self) -> None:
        assert self._broken == []

    def _changes(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
        broken = []
        named = {str(after["key_id"]), *after["superseded"]}
        live = {str(key.id) for key in self._world.server.account.ledger if key.live}
        for id_ in {str(before.get("key_id")), *before.get("superseded", {})} & live - named:
            broken.append(f"key {id_} lives, and is forgotten")
        for id_, since in before.get("superseded", {}).items():
            now_since = after["superseded"].get(id_)
            if now_since not in (None, since) and parse_time(now_since) != WITHOUT_GRACE:
                broken.append(f"key {id_} is superseded since {now_since}, which was {since}")
        if before.get("key_id") == after["key_id"]:
            if before.get("rotated_at", after["rotated_at"]) != after["rotated_at"]:
                broken.append(f"rotated at {after['rotated_at']}, which was {before['rotated_at']}")
        elif before and self._is_off(after["rotated_at"]):
            broken.append(f"rotated at {after['rotated_at']}, which it was not")
        for id_ in after["superseded"].keys() - before.get("superseded", {}).keys():
            if self._is_off(since := after["superseded"][id_]) and parse_time(since) != WITHOUT_GRACE:
                broken.append(f"key {id_} is superseded since {since}, which it was not")
        return broken

    def _is_off(self, at: str) -> bool:
        return abs(parse_time(at) - self._world.server.account.clock.now()) > TOLERANCE


class _Watched(StoreWrapper):
    def __init__(self, store: Store, books: Books) -> None:
        super().__init__(store)
        self._books = books

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        number = super().write(path, data, cas=cas)
        self._books.written(path, data)
        return number
