"""An answer of the sandbox's gateway as a value: what it says, and how badly it is sent."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ERRORS = {
    400: ("invalid_request", "Invalid request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "API access not approved"),
    404: ("not_found", "Resource not found"),
    405: ("method_not_allowed", "Method not allowed"),
    429: ("rate_limited", "Rate limit exceeded"),
}
Dates = Callable[[datetime], tuple[str, ...]]


class Breakage(Enum):
    """How a connection ends without an answer."""

    RESET = "reset"
    CLOSE = "close"


@dataclass(frozen=True)
class Reply:
    """An answer, and how badly it is sent."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    request_id: str | None = None
    sent: int | None = None
    """Bytes of the body that are sent before the connection closes; None: all, and it stays open."""
    pause: float = 0.0
    """Seconds before each byte of the body."""
    broken: Breakage | None = None
    dates: Dates | None = None
    """The `Date` headers, from the account's time when they are sent; None: that time."""


def success(data: object) -> Reply:
    """Return a 200 in the contract's envelope, with a request id of its own."""
    id_ = _new_request_id()
    return Reply(200, as_json({"success": True, "data": data, "request_id": id_}), request_id=id_)


def error(status: int, message: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """Return the contract's error, with a request id of its own; without `message`, in the usual words."""
    id_ = _new_request_id()
    code, usual = _ERRORS.get(status, ("internal_error", "Internal server error"))
    body = {"success": False, "error": {"code": code, "message": message or usual}, "request_id": id_}
    return Reply(status, as_json(body), {"Content-Type": "application/json", **(headers or {})}, id_)


def as_json(value: object) -> bytes:
    """Return a value as JSON, in ASCII."""
    return json.dumps(value).encode()


def _new_request_id() -> str:
    return "req_" + "".join(secrets.choice(_CROCKFORD) for _ in range(26))
