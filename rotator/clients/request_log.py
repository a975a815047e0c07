"""Every request by the id that the server gave it: in the log and, for who asks, in a trail that can be shown."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import structlog

from rotator.clients.exchange import Request
from rotator.errors import RotatorError
from rotator.rules.times import format_time

A = TypeVar("A", bound="Answered")

log = structlog.get_logger()


class Answered(Protocol):
    """An answer as its client understands it."""

    status: int
    request_id: str | None

    def raise_for_refusal(self) -> None:
        """Raise what the answer means, as one of `rotator.errors`; return where the caller can use it."""
        ...


@dataclass(frozen=True)
class Step:
    """One request that was answered, or not."""

    at: datetime
    """When it was over, by this machine's clock."""
    method: str
    path: str
    status: int | None
    """None when no answer came."""
    request_id: str | None
    key: str | None
    """The managed key that it was made for, if for one."""

    def to_json(self) -> dict[str, Any]:
        """An item of `requests` in the JSON of an incident record."""
        return {
            "at": format_time(self.at),
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "request_id": self.request_id,
            "key": self.key,
        }


_trail: ContextVar[list[Step] | None] = ContextVar("trail", default=None)


@contextmanager
def recorded() -> Iterator[list[Step]]:
    """Hand out the list to which each request is added that is made meanwhile."""
    steps: list[Step] = []
    token = _trail.set(steps)
    try:
        yield steps
    finally:
        _trail.reset(token)


def logged(
    event: str, id_field: str, request: Request, exchange: Callable[[], A], *, quiet: bool = False
) -> A:
    """Return what `exchange` returns, unless it is a refusal, and log what came of it either way.

    `id_field` is what the log calls the id that the server gave the request. `quiet`: if it goes well, only at
    `debug`.
    """
    began = time.monotonic()
    seen: A | RotatorError = RotatorError("unexpected")
    try:
        seen = exchange()
        seen.raise_for_refusal()
    except RotatorError as error:
        seen = error
        raise
    finally:
        tell = log.debug if quiet and not isinstance(seen, RotatorError) else log.info
        tell(
            event,
            method=request.method,
            path=request.path,
            status=seen.status,
            **{id_field: seen.request_id},
            duration_ms=round((time.monotonic() - began) * 1000),
            **({"error": seen.message} if isinstance(seen, RotatorError) else {}),
        )
        if (steps := _trail.get()) is not None:
            key = structlog.contextvars.get_contextvars().get("key")
            at = datetime.now(UTC)
            steps.append(Step(at, request.method, request.path, seen.status, seen.request_id, key))
    return seen
