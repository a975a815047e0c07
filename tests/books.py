"""A watcher of the bookkeeping, from outside: what stood in a block is neither forgotten nor dated anew.

It holds where no person restores or rolls back, for then a grace rightly begins again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from rotator.passes.account import Store
from rotator.rules.bookkeeping import FIELD, WITHOUT_GRACE
from rotator.rules.times import parse_time
from rotator.sandbox.ledger import AccountKey
from tests.stores import StoreWrapper
from tests.world import World

TOLERANCE = timedelta(minutes=5)
"""So far a clock may be off the true time, which is the account's."""


class Books:
    """The blocks as the program writes them, each held against the one before."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._blocks: dict[str, Mapping[str, Any]] = {}
        self._by_hand: Counter[str] = Counter()
        """How often people wrote each secret since the program did."""
        self._broken: list[str] = []
        self._texts: dict[str, str | None] = {}
        self._guessed: dict[tuple[str, str], datetime] = {}
        """By path and key: when it was first written without a moment."""

    def watch(self, store: Store) -> Store:
        """Return `store` with the blocks that the program writes watched."""
        return _Watched(store, self)

    def by_hand(self, path: str) -> None:
        """A person wrote the secret. Of two such writes one may have been current; then a grace may begin anew."""
        self._by_hand[path] += 1

    def written(self, path: str, data: Mapping[str, Any]) -> None:
        block = dict(data.get(FIELD) or {})
        if not block:
            return
        before, self._blocks[path] = self._blocks.get(path, {}), block
        # An id that was made up may later be that of a new key.
        another, self._texts[path] = self._texts.get(path) != data.get("api_key"), data.get("api_key")
        found = list(self._forgotten(before, block))
        if self._by_hand.pop(path, 0) <= 1:
            found += self._redated(path, before, block)
            found += [] if another else self._moved(before, block)
        self._broken += [f"{path}: {what}" for what in found]

    def hold(self) -> None:
        assert not self._broken, self._broken[0]

    def _redated(self, path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        said = before.get("superseded", {})
        for id_, since in after["superseded"].items():
            if since is None:
                self._guessed.setdefault((path, id_), self._now())
                if said.get(id_):
                    yield f"key {id_} is superseded since it is not known when, which was {said[id_]}"
            elif parse_time(since) == WITHOUT_GRACE:
                continue
            elif said.get(id_, since) not in (since, None):
                yield f"key {id_} is superseded since {since}, which was {said[id_]}"
            elif (guessed := self._guessed.pop((path, id_), None)) and parse_time(
                since
            ) < guessed - TOLERANCE:
                yield f"key {id_} is superseded since {since}, but was not before {guessed}"
            elif guessed is None and id_ not in said and self._is_off(since):
                yield f"key {id_} is superseded since {since}, which it was not"
        rotated_at = after["rotated_at"]
        another = bool(before) and before["key_id"] != after["key_id"]
        if another and self._is_off(rotated_at) and not self._is_made_at(after):
            yield f"rotated at {rotated_at}, which it was not"

    def _moved(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        rotated_at = after["rotated_at"]
        if before.get("key_id") == after["key_id"] and before["rotated_at"] not in (rotated_at, None):
            yield f"rotated at {rotated_at}, which was {before['rotated_at']}"

    def _forgotten(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        named = _named(after)
        for id_ in sorted(_named(before) - named):
            key, rotated_at = self._live(id_), before["rotated_at"]
            # Else the id was given again.
            if key and (rotated_at is None or key.created_at <= parse_time(rotated_at) + TOLERANCE):
                yield f"key {id_} lives, and is forgotten"

    def _now(self) -> datetime:
        return self._world.server.account.clock.now()

    def _live(self, id_: str) -> AccountKey | None:
        """The key, unless it is dead or, by all that the gateway ever says, would be."""
        account = self._world.server.account
        live = (key for key in account.keys if key.live and str(key.id) == id_)
        return next((key for key in live if account.quirks.status(key).lower() != "revoked"), None)

    def _is_made_at(self, block: Mapping[str, Any]) -> bool:
        """Whether the block says that the key was rotated when it was made: so it is where it was adopted."""
        ledger = self._world.server.account.keys
        made = [key.created_at for key in ledger if key.id == block["key_id"]]
        return any(abs(parse_time(block["rotated_at"]) - at) <= TOLERANCE for at in made)

    def _is_off(self, at: str | None) -> bool:
        return at is not None and abs(parse_time(at) - self._now()) > TOLERANCE


def _named(block: Mapping[str, Any]) -> set[str]:
    return {str(block["key_id"]), *block["superseded"]} if block else set()


class _Watched(StoreWrapper):
    def __init__(self, store: Store, books: Books) -> None:
        super().__init__(store)
        self._books = books

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        number = super().write(path, data, cas=cas)
        self._books.written(path, data)
        return number
