"""Faults of a gateway as values: on which request, before or after its effect, how often, and what happens.

    Fault("POST /keys", Status(500), at=Phase.AFTER)          # a key is made and the caller is told 500
    Fault("GET /*", Cut(), times=3)                           # three connections die before anything is done
    Fault("* *", (Delay(0.2), Status(503)), times=ALWAYS)

An action turns the answer so far into another. Before the effect there is none (None), and while it stays
None the request goes on to its effect.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any, Final

from rotator.sandbox.replies import Breakage, Reply, as_json, error

ALWAYS: Final = None
Wait = Callable[[float], None]
"""Waits so many seconds, or raises ConnectionError as soon as the server stops."""


class Phase(Enum):
    """Where in a request something happens: before or after its effect. Both are before the answer."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Status:
    """Answers an error of the contract's shape."""

    status: int
    retry_after: str | None = None
    """The header as it is sent: seconds or an HTTP date."""
    message: str | None = None
    """None: the usual words."""

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError("a fault's status is one of 400 to 599")

    def __call__(self, _reply: Reply | None) -> Reply:
        """Return the error, whatever the answer is so far."""
        headers = {"Retry-After": self.retry_after} if self.retry_after else None
        return error(self.status, self.message, headers)


@dataclass(frozen=True)
class Body:
    """Answers these bytes, whatever they are."""

    body: bytes = field(repr=False)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def __call__(self, _reply: Reply | None) -> Reply:
        """Return these bytes, whatever the answer is so far."""
        return Reply(self.status, self.body, self.headers)


@dataclass(frozen=True)
class Cut:
    """Ends the connection without an answer."""

    how: Breakage = Breakage.RESET

    def __call__(self, reply: Reply | None) -> Reply:
        """Return an answer that never arrives."""
        return replace(reply or error(500), broken=self.how)


@dataclass(frozen=True)
class Delay:
    """Waits, then lets the request go on. The effect comes even if the client has left meanwhile."""

    seconds: float

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)


class Change:
    """An action on an answer: before the effect there is none to change."""


@dataclass(frozen=True)
class Truncate(Change):
    """Announces the whole body, sends `sent` bytes of it and closes."""

    sent: int = 10

    def __post_init__(self) -> None:
        if self.sent < 0:
            raise ValueError("a body is truncated to 0 bytes or more")

    def __call__(self, reply: Reply | None) -> Reply | None:
        """Return the answer cut short; None where there is none yet."""
        return reply and replace(reply, sent=self.sent)


@dataclass(frozen=True)
class Drip(Change):
    """Sends the body one byte at a time."""

    pause: float
    """Seconds before each byte."""

    def __post_init__(self) -> None:
        _check_seconds(self.pause)

    def __call__(self, reply: Reply | None) -> Reply | None:
        """Return the answer slowed down; None where there is none yet."""
        return reply and replace(reply, pause=self.pause)


@dataclass(frozen=True)
class Rewrite(Change):
    """Changes the answer's envelope, which must be JSON."""

    change: Callable[[Any], object]

    def __call__(self, reply: Reply | None) -> Reply | None:
        """Return the answer with its envelope changed; None where there is none yet."""
        return reply and replace(reply, body=as_json(self.change(json.loads(reply.body))))


def data_with(**fields: object) -> Rewrite:
    """Set these fields in `data`, or in each of its items."""
    return Rewrite(lambda envelope: _on_data(envelope, lambda item: {**item, **fields}))


def data_without(*names: str) -> Rewrite:
    """Drop these fields from `data`, or from each of its items."""
    return Rewrite(lambda envelope: _on_data(envelope, lambda item: _drop(item, names)))


def huge_body(size: int) -> Body:
    """An answer with `size` bytes of `data`."""
    return Body(b'{"success": true, "data": "' + b"x" * size + b'"}')


Action = Delay | Callable[[Reply | None], Reply | None]


def apply(actions: Iterable[Action], reply: Reply | None, wait: Wait) -> Reply | None:
    """Return what the actions make of the answer so far, one after the other; None while there is none."""
    for action in actions:
        if isinstance(action, Delay):
            wait(action.seconds)
        else:
            reply = action(reply) or reply
    return reply


