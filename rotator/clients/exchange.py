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
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Final, NamedTuple, TypeVar

import httpx

from rotator import __version__
from rotator.clients.answers import write_json
from rotator.clients.cas import cas_of, not_loaded
from rotator.clients.proxies import proxy_for
from rotator.errors import BrokenContract, Rejected, RotatorError, Transient, cause, chain

T = TypeVar("T")
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

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Response(NamedTuple):
    """An answer as it came, whatever it says."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Server:
    """A base URL, and how it is reached. Thread-safe.

    Each exchange has a connection of its own, which can be closed without cutting another one short.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta,
        limit: int,
        cure: str,
        trust: Trust | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._url, self._limit, self._cure, self._watch = url, limit, cure, watch
        self._timeout = timeout.total_seconds()
        self._proxy = proxy_for(url, os.environ)
        encrypted = url.lower().startswith("https://")
        self._trusted = str(cas_of(trust.ca_cert if trust else None, os.environ))
        self._tls = tls_context(trust or Trust()) if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def exchange(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Return the answer to one request, or raise Transient, Rejected or BrokenContract."""
        began, status, beyond = time.monotonic(), None, Event()
        what = str(request)
        try:
            with self._connect() as http:
                response = within(
                    what,
                    self._timeout,
                    lambda: self._round(http, request, headers, beyond),
                    cure=self._cure,
                )
            status = response.status
            return response
        except TooSlow:
            if self._proxy and not beyond.is_set():
                raise self._proxy.failed(what, f"no answer within {self._timeout:g} s") from None
            raise
        finally:
            if self._watch:
                self._watch(request.method, status, time.monotonic() - began)

    def _connect(self) -> httpx.Client:
        proxy = self._proxy
        if proxy and proxy.url is None:
            raise proxy.unusable()
        try:
            return httpx.Client(
                base_url=self._url,
                timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout / 2)),
                follow_redirects=False,
                trust_env=False,
                proxy=_through(proxy.url, proxy.credentials()) if proxy and proxy.url else None,
                verify=self._tls,
            )
        except (ValueError, httpx.InvalidURL):
            raise proxy.unusable() if proxy else Rejected("the URL cannot be used", cure=self._cure) from None

    def _round(
        self, http: httpx.Client, request: Request, headers: Mapping[str, str], beyond: Event
    ) -> Response:
        """`beyond` is set when a proxy has opened the way: what fails before is the proxy's, then the server's."""

        def trace(step: str, _: object) -> None:
            if step == "proxy.start_tls.started":
                beyond.set()

        sent = {**_HEADERS, **headers}
        body = None
        if request.body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = request.body if isinstance(request.body, bytes) else write_json(request.body).encode()
        try:
            with http.stream(
                request.method,
                request.path,
                params=request.params,
                content=body,
                headers=_encoded(sent),
                extensions={"trace": trace} if self._proxy else None,
            ) as response:
                content = read_bounded(
                    str(request), response.iter_raw(), self._limit, self._timeout, cure=self._cure
                )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError) as error:
            raise self._named(str(request), error, beyond=beyond.is_set()) from None
        return Response(response.status_code, response.headers, content)

    def _named(self, what: str, error: Exception, *, beyond: bool = False) -> RotatorError:
        if self._proxy and not beyond:
            answered = (
                re.match(r"[1-9][0-9]{2}\b", str(error)) if isinstance(error, httpx.ProxyError) else None
            )
            if answered:
                return self._proxy.refused(what, int(answered[0]))
            return self._proxy.failed(what, cause(error))
        raise_for_tls(what, error, self._url, self._trusted)
        through = f", through {self._proxy}" if self._proxy else ""
        never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        return Transient(f"{what}: {cause(error)}{through}", ambiguous=not never_sent, cure=self._cure)


def _through(url: str, credentials: tuple[str, str] | None) -> httpx.Proxy:
    encrypted = url.startswith("https://")
    return httpx.Proxy(url, auth=credentials, ssl_context=tls_context(Trust()) if encrypted else None)


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


class TooSlow(Transient):
    """The exchange did not end in time. It was left behind, and its connection closed."""

    def __init__(self, what: str, seconds: float, cure: str) -> None:
        super().__init__(f"{what}: no whole answer within {seconds:g} s", ambiguous=True, cure=cure)


def within(what: str, seconds: float, exchange: Callable[[], T], *, cure: str) -> T:
    """Return what `exchange` returns, or raise TooSlow after `seconds`.

    The libraries bound each read, not the whole: a server that sends a byte in time, for ever, passes them all.
    """
    box: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            box.put((exchange(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where the exchange is waited for
            box.put((None, error))

    try:
        Thread(target=run, name="exchange", daemon=True).start()
    except RuntimeError:
        limit = "raise the limit on threads: pids.max of the container, TasksMax of the unit, ulimit -u"
        raise Transient(f"{what}: no thread can be had for it", ambiguous=False, cure=limit) from None
    try:
        result, error = box.get(timeout=seconds)
    except Empty:
        raise TooSlow(what, seconds, cure) from None
    if error:
        raise error
    return result  # type: ignore[return-value]


def read_bounded(what: str, chunks: Iterable[bytes], limit: int, seconds: float, *, cure: str) -> bytes:
    """Read a body that must end in size, and in time even where nobody waits for it any more."""
    deadline = time.monotonic() + seconds
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > limit:
            raise BrokenContract(f"{what}: an answer of over {limit} bytes")
        if time.monotonic() > deadline:
            raise TooSlow(what, seconds, cure)  # what has come so far is not the answer
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
                f"{what}: {url}: https was spoken to a server that does not speak TLS",
                cure="check the port and the scheme of the URL",
            ) from None
