"""Turns to call one server: one pace for all threads, learned from its answers."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from typing import Final

import structlog

from rotator.clients.pace import Pace, Turn

HURRY: Final = 5.0
"""Seconds that a call waits on which a plaintext, or every other call, depends."""
_LOOK: Final = 0.1
_LONGEST_NAP: Final = 1.0

log = structlog.get_logger()


class Governor:
    """Hands out turns to call one server, to all threads. Thread-safe."""

    def __init__(
        self,
        most: int,
        sleep: Callable[[float], None],
        *,
        server: str = "server",
        hurried: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sleep` may raise, to end a wait; then no call was begun. Who is `hurried` waits for HURRY at most.

        `server`: what the log calls it.
        """
        self._server, self.is_hurried = server, hurried
        self._pace, self._sleep, self._clock = Pace(most, random.random), sleep, clock
        self._changed = threading.Condition()

    @property
    def rate(self) -> float | None:
        """Calls a second that the server seems to allow; None as long as it has refused none."""
        return self._pace.rate

    @contextmanager
    def turn(self, *, hurried: bool = False) -> Iterator["Told"]:
        """Wait for a turn. What is handed out is to be told how the call was answered.

        `hurried`: this call is, whoever makes it.
        """
        turn, told = self._begin(hurried=hurried), Told()
        try:
            yield told
        finally:
            with self._changed:
                now = self._clock()
                self._pace.end(now)
                self._changed.notify()
                self._learn(turn, told, now)

    def _learn(self, turn: Turn, told: "Told", now: float) -> None:
        if told.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._pace.refused(turn, now, told.retry_after)
            self._tell(now)
        elif told.status is not None:
            self._pace.good(turn, now)

    def _tell(self, now: float) -> None:
        rate = self._pace.rate
        log.info(
            "limit.met",
            server=self._server,
            calls_per_s=rate and round(rate, 2),
            at_once=self._pace.width,
            wait_s=round(self._pace.not_before - now, 1),
        )

    def _begin(self, *, hurried: bool) -> Turn:
        began = self._clock()
        try:
            while True:
                with self._changed:
                    now = self._clock()
                    wait = self._pace.wait(now)
                    if wait <= 0 or ((hurried or self.is_hurried()) and now - began >= HURRY):
                        return self._pace.begin(now)
                    if wait == inf:
                        self._changed.wait(_LOOK)
                self._sleep(min(wait, _LONGEST_NAP) if wait < inf else 0.0)
        finally:
            _waited.seconds = waited() + self._clock() - began


@dataclass
class Told:
    """How a call was answered."""

    status: int | None = None
    """None where no answer came: that says nothing of a limit."""
    retry_after: float | None = None
    """Seconds."""


_waited = threading.local()


def waited() -> float:
    """Seconds that this thread has ever waited for its turn: none of them is a server's fault."""
    return getattr(_waited, "seconds", 0.0)
