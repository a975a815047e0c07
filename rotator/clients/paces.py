"""Which calls to a server share a limit, learned from its answers.

A server may limit all its calls together, or a method by itself. At first there is one pace for all, because that
keeps best to a limit that is shared. If one method alone is refused, time after time, while others go well, it
keeps the pace that was learned, and the others begin anew. Pure, as `pace`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from rotator.clients.pace import Pace, Turn

_CHANCE: Final = 0.001
"""Refusals of one method alone are no coincidence, where it would be as unlikely as this."""
_LEAST: Final = 1 / 3
"""The chance of a single one is never taken for less: what was called long before says little."""


class Paces:
    """The paces of one server."""

    def __init__(self, most: int, chance: Callable[[], float]) -> None:
        """As for a pace."""
        self._most, self._chance = most, chance
        self._shared = Pace(most, chance)
        self._own: dict[str, Pace] = {}
        self._well: Counter[str] = Counter()
        """Good answers since the last refusal, by method."""
        self._refused = ""
        """The method of the last refusals."""
        self._coincidence = 1.0
        """How likely it would be that a limit on all calls refused this one alone for so long."""

    def __iter__(self) -> Iterator[Pace]:
        yield from (self._shared, *self._own.values())

    def of(self, method: str) -> Pace:
        """Return the pace for calls of this method."""
        return self._own.get(method, self._shared)

    def is_limited_by_itself(self, method: str) -> bool:
        """Whether the server seems to limit this method by itself."""
        return method in self._own

    def good(self, method: str, pace: Pace, turn: Turn, now: float) -> None:
        """A call that was begun at `pace` was answered, and not by a 429."""
        pace.good(turn, now)
        if pace is self._shared:
            self._well[method] += 1

    def refused(self, method: str, pace: Pace, turn: Turn, now: float, retry_after: float | None) -> None:
        """A call that was begun at `pace` was answered 429."""
        pace.refused(turn, now, retry_after)
        if pace is not self._shared or not self._well:
            return
        if method != self._refused:
            self._refused, self._coincidence = method, 1.0
        share = (self._well[method] + 1) / (self._well.total() + 1)
        self._coincidence *= max(share, _LEAST)
        self._well.clear()
        if self._coincidence < _CHANCE:
            self._own[method], self._shared = pace, Pace(self._most, self._chance)
            self._refused = ""
