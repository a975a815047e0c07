"""One HTTP exchange, for every client: its bounds in time and size, and the name of what went wrong.

The only importer of httpx; what httpx raises becomes one of `rotator.errors` here. A credential goes to the
configured host alone: redirects are not followed, and no proxy sees a plain http request.
"""

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple, TypeVar

import httpx

from rotator import __version__
from rotator.clients.answers import write_json
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
        # A proxy from the environment would see the credential of a plain http request.
        self._trust_env = url.startswith("https://")
        self._tls = (
            tls_context(trust or Trust()) if self._trust_env else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )

    def exchange(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Return the answer to one request, or raise Transient, Rejected or BrokenContract."""
        began, status = time.monotonic(), None
        try:
            with self._connect() as http:
                response = within(
                    str(request), self._timeout, lambda: self._round(http, request, headers), cure=self._cure
                )
            status = response.status
            return response
        finally:
            if self._watch:
                self._watch(request.method, status, time.monotonic() - began)

    def _connect(self) -> httpx.Client:
        try:
            return httpx.Client(
                base_url=self._url,
                timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout / 2)),
                follow_redirects=False,
                trust_env=self._trust_env,
                verify=self._tls,
            )
        except (ImportError, ValueError, httpx.InvalidURL):
            raise Rejected(
                "the environment names a proxy that cannot be used",
                cure="correct or unset HTTPS_PROXY and ALL_PROXY",
            ) from None

    def _round(self, http: httpx.Client, request: Request, headers: Mapping[str, str]) -> Response:
        sent = {**_HEADERS, **headers}
        body = None
        if request.body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = request.body if isinstance(request.body, bytes) else write_json(request.body).encode()
        try:
            with http.stream(
                request.method, request.path, params=request.params, content=body, headers=_encoded(sent)
            ) as response:
                content = read_bounded(
                    str(request), response.iter_raw(), self._limit, self._timeout, cure=self._cure
                )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError) as error:
            raise self._named(str(request), error) from None
        return Response(response.status_code, response.headers, content)

    def _named(self, what: str, error: Exception) -> RotatorError:
        raise_for_tls(what, error, self._url)
        never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        return Transient(f"{what}: {cause(error)}", ambiguous=not never_sent, cure=self._cure)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Return how TLS is spoken. Raises Rejected for files that cannot be loaded."""
    try:
        context = (
            ssl.create_default_context(cafile=trust.ca_cert)
            if trust.ca_cert and not trust.skip_verify
            else httpx.create_ssl_context(verify=not trust.skip_verify)
        )
        if trust.client_cert:
            context.load_cert_chain(*trust.client_cert, password=lambda: "")  # nobody is there to be asked
    except OSError as error:
        raise Rejected(
            f"a certificate or its key cannot be loaded: {cause(error)}",
            cure="check the PEM files that the config names",
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

    Thread(target=run, name="exchange", daemon=True).start()
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


def raise_for_tls(what: str, error: BaseException, url: str) -> None:
    """Raise Rejected for a TLS fault that trying again will not cure, and that came before anything was read."""
    for seen in chain(error):
        if isinstance(seen, ssl.SSLCertVerificationError):
            raise Rejected(
                f"{what}: {url}: the server's certificate is not trusted: {seen.verify_message}",
                cure="check the host name, and which CAs are trusted",
            ) from None
        if isinstance(seen, ssl.SSLError) and seen.reason in _ALERTS:
            raise Rejected(
                f"{what}: {url}: the server wants a client certificate that it trusts",
                cure="check client_cert and client_key, and which CAs the server trusts",
            ) from None
        if isinstance(seen, ssl.SSLError) and seen.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            raise Rejected(
                f"{what}: {url}: https was spoken to a server that does not speak TLS",
                cure="check the port and the scheme of the URL",
            ) from None
