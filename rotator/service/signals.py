"""The signals that a process is asked to stop or to reload with, taken by a thread of their own.

A handler would run in the middle of whatever the main thread does, and could wait for a lock that it holds.
"""

import signal
from collections.abc import Callable, Set
from threading import Thread

import structlog

log = structlog.get_logger()


def on_signals(numbers: Set[signal.Signals], handle: Callable[[signal.Signals], None]) -> None:
    """Call `handle` with each of these signals. To be called before any other thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def take() -> None:
        while True:
            try:
                handle(signal.Signals(signal.sigwait(numbers)))
            except Exception:
                log.error("unexpected", exc_info=True)  # the next signal must still be heard

    Thread(target=take, name="signals", daemon=True).start()
