"""A server on loopback that answers with any bytes, and the answers that Hypothesis draws for it.

Some hold SECRET where a plaintext may stand; it must not be in an error or in the log.
"""

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

from hypothesis import strategies as st

from rotator.errors import RotatorError
from tests.facts import DAY
from tests.serving import serving

SECRET = "sk-" + "5ec4e7" * 8
PATIENCE = 30.0
"""Seconds after which a wait of the tests itself gives up."""


@dataclass(frozen=True)
class Said:
    """What the server sends on one connection: `start`, then `again` without end, with `pause` before each."""

    start: bytes
    again: bytes = b""
    pause: float = 0.0


@dataclass
class Hostile:
    """Answers every request with `said`, and closes. Counts what it could send of the last answer."""

    url: str = ""
    said: Said = field(default_factory=lambda: Said(b""))
    sent: int = 0
    hung_up: Event = field(default_factory=Event)
    """Set when the client has ended the last connection, or the answer has ended."""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        connection, said = handler.connection, self.said
        connection.settimeout(PATIENCE)
        self.sent = 0
        self.hung_up.clear()
        try:
            piece = said.start
            while piece:
                connection.sendall(piece)
                self.sent += len(piece)
                piece = said.again
                if said.pause and _gone(connection, said.pause):
                    break
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        finally:
            self.hung_up.set()


@contextmanager
def hostile() -> Iterator[Hostile]:
    server = Hostile()
    with serving(server.answer) as server.url:
        yield server


def _gone(connection: socket.socket, seconds: float) -> bool:
    """Wait for so long; whether the client has gone meanwhile."""
    connection.settimeout(seconds)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False
    finally:
        connection.settimeout(PATIENCE)


def exchanges_end() -> bool:
    """Wait until no thread of an exchange is left behind; whether that was so."""
    left = [thread for thread in enumerate_threads() if thread.name == "exchange"]
    for thread in left:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in left)


def shown(call: Callable[[], object]) -> tuple[object, str]:
    """What a call returned, and all that it shows of itself. A named error is short and printable."""
    try:
        value = call()
    except RotatorError as error:
        text = str(error)
        sane = text.isprintable() and len(text) < 1000
        return None, f"{text} {error!r} {error.request_id}" if sane else f"Traceback: {text!r}"
    return value, repr(value)


def http(status: int, body: bytes, headers: bytes = b"", *, length: bytes | None = None) -> bytes:
    """An answer in one piece, with a true Content-Length if none is given."""
    date = format_datetime(DAY, usegmt=True).encode()
    counted = b"%d" % len(body) if length is None else length
    head = b"HTTP/1.1 %03d X\r\nContent-Length: %s\r\n" % (status, counted)
    return head + (b"" if b"Date:" in headers else b"Date: " + date + b"\r\n") + headers + b"\r\n" + body


SCALARS = st.one_of(
    st.sampled_from([None, True, False, SECRET, "", "\ud800" * 12, "\0", -1, 0, 2**63, 10**30, 10**4200]),
    st.sampled_from([float("nan"), float("inf"), -0.0, 1e308, "9999-12-31T23:59:59Z", "0001-01-01T00:00Z"]),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=20),
)
NESTED: Any = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
DEEP = st.sampled_from([50, 400, 900, 950, 980, 5000]).map("<deep {}>".format)
_DEEP = re.compile(r'"<deep ([0-9]+)>"')


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """`value` with some of its parts replaced, left out or doubled."""
    what = draw(st.integers(0, 9))
    if what == 0:
        return draw(NESTED)
    if what == 1:
        return draw(DEEP)
    if isinstance(value, dict):
        names = [name for name in value if draw(st.integers(0, 9))]
        return {name: draw(mutated(value[name])) for name in names}
    if isinstance(value, list):
        return [draw(mutated(item)) for item in value for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2])))]
    return value


def _texts(value: Any) -> st.SearchStrategy[bytes]:
    """JSON of `value` as bytes, mostly in UTF-8."""
    text = _DEEP.sub(lambda found: "[" * int(found[1]) + "]" * int(found[1]), json.dumps(value))
    doubled = text.replace("{", '{"data": 1, "id": "x", "errors": [[]], ', 1)
    return st.sampled_from(
        [
            *[text.encode()] * 6,
            doubled.encode(),
            b"\xef\xbb\xbf" + text.encode(),
            text.encode("utf-16"),
            text.encode("utf-32-le"),
            text.encode() + b" x",
            text[:-1].encode(),
            text.encode() + b"\0",
            b"\xff" + text.encode(),
            text.replace("0", "1" * 5000).encode(),
            text.replace("0", "1e400").encode(),
        ]
    )


