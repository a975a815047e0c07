"""One HTTP exchange, for every client: its bounds in time and size, and the name of what went wrong.

The only importer of httpx; what httpx raises becomes one of `rotator.errors` here. A credential goes to the
configured host alone: redirects are not followed, and no proxy sees a plain http request. What the environment says
of proxies and of CAs is read here and in `proxies`, never by httpx: what is wrong with it is named by its variable.
"""

import os
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Lock
from typing import Any, Final, NamedTuple
from weakref import finalize

import httpx

from rotator import __version__
from rotator.clients.answers import read_json, write_json
from rotator.clients.cas import cas_of, not_loaded
from rotator.clients.connections import FAILURES, Connections, Exchange, ProxyError, Way, exchanging
from rotator.clients.proxies import proxy_for
from rotator.clients.within import TooSlow, within
from rotator.errors import BrokenContract, Rejected, RotatorError, Transient, cause, chain
from rotator.redaction import MARK

Watch = Callable[[str, int | None, float], None]
"""Told of each exchange when it is over: its method, the answer's status if there was one, and its seconds."""
# Compressed answers are not asked for: a small one can unfold into a huge one.
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"apimall-rotator/{__version__}",
}
_ALERTS: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_UNKNOWN_CA",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
}
"""What a server says of our certificate, as OpenSSL names it."""


@dataclass(frozen=True)
class Trust:
    """Whom TLS trusts, and how it names us."""

    ca_cert: str | None = None
    """A PEM file; None for the usual CAs."""
    skip_verify: bool = False
    client_cert: tuple[str, str] | None = None
    """PEM files: the certificate and its key."""


@dataclass(frozen=True)
class Request:
    """What is asked of a server. As a string it is `GET /path`, with neither the parameters nor the body."""

    method: str
    path: str
    """Below the server's base URL."""
    params: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | bytes | None = field(default=None, repr=False)
    """Sent as JSON; bytes as they are, for they may be signed."""
    hidden: bool = False
    """Whether the path is kept out of what is said of the request: it may hold a token."""

    def __str__(self) -> str:
        return f"{self.method} {MARK if self.hidden else self.path}"


