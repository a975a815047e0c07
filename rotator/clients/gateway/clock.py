"""What time it is at the gateway, and what gives cause to doubt it.

Three witnesses: the `Date` of each answer, this machine's clock, and the monotonic time between two answers.
Nothing that cannot be undone may rest on the time while one of them contradicts another.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rotator.rules.times import short


@dataclass(frozen=True)
class LocalClock:
    """This machine's clocks."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    """In seconds, from some moment on."""


class GatewayClock:
    """The gateway's clock, by its answers. Thread-safe."""

    def __init__(self, tolerance: timedelta, local: LocalClock | None = None) -> None:
        self._tolerance, self._local = tolerance, local or LocalClock()
        self._lock = threading.Lock()
        self._first: tuple[datetime, float] | None = None
        self._last: tuple[datetime, float] | None = None
        """A `Date`, and the monotonic time at which it was read."""
        self._doubt: str | None = None

    @property
    def doubt(self) -> str | None:
        """How the witnesses contradict each other, in words; None while they agree. A doubt lasts for a pass."""
        return self._doubt

    def begin(self) -> None:
        """Begin anew, with a pass: what one answer said long ago is no witness any more."""
        with self._lock:
            self._first = self._last = self._doubt = None

    def read(self, date: datetime | None) -> None:
        """Take note of an answer's `Date`; None for an answer without one that makes sense."""
        with self._lock:
            at, local = self._local.monotonic(), self._local.now()
            if date is None:
                self._note("an answer of the gateway has no single Date that makes sense")
                return
            if self._apart(date, local):
                self._note(f"the gateway's Date is {_apart(date, local)} of this machine's clock")
            if self._first and self._apart(date, expected := self._moved(self._first)):
                self._note(f"the gateway's Date is {_apart(date, expected)} of what its first one tells")
            self._last = (date, at)
            self._first = self._first or self._last

    def now(self) -> datetime:
        """The last `Date`, moved on by the time that has passed here since.

        In doubt the middle one of the witnesses or, of two, the later one: what is superseded at a moment that lies
        ahead lives longer.
        """
        with self._lock:
            if self._first is None or self._last is None:
                return self._local.now()
            last = self._moved(self._last)
            if self._doubt is None:
                return last
            witnesses = sorted({self._moved(self._first), last, self._local.now()})
            return witnesses[len(witnesses) // 2]

    def _moved(self, reading: tuple[datetime, float]) -> datetime:
        date, at = reading
        return date + timedelta(seconds=self._local.monotonic() - at)

    def skew(self) -> timedelta:
        """How far this machine's clock is ahead of the gateway's."""
        return self._local.now() - self.now()

    def _note(self, doubt: str) -> None:
        self._doubt = self._doubt or doubt

    def _apart(self, one: datetime, other: datetime) -> bool:
        return abs(one - other) > self._tolerance


def _apart(date: datetime, other: datetime) -> str:
    return f"{short(date - other)} ahead" if date > other else f"{short(other - date)} behind"
