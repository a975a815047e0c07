"""HashiCorp Vault's KV version 2 (OpenBao speaks the same API) behind the `Store` port.

The only importer of hvac, which knows Vault's paths and bodies; its own transport is not used. Whatever Vault
answers becomes one of `rotator.errors` here.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

import hvac
from hvac.adapters import RawAdapter
from hvac.utils import format_url

from rotator.clients import retry
from rotator.clients.exchange import Request, Server, Trust, Watch
from rotator.clients.governor import Governor
from rotator.clients.request_log import logged
from rotator.clients.vault.answers import (
    Health,
    TokenFacts,
    VaultAnswer,
    capabilities_of,
    custom_of,
    health_of,
    names_of,
    token_of,
    version_of,
)
from rotator.clients.vault.session import Clock, Login, Session
from rotator.errors import Rejected
from rotator.redaction import words
from rotator.rules.installation import Whereabouts
from rotator.rules.model import Version

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""A larger answer is refused; Vault itself stores at most 1 MiB in a secret."""
CAPABILITIES_BATCH: Final = 256
"""Paths in one question for capabilities: OpenBao refuses bodies of more than 1,000 strings."""

_ANY_HEALTH: Final = {"standbyok": "true", "perfstandbyok": "true", "sealedcode": "200", "uninitcode": "200"}
"""Be answered 200 in each of these states: they are told, and no error."""

T = TypeVar("T")


@dataclass(frozen=True)
class Connection:
    """Where Vault is and how it is reached."""

    address: str
    namespace: str | None
    trust: Trust
    timeout: timedelta
    connections: int = 8
    """The most that are open at once, and the most calls."""
    watch: Watch | None = None
    login_namespace: str | None = None
    """Where we log in, if that is another namespace; empty for the one that all are in."""


