"""The same work for many managed keys at once, each failing for itself."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

import structlog

from rotator.errors import RotatorError, unexpected
from rotator.rules.model import ManagedKey

T = TypeVar("T")
log = structlog.get_logger()


def each(
    keys: Iterable[ManagedKey], work: Callable[[ManagedKey], T], *, workers: int
) -> Mapping[str, T | RotatorError]:
    """Return, by name, what `work` returned or raised for each of `keys`. Logs carry the name as `key`."""

    def guarded(key: ManagedKey) -> T | RotatorError:
        with structlog.contextvars.bound_contextvars(key=key.name):
            try:
                return work(key)
            except RotatorError as error:
                return error
            except Exception as error:
                log.error("unexpected", exc_info=True)
                return unexpected(error)

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="rotator") as pool:
        futures: dict[str, Future[T | RotatorError]] = {
            key.name: pool.submit(copy_context().run, guarded, key) for key in keys
        }
        return {name: future.result() for name, future in futures.items()}
