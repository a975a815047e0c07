"""How a pass is asked to stop, and what it must finish first.

Between the creation of a key and the write of its plaintext nothing is interrupted; that stretch runs in
`Stopping.committed()`. Everywhere else a wait ends at once, by raising `Stopped`.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rotator.errors import RotatorError


class Stopped(RotatorError):  # noqa: N818
    """The operator asked us to stop before this was begun."""

    def __init__(self) -> None:
        super().__init__("stopped before this was begun")


class Stopping:
    """One process's wish to stop. Thread-safe."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._thread = threading.local()

    def request(self) -> None:
        """Ask to stop, for good. A wait of an uncommitted stretch ends at once."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether we were asked to stop. It is true in a committed stretch, too."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Stopped when something new must not be begun."""
        if self.requested:
            raise Stopped

    @contextmanager
    def committed(self) -> Iterator[None]:
        """Mark a stretch of this thread that is finished even after a request to stop."""
        self._thread.committed = True
        try:
            yield
        finally:
            self._thread.committed = False

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Stopped when a request comes in an uncommitted stretch."""
        if getattr(self._thread, "committed", False):
            time.sleep(seconds)
        elif self._event.wait(seconds):
            raise Stopped