class Vault:
    """One KV v2 mount. Thread-safe."""

    def __init__(
        self,
        connection: Connection,
        mount: str,
        login: Login,
        *,
        policy: retry.Policy,
        sleep: retry.Sleep,
        governor: Governor | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.governor = governor or Governor(connection.connections, sleep)
        self._mount = mount
        self._namespace, self._address = connection.namespace, connection.address
        self._policy, self._sleep = policy, sleep
        self._server = server = _server(connection)
        self._anonymous = _client(connection, server, self.governor, _Adapter)
        self._session = Session(_client(connection, server, self.governor, _TokenAdapter), login, clock)
        self._client = _client(connection, server, self.governor, _SessionAdapter)
        self._client.adapter.session = self._session
        self._kv = self._client.secrets.kv.v2

    def log_in(self) -> None:
        """As the port of a copy's Vault says."""
        self._session.current()

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        """As the port says. What was deleted or destroyed keeps its number; what was trimmed is 0."""

        def attempt() -> Version:
            answer = self._kv.read_secret_version(
                path, version, mount_point=self._mount, raise_on_deleted_version=True
            )
            return version_of(answer)

        return attempt() if once else self._patiently(attempt)

    def list(self, folder: str) -> Sequence[str]:
        """Return the names in a folder, with a slash where one is a folder itself. One that is missing has none.

        No pass asks for it: the rotator's own policy does not allow it. The folder without a name is the mount.
        """
        return names_of(self._patiently(partial(self._kv.list_secrets, folder, mount_point=self._mount)))

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        """As the port says. With `cas` 0 Vault writes only where nothing was ever written."""
        answer: VaultAnswer = self._kv.create_or_update_secret(
            path, dict(data), cas=cas, mount_point=self._mount
        )
        number = answer.integer("data", "version")
        if number != cas + 1:
            raise answer.broken(f"version {number} follows version {cas}")
        return number

    def read_custom(self, path: str) -> Mapping[str, str] | None:
        """As the port says, by the metadata alone: that shows no plaintext to who must not see it."""
        answer = self._patiently(lambda: self._kv.read_secret_metadata(path, mount_point=self._mount))
        return None if answer.status == HTTPStatus.NOT_FOUND else custom_of(answer.data)

    def write_custom(self, path: str, changes: Mapping[str, str | None]) -> None:
        """As the port says. Done twice it is the same, so it is repeated; hvac knows no patch of metadata."""
        url = format_url("/v1/{mount}/metadata/{path}", mount=self._mount, path=path)
        headers = {"Content-Type": "application/merge-patch+json"}
        body = {"custom_metadata": dict(changes)}
        self._patiently(lambda: self._client.adapter.request("patch", url, headers=headers, json=body))

    def check_mount(self) -> None:
        """As the port says. Where there is no mount Vault answers 403, as to who has no right on it."""
        path = f"/v1/sys/internal/ui/mounts/{self._mount}"
        answer = self._patiently(lambda: self._client.adapter.get(path))
        options, kind, place = (answer.data.get(name) for name in ("options", "type", "path"))
        version = options.get("version") if isinstance(options, dict) else None
        if kind != "kv" or version != "2":
            another = "name a KV version 2 mount in vault.mount; to find one: `vault secrets list -detailed`"
            raise Rejected(
                f"the mount {self._mount}/ is not a KV version 2 secrets engine; without check-and-set a key "
                "could be lost",
                cure=f"enable versions on it: `vault kv enable-versioning {self._mount}/`; or {another}"
                if kind == "kv"
                else another,
            )
        if place != f"{self._mount}/":  # Vault answers for whatever mount holds the path
            whole = words(str(place or "another")).strip("/")
            raise Rejected(
                f"{self._mount}/ is not a mount but a path in the mount {whole}/",
                cure=f"write only the mount, {whole}, in vault.mount; the paths of keys begin below it",
            )

    def whereabouts(self) -> Whereabouts:
        """As the port says: the cluster's id, the mount's UUID, the namespace, and the address that we call."""
        path = f"/v1/sys/internal/ui/mounts/{self._mount}"
        answer = self._patiently(lambda: self._client.adapter.get(path))
        mount = answer.data.get("uuid") or answer.data.get("accessor")
        return Whereabouts(
            cluster_id=self.health().cluster_id,
            mount=words(str(mount or "")),
            namespace=self._namespace or "",
            address=self._address,
        )

    def missing_capabilities(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        """As the port says, each in words: `create, update on secret/data/app`."""
        lacking = self.lacking(needed).items()
        return {path: f"{', '.join(names)} on {self._mount}/data/{path}" for path, names in lacking}

    def lacking(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, tuple[str, ...]]:
        """Return what `missing_capabilities` does, by the names that Vault has for them, in order."""
        wanted = {f"{self._mount}/data/{path}": (path, names) for path, names in needed.items()}
        asked = sorted(wanted)
        missing: dict[str, tuple[str, ...]] = {}
        for start in range(0, len(asked), CAPABILITIES_BATCH):
            batch = asked[start : start + CAPABILITIES_BATCH]
            answer = self._patiently(partial(self._client.sys.get_capabilities, batch))
            for full in batch:
                path, names = wanted[full]
                if lacks := set(names) - capabilities_of(answer, full):
                    missing[path] = tuple(sorted(lacks))
        return missing

    def token_ttl(self, *, at_least: timedelta = timedelta()) -> timedelta | None:
        """As the port says. A renewal that fails while the token lives is logged, and the TTL stays short."""
        token = self.look_up_token()
        if token.uses is not None and not self._session.ours:
            raise Rejected(
                f"the Vault token can make {token.uses} more requests, and could be used up "
                f"between creating a key and storing it; nothing was created",
                cure="make a token without num_uses, or let the rotator log in (vault.auth)",
            )
        if token.ttl is None or token.ttl >= at_least:
            return token.ttl
        self._patiently(self._session.prolong)
        return self.look_up_token().ttl

    def look_up_token(self) -> TokenFacts:
        """Ask `auth/token/lookup-self` of our own token, as Vault's `default` policy allows."""
        return token_of(self._patiently(lambda: self._client.auth.token.lookup_self()))

    def health(self) -> Health:
        """Ask how the server is, without a token and in no namespace."""
        request = Request("GET", "/v1/sys/health", _ANY_HEALTH)

        return health_of(
            self._patiently(lambda: _ask(self._server, self.governor, request, {"X-Vault-Request": "true"}))
        )

    def anonymously(self, ask: Callable[[Any], T]) -> T:
        """Return what `ask` returns, given an hvac client that has no token."""
        return self._patiently(lambda: ask(self._anonymous))

    def close(self) -> None:
        """Revoke the token, if a login of ours made it. That it fails is logged and no more: it expires."""
        self._session.close()
        self._server.close()

    def _patiently(self, attempt: Callable[[], T]) -> T:
        return retry.call(
            attempt,
            self._policy,
            event="vault.retry",
            sleep=self._sleep,
            patient=lambda: not self.governor.is_hurried(),
        )


class _Adapter(RawAdapter):  # type: ignore[misc]
    """What hvac sends, over a transport with bounds on time and size, with our errors and our log."""

    server: Server
    governor: Governor
    hurried = False

    def request(
        self,
        method: str,
        url: str,
        headers: Any = None,
        raise_exception: bool = True,  # noqa: ARG002 - hvac's signature; we raise our own
        **kwargs: Any,
    ) -> VaultAnswer:
        return self._send(Request(method.upper(), url, kwargs.get("params"), kwargs.get("json")), headers)

    def _send(self, request: Request, headers: Any) -> VaultAnswer:
        return self._exchange(request, headers, self.token)

    def _exchange(self, request: Request, headers: Any, token: str) -> VaultAnswer:
        return _ask(self.server, self.governor, request, self._headers(headers, token), hurried=self.hurried)

    def _headers(self, headers: Any, token: str) -> dict[str, str]:
        ours = {"X-Vault-Request": "true", "X-Vault-Token": token, "X-Vault-Namespace": self.namespace}
        return {**(headers or {}), **{name: value for name, value in ours.items() if value}}


class _TokenAdapter(_Adapter):
    """Sends what keeps the session's token alive: no call to Vault begins before that is done."""

    hurried = True


class _SessionAdapter(_Adapter):
    """Sends each request with the session's token of that moment."""

    session: Session

    def _send(self, request: Request, headers: Any) -> VaultAnswer:
        token = self.session.current()
        try:
            return self._exchange(request, headers, token.reveal())
        except Rejected as error:
            if error.status != HTTPStatus.FORBIDDEN or not self.session.refresh(token):
                raise
        # Vault refuses before any effect, so even a write may be sent again.
        return self._exchange(request, headers, self.session.current().reveal())


def _ask(
    server: Server, governor: Governor, request: Request, headers: Mapping[str, str], *, hurried: bool = False
) -> VaultAnswer:
    """Ask when it is our turn, and log it: a read that goes well only at `debug`, for each pass makes thousands."""

    def exchange() -> VaultAnswer:
        answer = VaultAnswer(str(request), *server.exchange(request, headers))
        told.status, told.retry_after = answer.status, answer.retry_after
        return answer

    with governor.turn(request.method, hurried=hurried) as told:
        return logged(
            "vault.request", "vault_request_id", request, exchange, quiet=request.method in ("GET", "LIST")
        )


def _server(connection: Connection) -> Server:
    address = connection.address
    return Server(
        address,
        timeout=connection.timeout,
        limit=MAX_ANSWER_BYTES,
        cure=f"check vault.address ({address}), and the network between here and there",
        connections=connection.connections,
        trust=connection.trust,
        watch=connection.watch,
    )


def _client(
    connection: Connection, server: Server, governor: Governor, adapter: type[_Adapter]
) -> hvac.Client:
    elsewhere = connection.login_namespace if adapter is not _SessionAdapter else None
    client = hvac.Client(
        url=connection.address,
        token="",  # nothing is taken from the environment or from ~/.vault-token behind our back
        namespace=connection.namespace if elsewhere is None else elsewhere or None,
        adapter=adapter,
    )
    client.adapter.server, client.adapter.governor = server, governor
    return client
