"""The same work for many managed keys at once, each failing for itself."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

import structlog

from rotator.errors import RotatorError, unexpected
from rotator.rules.model import ManagedKey

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True)
class Each(Generic[T]):
    """What came of it, by the managed key's name: each is in one of the two."""

    done: Mapping[str, T]
    failed: Mapping[str, RotatorError]


def each(keys: Iterable[ManagedKey], work: Callable[[ManagedKey], T], *, workers: int) -> Each[T]:
    """Do `work` for each of `keys`. Logs carry the name as `key`; no error leaves this."""
    done: dict[str, T] = {}
    failed: dict[str, RotatorError] = {}

    def guarded(key: ManagedKey) -> None:
        with structlog.contextvars.bound_contextvars(key=key.name):
            try:
                done[key.name] = work(key)
            except RotatorError as error:
                failed[key.name] = error
            except Exception as error:
                log.error("unexpected", exc_info=True)
                failed[key.name] = unexpected(error)

    listed = list(keys)
    workers = min(workers, len(listed))
    if workers < 2:
        for key in listed:
            guarded(key)
        return Each(done, failed)
    left, lock = iter(listed), Lock()

    def work_on() -> None:
        while True:
            with lock:
                key = next(left, None)
            if key is None:
                return
            guarded(key)

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="rotator") as pool:
        for future in [pool.submit(copy_context().run, work_on) for _ in range(workers)]:
            future.result()
    return Each(done, failed)