class Response(NamedTuple):
    """An answer as it came, whatever it says."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Server:
    """A base URL, and how it is reached. Thread-safe. Its connections are kept; `close` it in the end.

    Each exchange is bounded in time and size as a whole, and ends in the thread that makes it.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta,
        limit: int,
        cure: str,
        connections: int = 1,
        trust: Trust | None = None,
        tls: ssl.SSLContext | None = None,
        watch: Watch | None = None,
    ) -> None:
        """`connections`: the most that are open at once. `tls`: what `tls_context` made of `trust` before."""
        self._limit, self._cure, self._watch = limit, cure, watch
        self._url, self._most, self._trust = url, connections, trust or Trust()
        self._timeout = timeout.total_seconds()
        self._proxy = proxy_for(url, os.environ)
        encrypted = url.lower().startswith("https://")
        self._trusted = str(cas_of(self._trust.ca_cert, os.environ))
        if not encrypted:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls = tls or tls_context(self._trust)
        self._lock = Lock()
        self._connections: Connections | None = None

    def close(self) -> None:
        """Close its connections. It may be used again."""
        with self._lock:
            connections, self._connections = self._connections, None
        if connections:
            connections.close()

    def exchange(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Return the answer to one request, or raise Transient, Rejected or BrokenContract."""
        began, status, beyond = time.monotonic(), None, Event()
        what = str(request)

        def attempt() -> Response:
            return self._round(request, headers, beyond)

        try:
            # What httpcore does in TLS within TLS is bounded by nothing else.
            twice = self._proxy and (self._proxy.url or "").startswith("https://")
            response = within(what, self._timeout, attempt, cure=self._cure) if twice else attempt()
            status = response.status
            return response
        except TooSlow:
            if self._proxy and not beyond.is_set():
                raise self._proxy.failed(what, f"no answer within {self._timeout:g} s") from None
            raise
        finally:
            if self._watch:
                self._watch(request.method, status, time.monotonic() - began)

    def _connected(self) -> Connections:
        with self._lock:
            if self._connections is None:
                self._connections = Connections(self._tls, self._way(), self._most)
                finalize(self, self._connections.close)
            return self._connections

    def _way(self) -> Way | None:
        """How the proxy is reached, if there is one. Raises Rejected for one that cannot be used."""
        proxy = self._proxy
        if proxy is None:
            return None
        if proxy.url is None:
            raise proxy.unusable()
        tls = tls_context(Trust()) if proxy.url.startswith("https://") else None
        return Way(proxy.url, proxy.credentials(), tls)

    def _round(self, request: Request, headers: Mapping[str, str], beyond: Event) -> Response:
        """`beyond` is set when a proxy has opened the way: what fails before is the proxy's, then the server's."""

        def trace(step: str, _: object) -> None:
            if step == "proxy.start_tls.started":
                beyond.set()

        what, body = str(request), _body(request)
        waits = {"connect": min(10.0, self._timeout / 2), "pool": self._timeout}
        with exchanging(what, self._timeout) as current:
            try:
                url = httpx.URL(self._url.rstrip("/") + request.path, params=request.params)
                answer = self._connected().send(
                    request.method,
                    (url.raw_scheme, url.raw_host, url.port),
                    url.raw_path,
                    _encoded(
                        {"Host": url.netloc.decode("ascii"), **_HEADERS, **_framing(request, body), **headers}
                    ),
                    [body] if body else [],
                    {"timeout": waits, **({"trace": trace} if self._proxy else {})},
                )
                with closing(answer):
                    content = _whole(what, answer.body(), self._limit)
            except (*FAILURES, httpx.InvalidURL, RuntimeError) as error:
                raise self._named(error, current, beyond=beyond.is_set()) from None
        return Response(answer.status, httpx.Headers(answer.headers), content)

    def _named(self, error: Exception, current: Exchange, *, beyond: bool) -> RotatorError:
        what = current.what
        if isinstance(error, httpx.InvalidURL):
            return (
                self._proxy.unusable() if self._proxy else Rejected("the URL cannot be used", cure=self._cure)
            )
        if not current.left:
            return TooSlow(what, self._timeout, self._cure, ambiguous=current.sent)
        if self._proxy and not beyond:
            answered = re.match(r"[1-9][0-9]{2}\b", str(error)) if isinstance(error, ProxyError) else None
            if answered:
                return self._proxy.refused(what, int(answered[0]))
            return self._proxy.failed(what, cause(error))
        raise_for_tls(what, error, self._url, self._trusted)
        through = f", through {self._proxy}" if self._proxy else ""
        return Transient(f"{what}: {cause(error)}{through}", ambiguous=current.sent, cure=self._cure)


def _body(request: Request) -> bytes | None:
    body = request.body
    return body if body is None or isinstance(body, bytes) else write_json(body).encode()


def _framing(request: Request, body: bytes | None) -> Mapping[str, str]:
    if body is None:
        return {"Content-Length": "0"} if request.method in ("POST", "PUT") else {}
    return {"Content-Length": str(len(body)), "Content-Type": "application/json"}


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Return how TLS is spoken. Raises Rejected for files that cannot be loaded, with what names them."""
    cas = cas_of(trust.ca_cert, os.environ)
    try:
        if cas.place and not trust.skip_verify:
            context = cas.load()
        else:
            context = httpx.create_ssl_context(verify=not trust.skip_verify, trust_env=False)
    except OSError as error:
        raise not_loaded(*cas, error) from None
    if trust.client_cert:
        try:
            context.load_cert_chain(*trust.client_cert, password=lambda: "")  # nobody is there to be asked
        except OSError as error:
            raise not_loaded(
                "", ", ".join(trust.client_cert), error, field="vault.client_cert and vault.client_key"
            ) from None
    return context


def _whole(what: str, parts: Iterable[bytes], limit: int) -> bytes:
    """Read a body to its end. It has one where it is a whole JSON text, too, whatever its framing says."""
    content = bytearray()
    try:
        for part in parts:
            content += part
            if len(content) > limit:
                raise BrokenContract(f"{what}: an answer of over {limit} bytes")
    except FAILURES:
        if read_json(bytes(content))[1]:
            raise
    return bytes(content)


def raise_for_tls(what: str, error: BaseException, url: str, trusted: str = "") -> None:
    """Raise Rejected for a TLS fault that trying again will not cure, and that came before anything was read.

    `trusted` is what names the CAs, for the cure.
    """
    cas = f" (now those of {trusted})" if trusted else ""
    for seen in chain(error):
        if isinstance(seen, ssl.SSLCertVerificationError):
            raise Rejected(
                f"{what}: {url}: the server's certificate is not trusted: {seen.verify_message}",
                cure=f"check the host name, and which CAs are trusted{cas}",
            ) from None
        if isinstance(seen, ssl.SSLError) and seen.reason in _ALERTS:
            raise Rejected(
                f"{what}: {url}: the server wants a client certificate that it trusts",
                cure="vault.client_cert and vault.client_key name one for Vault, of a CA that it trusts; no other "
                "server is given one",
            ) from None
        if isinstance(seen, ssl.SSLError) and seen.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            raise Rejected(
                f"{what}: {url}: the URL says https, but the server does not speak TLS",
                cure="check the port and the scheme of the URL",
            ) from None
