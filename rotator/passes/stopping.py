"""How a pass is asked to stop, and what it must finish first.

Between the creation of a key and the write of its plaintext nothing is interrupted; that stretch runs in
`Stopping.committed()`. Everywhere else a wait ends at once, by raising `Stopped`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

from rotator.errors import RotatorError

FAREWELL: Final = 10.0
"""Seconds that what only rounds a pass off may wait for its turn at a server."""


class Stopped(RotatorError):  # noqa: N818
    """The operator asked us to stop before this was begun."""

    def __init__(self) -> None:
        super().__init__("stopped before it began")


class NotReached(RotatorError):  # noqa: N818
    """The pass was over before this had its turn."""

    def __init__(self) -> None:
        super().__init__(
            "not reached within pass_deadline: a rate limit slowed the pass down (see limit.met in the log)",
            cure="to reach it in time, raise pass_deadline, or have the server's rate limit raised",
        )


class Stopping:
    """One process's wish to stop, and the end of its pass. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds since some moment."""
        self.clock = clock
        self._event = threading.Event()
        self._thread = threading.local()
        self._ends = inf

    def request(self) -> None:
        """Ask to stop, for good. A wait of an uncommitted stretch ends at once."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether we were asked to stop. It is true in a committed stretch, too."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Stopped or NotReached when something new must not be begun."""
        if self.requested:
            raise Stopped
        if self.clock() >= self._ends:
            raise NotReached

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let what is done in this block end within `seconds`, but for committed stretches."""
        before = self._ends
        self._ends = min(before, self.clock() + seconds)
        try:
            yield
        finally:
            self._ends = before

    @property
    def is_committed(self) -> bool:
        """Whether this thread is in a stretch that it finishes."""
        return getattr(self._thread, "committed", False)

    @contextmanager
    def committed(self) -> Iterator[None]:
        """Mark a stretch of this thread that is finished even after a request to stop."""
        before, self._thread.committed = self.is_committed, True
        try:
            yield
        finally:
            self._thread.committed = before

    def sleep(self, seconds: float) -> None:
        """Wait. In an uncommitted stretch raises Stopped when a request comes, and NotReached at the end."""
        if self.is_committed:
            time.sleep(seconds)
        else:
            self._event.wait(max(0.0, min(seconds, self._ends - self.clock())))
            self.check()
