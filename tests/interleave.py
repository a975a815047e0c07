"""Several rotators at once, one request at a time, in an order that the test chooses."""

from collections.abc import Callable, Iterable, Sequence
from threading import Semaphore, Thread

from tests.world import Gate

BOUND = 60.0
"""Seconds after which a rotator that did not come to its next request is a failure."""


class _Killed(BaseException):
    """No handler of the program catches it: what it was about to do is not done."""


class Replica:
    """Runs `work` in a thread of its own, from one request to the next. `work` is given the gate to call."""

    def __init__(self, work: Callable[[Gate], object]) -> None:
        self._work = work
        self._go, self._stands = Semaphore(0), Semaphore(0)
        self._killed = False
        self.ended = False
        self.requests = 0
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def step(self) -> None:
        """Let it make its next request; return when it is before the one after that, or at its end."""
        if self.ended:
            return
        if self._thread.is_alive():
            self._go.release()
        else:
            self._thread.start()
        if not self._stands.acquire(timeout=BOUND):
            raise AssertionError(f"no request and no end within {BOUND} s")
        if self._failure:
            raise self._failure

    def kill(self) -> None:
        """End it before its next request, as SIGKILL would."""
        self._killed = True
        self.step()

    def _gate(self) -> None:
        if not self._killed:
            self.requests += 1
            self._stands.release()
            self._go.acquire()
        if self._killed:
            raise _Killed

    def _run(self) -> None:
        try:
            self._work(self._gate)
        except _Killed:
            pass
        except BaseException as failure:  # noqa: BLE001 - raised again in the test's thread
            self._failure = failure
        finally:
            self.ended = True
            self._stands.release()


def interleave(works: Sequence[Callable[[Gate], object]], order: Iterable[int]) -> int:
    """Run all to their ends. Each number of `order` says whose turn it is; then they go on one after the other.

    Return how many requests were made.
    """
    replicas = [Replica(work) for work in works]
    for number in order:
        replicas[number % len(replicas)].step()
    for replica in replicas:
        while not replica.ended:
            replica.step()
    return sum(replica.requests for replica in replicas)