@dataclass(frozen=True)
class Fault:
    """What goes wrong. `on` is `METHOD /path` below the base URL; `*` and `?` match as in file names."""

    on: str
    do: Action | tuple[Action, ...]
    at: Phase = Phase.BEFORE
    times: int | None = 1
    """How many requests it hits; ALWAYS for all."""
    told: Mapping[str, object] | None = field(default=None, repr=False, compare=False)
    """`do` in JSON, of a fault that was switched on in JSON."""

    def __post_init__(self) -> None:
        if len(self.on.split(" ")) != 2:
            raise ValueError("`on` is a method and a path, such as `POST /keys` or `DELETE /keys/*`")
        if self.times is not None and self.times < 1:
            raise ValueError("`times` is at least 1; ALWAYS (null) has no end")
        if self.at is Phase.BEFORE and any(isinstance(action, Change) for action in self.actions):
            raise ValueError("this changes an answer, so it must come `after` the effect")

    @property
    def actions(self) -> tuple[Action, ...]:
        """`do` as a tuple, in the order in which they are applied."""
        return self.do if isinstance(self.do, tuple) else (self.do,)

    def hits(self, method: str, path: str, phase: Phase) -> bool:
        """Whether it is meant for this phase of this request; `Faults` counts how often it still may."""
        return phase is self.at and fnmatchcase(f"{method} {path}", self.on)


class Faults:
    """The faults that are switched on. Each phase of a request takes the first that hits. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """Faults that will still hit, with the `times` that are left."""
        with self._lock:
            return tuple(self._faults)

    def add(self, *faults: Fault) -> None:
        """Switch faults on, behind those that are on already."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Switch all faults off, whatever is left of their `times`."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str, phase: Phase) -> tuple[Action, ...]:
        """Return the actions of the first fault that hits, and count the hit; none where none does."""
        with self._lock:
            for at, fault in enumerate(self._faults):
                if fault.hits(method, path, phase):
                    left = fault.times and fault.times - 1
                    self._faults[at : at + 1] = [] if left == 0 else [replace(fault, times=left)]
                    return fault.actions
        return ()


def _check_seconds(seconds: float) -> None:
    if not 0 <= seconds <= 3600:
        raise ValueError("seconds are 0 to 3600")


def _on_data(envelope: Any, change: Callable[[Any], object]) -> object:
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if isinstance(data, list):
        return {**envelope, "data": [change(item) for item in data]}
    if not isinstance(data, dict):
        return envelope
    if isinstance(data.get("items"), list):
        return {**envelope, "data": {**data, "items": [change(item) for item in data["items"]]}}
    return {**envelope, "data": change(data)}


def _drop(item: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


GARBAGE: Final[Mapping[str, Action]] = {
    "html": Body(b"<html><body>Welcome</body></html>", headers={"Content-Type": "text/html"}),
    "empty": Body(b""),
    "null": Body(b"null"),
    "array": Body(b"[1, 2]"),
    "cut json": Body(b'{"success": true, "data": {'),
    "deep json": Body(b"[" * 200_000),
    "not utf-8": Body(b'{"success": true, "data": "\xff\xfe\xfa"}'),
    "not gzip": Body(b"no gzip", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    "no data": Rewrite(lambda envelope: _drop(envelope, ("data",))),
    "data is null": Rewrite(lambda envelope: {**envelope, "data": None}),
    "data is text": Rewrite(lambda envelope: {**envelope, "data": "keys"}),
    "success is false": Rewrite(lambda envelope: {**envelope, "success": False}),
    "success is text": Rewrite(lambda envelope: {**envelope, "success": "true"}),
    "id is text": data_with(id="13"),
    "id is true": data_with(id=True),
    "id is negative": data_with(id=-1),
    "id is huge": data_with(id=10**30),
    "no id": data_without("id"),
    "no api_key": data_without("api_key"),
    "api_key is empty": data_with(api_key=""),
    "time without offset": data_with(created_at="2026-03-12T09:50:00"),
}
"""Answers that break the contract, by name. Each fits Phase.AFTER; `api_key` concerns only a create."""
