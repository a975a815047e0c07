"""Requests on their way: some are held up until they are let go, and all can be waited for."""

from threading import Condition, Event

from rotator.sandbox.faults import Phase
from rotator.sandbox.replies import Reply

BOUND = 60.0
"""Seconds after which a request that is still on its way is a failure."""


class Traffic:
    """`hook` goes to the gateway and to the proxy; `hold` is a fault's action on either."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._under_way = 0
        self._held = 0
        self._released = Event()

    def hook(self, _method: str, _path: str, phase: Phase) -> None:
        with self._changed:
            self._under_way += 1 if phase is Phase.BEFORE else -1
            self._changed.notify_all()

    def hold(self, _reply: Reply | None) -> None:
        """Keep a request where it is; its sender gives up meanwhile, and it takes effect all the same."""
        with self._changed:
            released, self._held = self._released, self._held + 1
        released.wait(BOUND)

    def release(self) -> None:
        """Let go what is held; return when nothing is on its way any more."""
        with self._changed:
            self._released.set()
            self._released, self._held = Event(), 0
            if not self._changed.wait_for(lambda: self._under_way == 0, BOUND):
                raise AssertionError(f"{self._under_way} requests are still on their way")
