"""Turns to call one server: one pace for all threads, learned from its answers.

A method that the server limits by itself has a pace of its own.
"""

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
from rotator.clients.paces import Paces

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
        self._paces, self._sleep, self._clock = Paces(most, random.random), sleep, clock
        self._changed = threading.Condition()

    @property
    def rate(self) -> float | None:
        """Calls a second that the server seems to allow, of what it allows least; None until it has refused one."""
        return min((pace.rate for pace in self._paces if pace.rate), default=None)

    @contextmanager
    def turn(self, method: str = "GET", *, hurried: bool = False) -> Iterator["Told"]:
        """Wait for a turn. What is handed out is to be told how the call was answered.

        `hurried`: this call is, whoever makes it.
        """
        (pace, turn), told = self._begin(method, hurried=hurried), Told()
        try:
            yield told
        finally:
            with self._changed:
                now = self._clock()
                pace.end(now)
                self._changed.notify_all()
                self._learn(method, pace, turn, told, now)

    def _learn(self, method: str, pace: Pace, turn: Turn, told: "Told", now: float) -> None:
        if told.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._paces.refused(method, pace, turn, now, told.retry_after)
            self._tell(method, pace, now)
        elif told.status is not None:
            self._paces.good(method, pace, turn, now)

    def _tell(self, method: str, pace: Pace, now: float) -> None:
        alone = {"method": method} if self._paces.is_limited_by_itself(method) else {}
        log.info(
            "limit.met",
            server=self._server,
            **alone,
            calls_per_s=pace.rate and round(pace.rate, 2),
            at_once=pace.width,
            wait_s=round(pace.not_before - now, 1),
        )

    def _begin(self, method: str, *, hurried: bool) -> tuple[Pace, Turn]:
        began = self._clock()
        try:
            while True:
                with self._changed:
                    now, pace = self._clock(), self._paces.of(method)
                    wait = pace.wait(now)
                    if wait <= 0 or ((hurried or self.is_hurried()) and now - began >= HURRY):
                        return pace, pace.begin(now)
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
