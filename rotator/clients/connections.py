"""Connections that are kept from one exchange to the next, each operation bounded by the exchange's own deadline.

The only importer of httpcore. Its pool bounds each read and each write; what bounds the whole of an exchange is
here, beneath the pool, so that a peer that sends a byte in time, for ever, costs one connection and no thread.

A connection is kept only if the answer ended where its framing says. A byte more could be taken for the beginning
of the next answer: that of another request, which may hold another key.
"""

import re
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import httpcore

from rotator.clients.within import TooSlow, within

MAX_IDLE: Final = 20.0
"""Seconds. What is between here and a server may forget a connection that is idle for longer, without a word."""
_SLICE: Final = 16 * 1024
MAX_RECORDED: Final = 1024 * 1024
"""Bytes of an answer whose framing is looked at. A longer one is the last on its connection."""
FAILURES: Final = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
"""What may be raised of a connection. What the operating system or `ssl` calls it is in its cause."""
ProxyError = httpcore.ProxyError


class Exchange:
    """What has become of one exchange, so far."""

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        """What errors call it."""
        self._ends = time.monotonic() + seconds
        self.sent = False
        """Whether a byte of the request may have reached the server."""
        self.received: bytearray | None = bytearray()
        """The answer as it came; None when it is too long to be kept."""

    @property
    def left(self) -> float:
        """Seconds until its deadline; 0 when that is over."""
        return max(0.0, self._ends - time.monotonic())

    def take(self, data: bytes) -> None:
        """Add what was received."""
        if self.received is not None:
            self.received += data
            if len(self.received) > MAX_RECORDED:
                self.received = None


_thread = threading.local()


@contextmanager
def exchanging(what: str, seconds: float) -> Iterator[Exchange]:
    """Make what this thread does with connections in this block one exchange, which ends in time."""
    _thread.exchange = current = Exchange(what, seconds)
    try:
        yield current
    finally:
        del _thread.exchange


def _current() -> Exchange:
    """The exchange that this thread makes. httpcore hands nothing of ours down to where it reads and writes."""
    exchange: Exchange = _thread.exchange
    return exchange


class _Stream(httpcore.NetworkStream):
    """A connection, which is used by one exchange at a time."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._busy = self._used = False
        self._whole = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the exchange's counts
        exchange = _current()
        if not exchange.left:
            raise httpcore.ReadTimeout
        data = self._inner.read(max_bytes, exchange.left)
        exchange.take(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        exchange = _current()
        if not self._busy:
            self._begin()
        # Who reads slowly must not get the whole time for each part.
        for begin in range(0, len(buffer), _SLICE):
            if not exchange.left:
                raise httpcore.WriteTimeout
            exchange.sent = True
            self._inner.write(buffer[begin : begin + _SLICE], exchange.left)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "_Stream":
        exchange = _current()
        exchange.sent, exchange.received = False, bytearray()  # what was said before was said to a proxy
        bound = exchange.left if timeout is None else min(timeout, exchange.left)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, bound))

    def close(self) -> None:
        self._inner.close()

    def _begin(self) -> None:
        """Begin an exchange, if the connection may serve one more: nothing was sent, so the pool takes another.

        The pool's own look is too early: a connection may become idle between that and its choice.
        """
        if self._used and (not self._whole or self._inner.get_extra_info("is_readable")):
            raise httpcore.ConnectionNotAvailable
        self._busy = self._used = True

    def get_extra_info(self, info: str) -> Any:
        # The pool asks whether an idle connection is readable, and would close one that another thread takes up.
        return False if info == "is_readable" else self._inner.get_extra_info(info)

    def keep(self) -> None:
        """Let it serve another exchange, if nothing came beyond the end of the answer."""
        received = _current().received
        self._whole = received is not None and message_length(received) == len(received)
        self._busy = False


class _Backend(httpcore.NetworkBackend):
    """Opens connections. A name is looked up in a thread of its own: nothing else bounds that."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        exchange = _current()
        bound = exchange.left if timeout is None else min(timeout, exchange.left)

        def connect() -> httpcore.NetworkStream:
            return self._inner.connect_tcp(host, port, bound, local_address, socket_options)

        if _is_address(host):
            return _Stream(connect())
        try:
            return _Stream(within(exchange.what, exchange.left, connect, cure=""))
        except TooSlow:
            raise httpcore.ConnectTimeout from None


class Way(NamedTuple):
    """A proxy, and how it is reached."""

    url: str
    credentials: tuple[str, str] | None
    tls: ssl.SSLContext | None


class Answer:
    """The beginning of an answer. Its body is to be read, or it is to be closed."""

    def __init__(self, response: httpcore.Response) -> None:
        self.status, self.headers = response.status, response.headers
        self._response = response
        self.close = response.close

    def body(self) -> Iterator[bytes]:
        """Yield the body as it comes; after its end the connection may serve another exchange."""
        yield from self._response.iter_stream()
        stream = self._response.extensions["network_stream"]
        if isinstance(stream, _Stream):
            stream.keep()


class Connections:
    """The connections to one server, directly or by a proxy. Thread-safe."""

    def __init__(self, tls: ssl.SSLContext, way: Way | None, most: int) -> None:
        """`most`: so many are open at once; who wants one more waits."""
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            proxy=httpcore.Proxy(way.url, way.credentials, ssl_context=way.tls) if way else None,
            max_connections=most,
            keepalive_expiry=MAX_IDLE,
            network_backend=_Backend(),
        )
        self.close = self._pool.close

    def send(
        self,
        method: str,
        place: tuple[bytes, bytes, int | None],
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        content: Iterable[bytes],
        extensions: MutableMapping[str, Any],
    ) -> Answer:
        """Send a request once, whatever comes of it, to a `place`: scheme, host, port. Raises one of FAILURES."""
        scheme, host, port = place
        url = httpcore.URL(scheme=scheme, host=host, port=port, target=target)
        request = httpcore.Request(method, url, headers=headers, content=content, extensions=extensions)
        return Answer(self._pool.handle_request(request))


_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1[0-9][0-9]")
_BODILESS: Final = re.compile(rb"HTTP/1\.[01] (204|304)")
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED: Final = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;[^\r\n]*)?\r\n")


def message_length(received: bytes | bytearray) -> int | None:
    """Return where the first whole answer in `received` ends (RFC 9112 §6); None where that cannot be told."""
    begin = 0
    while True:
        end = received.find(b"\r\n\r\n", begin)
        if end < 0:
            return None
        if not _INTERIM.match(received, begin):
            break
        begin = end + 4
    head, end = received[begin : end + 2], end + 4
    if _BODILESS.match(head):
        return end
    lengths, chunked = _LENGTH.findall(head), _CHUNKED.search(head)
    if chunked and not lengths:
        return _end_of_chunks(received, end)
    return end + int(lengths[0]) if len(lengths) == 1 and not chunked else None


def _end_of_chunks(received: bytes | bytearray, at: int) -> int | None:
    """A chunked body with trailers is not looked into: its end is not known."""
    while size := _SIZE.match(received, at):
        length = int(size[1], 16)
        at = size.end() + length + 2
        if received[at - 2 : at] != b"\r\n":
            return None
        if length == 0:
            return at
    return None


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host.strip("[]")))
    except ValueError:
        return False
