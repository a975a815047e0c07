"""How fast a server may be called, learned from its answers.

A 429 means "too fast" or "too many at once", and does not say which. Calls that were made side by side before, and
answered well, were not too many: then it was too fast. There is no channel to other processes that share the limit;
each learns its share of it. Pure: it is told the time, and takes its chance from its caller.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

_ENOUGH: Final = 5
"""So many good answers to calls side by side prove that so many may be."""
_BACK: Final = 0.96
"""A refused rate is cut to this share of it, or to less."""
_FAR_BACK: Final = 0.88
"""It is not cut to less than this share, unless it was far too fast."""
_STAY: Final = 15.0
"""Seconds below a limit that was met, before a higher rate is tried."""
_SEEK: Final = 0.03
"""The rate's growth in a second, as a share of it, until its limit is met a second time."""
_GUESSED: Final = 0.15
"""The same, where the rate was first taken from few good answers."""
_PROBE: Final = 0.005
"""The same, near a limit that was met. It doubles with each further _STAY without a refusal."""
_FASTEST: Final = 0.5
"""The same, at most."""
_FEW: Final = 10
"""Good answers between two refusals that say nothing of a rate but together with the wait after them."""
_IDLE: Final = 1.0
"""Seconds: in a longer gap there was nothing to call for."""
_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 20.0
"""Seconds, after a refusal that does not say when to come again."""
_SLOWEST: Final = 1 / 60
"""Calls a second."""
LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds: a server that asks for more, perhaps by mistake, is asked again."""


@dataclass(frozen=True)
class Turn:
    """One call that was begun."""

    at: float
    beside: int
    """How many calls were under way then, with this one."""


@dataclass
class Pace:
    """What was learned of a server. Times are seconds of any clock that only goes forward."""

    most: int
    """Calls at once, never more."""
    chance: Callable[[], float]
    """Between 0 and 1. All who were told the same second should not come back in it."""
    rate: float | None = None
    """Calls a second; None as long as no limit was met."""
    width: int = 2
    """Calls at once, for now."""
    under_way: int = 0
    not_before: float = -inf
    _next: float = -inf
    """When the next call may be begun at this rate."""
    _proven: int = 1
    """So many calls at once were answered well."""
    _met_width: bool = False
    """Whether more at once than that were refused."""
    _seeking: float = 0.0
    """The rate's growth in a second while its limit is looked for; 0 once that was met."""
    _well: Counter[int] = field(default_factory=Counter)
    """Good answers, by how many calls were under way when the call was begun."""
    _clean: int = 0
    """Good answers since the last refusal."""
    _row: int = 0
    """Refusals since the last good answer."""
    _since: float | None = None
    """When the first call after the last refusal was made; later by as long as there was nothing to call for."""
    _idle_since: float = -inf
    _second: float = -inf
    """When the second began whose calls are counted now."""
    _begun: int = 0
    """Calls begun in it, so far."""
    _tried: int = 1
    """The most calls begun in such a second, since the last refusal."""
    _grown: float = 0.0
    """When the rate was raised last."""
    _cut: float = -inf
    """When the last refusal came that was learned from."""

    def wait(self, now: float) -> float:
        """Seconds until a call may be begun, as far as is known; infinite while it waits for another one's end."""
        if self.under_way >= self.width:
            return inf
        return max(0.0, self.not_before - now, self._next - now)

    def begin(self, now: float) -> Turn:
        """Begin a call."""
        idle = now - max(self._idle_since, self._next, self.not_before) if not self.under_way else 0.0
        self._since = now if self._since is None else self._since + (idle if idle > _IDLE else 0.0)
        self.under_way += 1
        self._count(now)
        if self.rate:
            late = max(0.1, 1 / self.rate)  # a wait that took longer is made up for
            self._next = max(self._next, now - late) + 1 / self.rate
        return Turn(now, self.under_way)

    def end(self, now: float) -> None:
        """A call is over, however it ended."""
        self.under_way -= 1
        self._idle_since = now

    def good(self, turn: Turn, now: float) -> None:
        """A call was answered, and not by a 429."""
        self._clean, self._row = self._clean + 1, 0
        self._well[turn.beside] += 1
        self._proven = max(self._proven, self._borne())
        # The first steps are quick; one beyond a limit that was met is tried seldom.
        if self._clean % (self.width * 50 if self._met_width else 1) == 0:
            self.width = min(self.most, self.width + 1)
        self._grow(now)

    def refused(self, turn: Turn, now: float, retry_after: float | None) -> None:
        """A call was answered 429."""
        # A server that says "at once", again and again, does not mean it.
        wait = own = min(_FIRST_WAIT * 2 ** min(self._row, 10), _LONGEST_WAIT)
        if retry_after is not None:
            wait = min(max(retry_after, own if self._row else 0.0), LONGEST_RETRY_AFTER)
        apart = min(1.0, 1 / self.rate) if self.rate else 0.1
        self.not_before = max(self.not_before, now + wait + self.chance() * apart)
        if turn.at <= self._cut:
            return  # it was under way when the others of its kind were refused
        if self._row and not self._clean:
            pass  # nothing is allowed at all: that says nothing of how fast
        elif turn.beside > self._proven:
            self._met_width, self.width = True, self._proven
            self._well = Counter(
                {n: seen // 2 if n >= turn.beside else seen for n, seen in self._well.items()}
            )
        else:
            self._slow_down(now, wait)
        self._cut, self._since, self._clean, self._row = now, None, 0, self._row + 1
        self._tried = 1

    def _count(self, now: float) -> None:
        if now - self._second >= 1:
            self._second, self._begun = now, 0
        self._begun += 1
        self._tried = max(self._tried, self._begun)

    def _borne(self) -> int:
        """So many calls side by side were answered well, often enough."""
        answers = 0
        for beside in sorted(self._well, reverse=True):
            answers += self._well[beside]
            if answers >= _ENOUGH:
                return beside
        return 1

    def _slow_down(self, now: float, wait: float) -> None:
        passed = now - (self._since if self._since is not None else now)
        seen = self._clean / max(passed + wait, 0.001)
        if self.rate is None:
            self.rate = seen if self._clean else None
            self._seeking = _GUESSED if self._clean < _FEW else _SEEK
        elif 0 < self._clean < _FEW and passed < wait / 2:  # far too fast
            self.rate = min(self.rate * _BACK, max(seen, self.rate / 2))
        else:
            self._seeking = self._seeking / 2 if self._clean < _FEW and self._seeking > _PROBE else 0.0
            self.rate = min(self.rate * _BACK, max(seen, self.rate * _FAR_BACK))
        if self.rate:
            self.rate = max(self.rate, _SLOWEST)
        self._next, self._grown = self.not_before, now

    def _grow(self, now: float) -> None:
        """Raise the rate for the time since it was raised last, but not far above what was tried."""
        passed, self._grown = now - self._grown, now
        clean = now - (self._since if self._since is not None else now)
        by = self._seeking or (_PROBE if clean > _STAY else 0.0)
        by = min(_FASTEST, by * 2 ** min(clean // _STAY, 20))
        if self.rate:
            raised = self.rate * min(2.0, (1 + by) ** min(passed, 10.0))
            self.rate = max(self.rate, min(raised, 2 * self._tried))