HEADERS = st.lists(
    st.sampled_from(
        [
            b"Date: Sun, 01 Nov 2026 00:00:00 +9999\r\n",
            b"Date: Fri, 31 Dec 9999 23:59:59 -2359\r\n",
            b"Date: 99 99 99\r\n",
            b"Date: \xff\xfe\r\n",
            b"Date: Mon, 01 Jan 0001 00:00:00 +1400\r\n",
            b"Retry-After: 1e308\r\n",
            b"Retry-After: -1\r\n",
            b"Retry-After: " + b"9" * 5000 + b"\r\n",
            b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            "Retry-After: ²\r\n".encode(),
            b"Content-Type: text/html; charset=utf-99\r\n",
            b"Content-Encoding: gzip\r\n",
            b"Content-Encoding: " + b"gzip, " * 500 + b"br\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: gzip\r\n",
            b"Content-Length: 3\r\n",
            b"Set-Cookie: a=" + SECRET.encode() + b"\r\n",
            b"Location: http://127.0.0.1:1/" + SECRET.encode() + b"\r\n",
            b"X-Long: " + b"x" * 200_000 + b"\r\n",
            b"".join(b"X-%d: y\r\n" % n for n in range(150)),
            b"no colon " + SECRET.encode() + b"\r\n",
            b": no name\r\n",
            b" folded\r\n",
            b"X-Nul: \0\r\n",
            b"Connection: keep-alive\r\n",
            b"WWW-Authenticate: " + SECRET.encode() + b"\r\n",
        ]
    )
    | st.binary(max_size=30).map(lambda text: text + b"\r\n")
    | st.text(max_size=30).map(lambda text: b"Date: " + text.encode(errors="replace") + b"\r\n"),
    max_size=3,
).map(b"".join)
STATUSES = st.sampled_from(
    [
        *(0, 100, 101, 103, 199, 201, 204, 206, 299, 300, 301, 304, 307, 308),
        *(400, 401, 403, 404, 405, 409, 412, 418, 429, 451, 472, 473, 499),
        *(500, 501, 502, 503, 504, 599, 600, 999),
    ]
)


@st.composite
def shaped(draw: st.DrawFn, contract: tuple[Any, ...], refusals: tuple[Any, ...]) -> Said:
    """An answer that is like one of the contract's, with some parts mutated."""
    refused = draw(st.booleans())
    value = draw(st.sampled_from(refusals if refused else contract))
    body = draw(_texts(draw(mutated(value)) if draw(st.integers(0, 4)) else value))
    status = draw(STATUSES) if refused or not draw(st.integers(0, 4)) else 200
    length = draw(st.sampled_from([None] * 8 + [b"-1", b"+1", b"2147483648", b"9" * 400, b"x", b"1, 2"]))
    return Said(http(status, body, draw(HEADERS) if draw(st.booleans()) else b"", length=length))


GARBAGE = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.binary(max_size=60).map(lambda noise: b"HTTP/1.1 200 OK\r\n" + noise),
    st.binary(max_size=60).map(lambda noise: b"HTTP/1.1 200 OK\r\n\r\n" + noise),
    st.binary(max_size=60).map(
        lambda noise: (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + noise + b"\r\n{}\r\n0\r\n\r\n"
        )
    ),
    st.sampled_from(
        [
            b"HTTP/9.9 200 OK\r\n\r\n{}",
            b"HTTP/1.1 -200 OK\r\n\r\n",
            b"HTTP/1.1 200 " + b"x" * 200_000,
            b"HTTP/1.1 99999999999999999999 OK\r\n\r\n",
            b"HTTP/1.0 200 OK\n\n{}",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
            + b"X: y\r\n" * 500
            + b"\r\n",
        ]
    ),
).map(Said)
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "2 GB announced": Said(http(200, b" ", length=b"2147483648"), b" " * 65536),
    "without a length": Said(_OK + b"\r\n", b" " * 65536),
    "chunked": Said(_CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "tiny chunks": Said(_CHUNKED, b"1\r\n \r\n" * 8192),
    "a chunk's size": Said(_CHUNKED, b"0" * 65536),
    "a chunk's extension": Said(_CHUNKED + b"1;", b"x" * 65536),
    "trailers": Said(_CHUNKED + b"0\r\n", b"X-Trailer: y\r\n" * 4096),
    "headers": Said(_OK, b"X-Header: y\r\n" * 4096),
    "one header": Said(_OK + b"X: ", b"x" * 65536),
    "the status line": Said(b"HTTP/1.1 200 ", b"x" * 65536),
    "no line": Said(b"x", b"x" * 65536),
}
"""Answers without an end, sent as fast as the client takes them."""
DRIPS = {
    "status line": Said(b"HTTP/1.1 2", b"0", 0.02),
    "headers": Said(_OK + b"X-Slow: ", b"x", 0.02),
    "many headers": Said(_OK, b"X: y\r\n", 0.02),
    "body": Said(http(200, b"", length=b"1000"), b" ", 0.02),
    "chunk's size": Said(_CHUNKED, b"0", 0.02),
    "chunks": Said(_CHUNKED, b"1\r\n \r\n", 0.02),
    "interim answers": Said(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    "silence after the headers": Said(http(200, b"", length=b"1000")),
}
"""Answers without an end, so slow that only the bound on time ends them."""
