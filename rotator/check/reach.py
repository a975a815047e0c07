"""How far a server is reached: its name, its address, its certificate. By the trust of the real client."""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from rotator.check.findings import Check, Finding, bad, note, ok, some
from rotator.clients.exchange import Trust, raise_for_tls, tls_context
from rotator.clients.proxies import Proxy, proxy_for
from rotator.clients.within import within
from rotator.errors import cause
from rotator.rules.times import moment, until

_EXPIRED, _NOT_YET_VALID, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""Of X509_V_ERR_…, as OpenSSL numbers them."""
_ENDS_SOON: Final = 0.1
"""Of a certificate's life: whatever renews it should have done so long before."""


@dataclass(frozen=True)
class Target:
    """A server that is to be reached: where the config names it, and whom TLS trusts to be it."""

    name: str
    url: str
    field: str
    """The config's field that holds the URL."""
    trust: Trust
    trust_cure: str
    """What to do about a certificate of an unknown CA."""
    timeout: timedelta

    @property
    def host(self) -> str:
        """The URL's host; an IPv6 address without its brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The URL's port; where it names none, 443 for https and 80 for http."""
        return urlsplit(self.url).port or (443 if self.encrypted else 80)

    @property
    def encrypted(self) -> bool:
        """Whether it is spoken to over TLS, so that there is a certificate to look at."""
        return self.url.lower().startswith("https://")

    @property
    def cure(self) -> str:
        """What to do when nothing answers there."""
        return f"check {self.field} ({self.url}), and the network between here and there"


class _Certificate(NamedTuple):
    tls: str
    fields: Any
    """Empty where it was not verified."""


def checks(server: Target) -> tuple[Check, ...]:
    """The last of them says whether the server is reached."""
    if proxy := proxy_for(server.url, os.environ):
        return (Check(f"{server.name} proxy", lambda: _beyond(proxy)),)
    dns = f"{server.name} DNS"
    return (
        Check(dns, lambda: _look_up(server)),
        Check(f"{server.name} TLS", lambda: _connect(server), needs=(dns,)),
    )


def _beyond(proxy: Proxy) -> Iterator[Finding]:
    if proxy.url is None:
        raise proxy.unusable()
    yield ok(f"{proxy} makes the connection, so DNS and TLS cannot be tested from here")


def _look_up(server: Target) -> Iterator[Finding]:
    host = server.host
    if _is_address(host):
        yield ok(f"{host} is an address, so there is nothing to look up")
        return
    try:
        found = within(
            f"looking up {host}",
            server.timeout.total_seconds(),
            lambda: socket.getaddrinfo(host, server.port, type=socket.SOCK_STREAM),
            cure="check this machine's name servers",
        )
    except (OSError, UnicodeError) as error:
        yield bad(f"{host}: {cause(error)}", f"check {server.field}, and this machine's name servers")
        return
    yield ok(f"{host} is {some(sorted({str(address[0]) for *_, address in found}))}")


def _connect(server: Target) -> Iterator[Finding]:
    context = tls_context(server.trust) if server.encrypted else None
    what = f"connecting to {server.host}:{server.port}"
    try:
        seen = within(
            what, server.timeout.total_seconds(), lambda: _handshake(server, context), cure=server.cure
        )
    except ssl.SSLCertVerificationError as error:
        yield bad(f"the certificate is not trusted: {error.verify_message}", _untrusted(server, error))
    except OSError as error:
        raise_for_tls("the handshake", error, server.url)
        yield bad(f"{what}: {cause(error)}", server.cure)
    else:
        yield _in_the_clear(server) if seen is None else _judged(server, seen)


def _handshake(server: Target, context: ssl.SSLContext | None) -> _Certificate | None:
    with socket.create_connection((server.host, server.port), server.timeout.total_seconds()) as plain:
        if context is None:
            return None
        with context.wrap_socket(plain, server_hostname=server.host) as connection:
            return _Certificate(connection.version() or "TLS", connection.getpeercert())


def _untrusted(server: Target, error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case code if code == _EXPIRED:
            return "renew the server's certificate; if it is still valid, set this machine's clock"
        case code if code == _NOT_YET_VALID:
            return "check the clocks of this machine and of the server"
        case code if code in (_OTHER_NAME, _OTHER_ADDRESS):
            return f"write the host name of the certificate in {server.field}"
        case _:
            return server.trust_cure


def _in_the_clear(server: Target) -> Finding:
    if server.host == "localhost" or (_is_address(server.host) and ip_address(server.host).is_loopback):
        return ok("none: plain http, to this machine only; it accepts connections")
    return note(
        "none: plain http; anybody in between can read the secrets",
        f"write https:// in {server.field}, and remove vault.allow_http",
    )


def _judged(server: Target, seen: _Certificate) -> Finding:
    if not seen.fields:
        return note(
            f"{seen.tls}; any certificate is trusted, so anybody in between can read the secrets",
            f"remove vault.tls_skip_verify; {server.trust_cure}",
        )
    begins, ends = (ssl.cert_time_to_seconds(seen.fields[name]) for name in ("notBefore", "notAfter"))
    end = datetime.fromtimestamp(ends, UTC)
    said = f"{seen.tls}; the certificate ends {moment(end)}, {until(end, datetime.now(UTC))}"
    if ends - time.time() < (ends - begins) * _ENDS_SOON:
        return note(said, "renew the server's certificate; nothing has renewed it so far")
    return ok(said)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
