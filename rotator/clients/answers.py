"""What every client reads out of an answer, whatever it holds: its JSON, its request id, when to come again.

A request id can be shown and logged. A body can be written as JSON again, but it may hold a secret. Pure, but
for the clock, which is read only for a `Retry-After` with a date.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, ClassVar, Final, TypeVar

from rotator.errors import BrokenContract, Limited, Transient
from rotator.redaction import redact

L = TypeVar("L", bound=Transient)

MAX_DEPTH: Final = 100
"""Levels of JSON. A body of more could be read, and then break whatever walks through it deeper in the stack."""
MAX_REQUEST_ID: Final = 128
MAX_UNPACKED: Final = 16 * 1024 * 1024
"""Bytes that a compressed body may unfold into."""
_MAX_ENCODINGS: Final = 3
_GZIP: Final = b"\x1f\x8b"
_ANY_ZLIB: Final = 32 + zlib.MAX_WBITS  # gzip or zlib, by its first bytes
_MAX_OBJECTS: Final = 20
_LONG: Final = 100  # digits: no integer that means something to us has so many


@dataclass(frozen=True)
class Number:
    """A number whose letters say more than Python's would: `1.10`, `1E5`, or five thousand digits."""

    letters: str


def read_json(content: bytes, *, errors: str = "strict") -> tuple[Any, str | None]:
    """Return the value; or None, and what is wrong with it.

    It may begin with a byte order mark, or be in UTF-16 or UTF-32, as JSON once was (RFC 4627 §3). `errors` says
    what becomes of bytes that are no text, as for `bytes.decode`.
    """
    try:
        text = content.decode(json.detect_encoding(content), errors)
        value = json.loads(text, parse_float=Number, parse_int=_integer, parse_constant=Number)
    except (ValueError, RecursionError):
        return None, "the body is not JSON"
    if _is_deep(value):
        return None, f"the body is nested deeper than {MAX_DEPTH} levels"
    return value, None


def objects_in(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that stand somewhere in a text, the outer ones first, whatever is around them."""
    text = content.decode(json.detect_encoding(content), "replace")
    decoder = json.JSONDecoder(strict=False, parse_float=Number, parse_int=_integer, parse_constant=Number)
    for found in islice(re.finditer("{", text), _MAX_OBJECTS):
        with suppress(ValueError, RecursionError):
            yield decoder.raw_decode(text, found.start())[0]


def write_json(value: Any) -> str:
    """Write what `read_json` has read, every number as it was. Raises ValueError for what JSON does not have."""
    match value:
        case Number():
            return value.letters
        case Mapping():
            return (
                "{"
                + ",".join(f"{json.dumps(name)}:{write_json(inner)}" for name, inner in value.items())
                + "}"
            )
        case list() | tuple():
            return "[" + ",".join(map(write_json, value)) + "]"
    return json.dumps(value, allow_nan=False)


def unpacked(content: bytes, encoding: str) -> bytes | None:
    """Return the body without its `Content-Encoding`, though none was asked for; None where that cannot be done.

    A body that is not what the header says it is, is returned as it is: it may be plain, and hold a plaintext.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    if len(names) > _MAX_ENCODINGS:
        return None
    for name in reversed(names):
        if name in ("gzip", "x-gzip", "deflate") or content.startswith(_GZIP):
            plain = _inflated(content)
            if plain is None:
                break
            content = plain
    return content if len(content) < MAX_UNPACKED else None


def _inflated(content: bytes) -> bytes | None:
    """Unfold gzip, of one member or several, zlib, or what has no header at all; None for anything else."""
    for form in (_ANY_ZLIB, -zlib.MAX_WBITS):
        plain, rest = b"", content
        try:
            while rest and len(plain) < MAX_UNPACKED:
                unpacking = zlib.decompressobj(form)
                plain += unpacking.decompress(rest, MAX_UNPACKED - len(plain))
                if not unpacking.eof:  # cut short, or too large
                    return None
                rest = unpacking.unused_data
        except zlib.error:
            continue
        return plain
    return None


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

    undecodable: ClassVar = "strict"
    """What becomes of bytes that are no text, as for `bytes.decode`."""

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
        plain = unpacked(content, headers.get("Content-Encoding") or "")
        fault: str | None = "the body is compressed"
        body = None
        if plain is not None:
            body, fault = self.read(plain)
        self.fault = fault
        self.body: Mapping[str, Any] = body if isinstance(body, dict) else {}
        """The object that it is; empty for what is none."""
        self.is_object = isinstance(body, dict)
        self.remember()
        self.request_id = request_id(self.body.get("request_id"))

    def read(self, content: bytes) -> tuple[Any, str | None]:
        """Return the body's value; or None, and what is wrong with it."""
        return read_json(content, errors=self.undecodable)

    def remember(self) -> None:
        """Make the secrets that it holds known to the redaction, before anything of it is shown."""

    def transient(self, said: str, *, ambiguous: bool, cure: str | None = None) -> Transient:
        """The error for what may go well later."""
        return self._later(Transient, said, ambiguous, cure)

    def limited(self, said: str, *, cure: str | None = None) -> Limited:
        """The error for a call that was too fast, and had no effect."""
        return self._later(Limited, said, False, cure)

    def _later(self, kind: type[L], said: str, ambiguous: bool, cure: str | None) -> L:
        return kind(
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


def _integer(letters: str) -> int | Number:
    return int(letters) if len(letters) < _LONG and str(int(letters)) == letters else Number(letters)


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
