"""What every client reads out of an answer, whatever it holds: its JSON, its request id, when to come again.

A request id can be shown and logged. A body can be written as JSON again, but it may hold a secret. Pure, but
for the clock, which is read only for a `Retry-After` with a date.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final

from rotator.errors import BrokenContract, Transient
from rotator.redaction import redact

MAX_DEPTH: Final = 100
"""Levels of JSON. A body of more could be read, and then break whatever walks through it deeper in the stack."""
MAX_REQUEST_ID: Final = 128


def read_json(content: bytes) -> tuple[Any, str | None]:
    """Return the value; or None, and what is wrong with it."""
    try:
        value = json.loads(content.decode(), parse_float=_finite, parse_constant=_finite)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return None, "the body is not JSON"
    except ValueError:
        return None, "the body holds a number that is out of range"
    if _is_deep(value):
        return None, f"the body is nested deeper than {MAX_DEPTH} levels"
    return value, None


def request_id(value: object) -> str | None:
    """Return the id as it can be shown, redacted; None unless it is 1 to 128 printable ASCII characters."""
    if (
        isinstance(value, str)
        and 0 < len(value) <= MAX_REQUEST_ID
        and value.isascii()
        and value.isprintable()
    ):
        return redact(value, short=True)
    return None


class Answer:
    """What every server's answer has: what was asked, its status, its JSON, its request id, when to come again."""

    def __init__(
        self,
        what: str,
        status: int,
        headers: Mapping[str, str],
        content: bytes,
        *,
        now: datetime | None = None,
    ) -> None:
        self.what, self.status = what, status
        self.retry_after = parse_retry_after(headers.get("Retry-After"), now=now)
        body, self.fault = read_json(content)
        self.body: Mapping[str, Any] = body if isinstance(body, dict) else {}
        """The object that it is; empty for what is none."""
        self.is_object = isinstance(body, dict)
        self.request_id = request_id(self.body.get("request_id"))

    def transient(self, said: str, *, ambiguous: bool, cure: str | None = None) -> Transient:
        """The error for what may go well later."""
        return Transient(
            f"{self.what}: {said}",
            ambiguous=ambiguous,
            retry_after=self.retry_after,
            status=self.status,
            request_id=self.request_id,
            cure=cure,
        )

    def broken_contract(self, said: str, cure: str) -> BrokenContract:
        """The error for an answer that breaks the server's contract; `cure` says what to do about it."""
        return BrokenContract(
            f"{self.what}: {said}", status=self.status, request_id=self.request_id, cure=cure
        )


def parse_retry_after(header: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds to wait from either form of `Retry-After` (RFC 9110 §10.2.3), or None when it says nothing.

    A date is held against the answer's own `Date`, if that is given as `now`; else against our clock.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def _finite(text: str) -> float:
    """JSON has neither NaN nor Infinity, and a number that became one could not be written again."""
    number = float(text)
    if not isfinite(number):
        raise ValueError("out of range")
    return number


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
