"""A bound in time for what a library does not bound."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from rotator.errors import Transient

T = TypeVar("T")


class TooSlow(Transient):
    """The exchange did not end in time. Its connection is closed."""

    def __init__(self, what: str, seconds: float, cure: str, *, ambiguous: bool = True) -> None:
        super().__init__(
            f"{what}: the answer was not complete within {seconds:g} s", ambiguous=ambiguous, cure=cure
        )


def within(what: str, seconds: float, work: Callable[[], T], *, cure: str) -> T:
    """Return what `work` returns, or raise TooSlow after `seconds` and leave it behind.

    For what a library does not bound: the look-up of a name, TLS within TLS, another's client.
    """
    box: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            box.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            box.put((None, error))

    thread = Thread(target=run, name="exchange", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        limit = "raise the limit on threads: pids.max of the container, TasksMax of the unit, ulimit -u"
        raise Transient(
            f"{what}: this machine allows no further thread", ambiguous=False, cure=limit
        ) from None
    try:
        result, error = box.get(timeout=seconds)
    except Empty:
        raise TooSlow(what, seconds, cure) from None
    thread.join()  # who asks again at once needs no second thread
    if error:
        raise error
    return result  # type: ignore[return-value]
