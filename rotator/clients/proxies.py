"""Which proxy the environment names for a server, and what is said of it when it fails. Pure.

The variables are read as curl reads them: `https_proxy`, else `all_proxy`, with the exceptions of `no_proxy`. Each
may be in capitals; the small one wins. Plain http goes through none: a proxy would see the credential.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from rotator.errors import Rejected, RotatorError, Transient
from rotator.redaction import Secret

_VARIABLES: Final = ("https_proxy", "all_proxy")
_EXCEPTIONS: Final = "no_proxy"
_PLACE: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?")
_NO_SECRET: Final = re.compile(r"\[.*|[^:]*(?::[0-9]*)?/?")
"""Where no `@` shows what is secret: a word after a colon may be a password whose host was forgotten."""
_OUT_OF_REACH: Final = (502, 503, 504)
_UNAUTHENTICATED: Final = 407


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the server beyond it. `repr` shows neither user nor password."""

    variable: str
    """The one that names it, as it is spelt."""
    exceptions: str
    """The variable that names the servers that need none."""
    shown: str
    """What the variable holds, without user and password; empty where it cannot be told what is secret."""
    url: str | None
    """Without user and password; None for what cannot be used."""
    host: str
    port: int
    """The server's."""
    user: Secret | None = field(default=None, repr=False)
    password: Secret | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.shown} ({self.variable})"

    def credentials(self) -> tuple[str, str] | None:
        """Reveal user and password; None where none are given. What is sent of them is remembered too."""
        if self.user is None or self.password is None:
            return None
        user, password = self.user.reveal(), self.password.reveal()
        Secret(f"{user}:{password}")
        return user, password

    def unusable(self) -> Rejected:
        """Return what is said of a value that is not the URL of a proxy."""
        shown = f" ({self.shown})" if self.shown else ""
        return Rejected(
            f"{self.variable}{shown} is not the URL of a proxy",
            cure=f"write http://HOST:PORT or https://HOST:PORT in {self.variable}, or {self._without}",
        )

    def refused(self, what: str, status: int) -> RotatorError:
        """Return what is said of an answer to CONNECT that opens no way. The request itself was not sent."""
        said = f"{what}: {self} answered {status} to CONNECT {self._server}"
        if status == _UNAUTHENTICATED:
            # Not repeated: some directories lock a user after a few wrong passwords.
            correct = "correct the" if self.user else "write a"
            return Rejected(said, cure=f"{correct} user and password in {self.variable}, or {self._without}")
        cure = (
            f"find out why the proxy cannot reach {self._server}"
            if status in _OUT_OF_REACH
            else f"let the proxy allow CONNECT to {self._server}"
        )
        return Transient(said, ambiguous=False, cure=f"{cure}, or {self._without}")

    def failed(self, what: str, why: str) -> Transient:
        """Return what is said of a proxy that did not answer, or that is none. The request was not sent."""
        cure = f"check {self.variable}, and the network between here and the proxy, or {self._without}"
        return Transient(f"{what}: {self}: {why}", ambiguous=False, cure=cure)

    @property
    def _server(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def _without(self) -> str:
        return f"add {self.host} to {self.exceptions} to go without it"


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that requests to the server at `url` go through, if there is one."""
    parts = urlsplit(url)
    names = (_spelt(name, environ) for name in _VARIABLES)
    variable = next((name for name in names if environ.get(name, "").strip()), None)
    host, port = (parts.hostname or "").rstrip("."), parts.port or 443
    exceptions = _spelt(_EXCEPTIONS, environ)
    if parts.scheme != "https" or variable is None or needs_none(host, port, environ.get(exceptions, "")):
        return None
    scheme, place, user = _parts(environ[variable].strip())
    found = _PLACE.fullmatch(place)
    sound = found and scheme in ("http", "https") and int(found[1] or 80) in range(1, 65536)
    whole = f"{scheme}://{place.rstrip('/')}"
    name, _, password = (user or "").partition(":")
    return Proxy(
        variable=variable,
        exceptions=exceptions,
        shown=whole
        if found or (user is None and _NO_SECRET.fullmatch(place) and place.isprintable())
        else "",
        url=whole if sound else None,
        host=host,
        port=port,
        user=None if user is None else Secret(unquote(name)),
        password=None if user is None else Secret(unquote(password)),
    )


def needs_none(host: str, port: int, exceptions: str) -> bool:
    """Whether `exceptions`, the value of NO_PROXY, names a server. What cannot be read in it names none.

    `*` is every server; a name is also all names below it, with or without a dot or `*.` before it; an address may
    be a network. Each may have a port; an IPv6 address is in brackets then.
    """
    return any(_fits(entry.lower(), host, port) for entry in re.split(r"[\s,]+", exceptions) if entry)


def _spelt(name: str, environ: Mapping[str, str]) -> str:
    return name if name in environ else name.upper()


def _parts(value: str) -> tuple[str, str, str | None]:
    """Return scheme, host with port, and user with password. These may hold `@`, `/` and `#`."""
    scheme, found, rest = value.partition("://")
    if not found or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme):
        scheme, rest = "http", value
    user, at, place = rest.rpartition("@")
    if at:
        Secret(user)
    return scheme.lower(), place, user if at else None


def _fits(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2]
    found = re.fullmatch(r"\[([^\]]+)\](/[0-9]+)?(?::([0-9]+))?", entry) or re.fullmatch(
        r"([^:]+?)(/[0-9]+)?/?(?::([0-9]+))?/?", entry
    )
    name, bits, only = found.groups() if found else (entry, None, None)  # else a bare IPv6 address or network
    if only and int(only) != port:
        return False
    address = _address(host)
    if address is None:
        name = name.removeprefix("*").strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        network = ip_network(name + (bits or ""), strict=False)
    except ValueError:
        return False
    return address in network


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
