"""HashiCorp Vault's KV version 2 (OpenBao speaks the same API) behind the `Store` port.

The only importer of hvac. Whatever hvac or its transport raises, and whatever Vault answers, becomes one of
`rotator.errors` here.
"""

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar

import hvac
import requests
import structlog
import urllib3
from hvac.adapters import RawAdapter
from requests.adapters import HTTPAdapter

from rotator import retry
from rotator.errors import Rejected, RotatorError, Transient
from rotator.exchange import TooSlow, cause, chain, raise_for_tls, read_bounded, within
from rotator.model import Version
from rotator.redaction import Secret
from rotator.vault.wire import Answer, capabilities_of, version_of

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""A larger answer is refused; Vault itself stores at most 1 MiB in a secret."""
CAPABILITIES_BATCH: Final = 256
"""Paths in one question for capabilities: OpenBao refuses bodies of more than 1,000 strings."""

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True)
class Connection:
    """Where Vault is and how it is reached. `verify` is a CA bundle, or whether to verify TLS at all."""

    address: str
    namespace: str | None
    verify: str | bool
    client_cert: tuple[str, str] | None
    timeout: timedelta
    concurrency: int


class Vault:
    """One KV v2 mount. Thread-safe."""

    def __init__(
        self,
        connection: Connection,
        mount: str,
        login: Callable[[hvac.Client], Secret],
        *,
        policy: retry.Policy,
        sleep: retry.Sleep,
    ) -> None:
        self._mount = mount
        self._policy, self._sleep = policy, sleep
        self._client = _client(connection)
        self._client.token = login(self._client).reveal()
        self._kv = self._client.secrets.kv.v2

    def close(self) -> None:
        self._client.session.close()

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        def attempt() -> Version:
            answer = self._kv.read_secret_version(
                path, version, mount_point=self._mount, raise_on_deleted_version=True
            )
            return version_of(answer)

        return attempt() if once else self._patiently(attempt)

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        answer: Answer = self._kv.create_or_update_secret(path, dict(data), cas=cas, mount_point=self._mount)
        return answer.integer("data", "version")

    def check_mount(self) -> None:
        path = f"/v1/sys/internal/ui/mounts/{self._mount}"
        answer = self._patiently(lambda: self._client.adapter.get(path))
        options = answer.data.get("options")
        version = options.get("version") if isinstance(options, dict) else None
        if answer.data.get("type") != "kv" or version != "2":
            raise Rejected(
                f"the mount {self._mount}/ is not a KV version 2 secrets engine; without check-and-set a key "
                "could be lost",
                cure=f"run `vault kv enable-versioning {self._mount}/`, or name another mount in vault.mount",
            )

    def missing_capabilities(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        wanted = {f"{self._mount}/data/{path}": (path, names) for path, names in needed.items()}
        asked, missing = sorted(wanted), {}
        for start in range(0, len(asked), CAPABILITIES_BATCH):
            batch = asked[start : start + CAPABILITIES_BATCH]
            answer = self._patiently(partial(self._client.sys.get_capabilities, batch))
            for full in batch:
                path, names = wanted[full]
                if lacks := set(names) - capabilities_of(answer, full):
                    missing[path] = f"{', '.join(sorted(lacks))} on {full}"
        return missing

    def token_ttl(self) -> timedelta | None:
        answer = self._patiently(lambda: self._client.auth.token.lookup_self())
        ttl = answer.integer("data", "ttl")
        expires = answer.data.get("expire_time") is not None or ttl > 0
        return timedelta(seconds=ttl) if expires else None

    def _patiently(self, attempt: Callable[[], T]) -> T:
        return retry.call(attempt, self._policy, event="vault.retry", sleep=self._sleep)


class _Adapter(RawAdapter):  # type: ignore[misc]
    """hvac's transport, with bounds on time and size, our errors and our log."""

    concurrency = 1

    @property
    def unreachable(self) -> str:
        return f"check vault.address ({self.base_uri}), and the network between here and there"

    def request(
        self,
        method: str,
        url: str,
        headers: Any = None,
        raise_exception: bool = True,  # noqa: ARG002 - hvac's signature; we raise our own
        **kwargs: Any,
    ) -> Answer:
        what, began = f"{method.upper()} {url}", time.monotonic()
        seen: Answer | RotatorError
        try:
            seen = self._exchange(what, method, url, headers, kwargs)
            seen.raise_for_refusal()
        except RotatorError as error:
            seen = error
            raise
        finally:
            log.info(
                "vault.request",
                method=method.upper(),
                path=url,
                status=seen.status,
                vault_request_id=seen.request_id,
                duration_ms=round((time.monotonic() - began) * 1000),
                **({"error": seen.message} if isinstance(seen, RotatorError) else {}),
            )
        return seen

    def _exchange(self, what: str, method: str, url: str, headers: Any, kwargs: dict[str, Any]) -> Answer:
        seconds = self._kwargs["timeout"]
        try:
            return within(
                what, seconds, lambda: self._round(what, method, url, headers, kwargs), cure=self.unreachable
            )
        except TooSlow:
            # The connection that was left behind keeps its place in the pool.
            self.session.mount(self.base_uri, _pool(self.concurrency))
            raise

    def _round(self, what: str, method: str, url: str, headers: Any, kwargs: dict[str, Any]) -> Answer:
        try:
            response = super().request(method, url, headers, raise_exception=False, stream=True, **kwargs)
            with response:
                chunks = response.iter_content(65536)
                content = read_bounded(what, chunks, limit=MAX_ANSWER_BYTES, seconds=self._kwargs["timeout"])
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise_for_tls(what, error, self.base_uri)
            raise Transient(
                f"{what}: {cause(error)}", ambiguous=not _never_sent(error), cure=self.unreachable
            ) from None
        return Answer(what, response.status_code, response.headers, content)


_NO_CONNECTION: Final = (
    requests.ConnectTimeout,
    urllib3.exceptions.NewConnectionError,
    ssl.SSLCertVerificationError,
)


def _client(connection: Connection) -> hvac.Client:
    session = requests.Session()
    session.mount(connection.address, _pool(connection.concurrency))
    # Proxies from the environment would see the token of a plain http request, and a ~/.netrc would add a
    # credential that nobody asked for.
    session.trust_env = False
    if connection.address.startswith("https://"):
        session.proxies = dict(requests.utils.get_environ_proxies(connection.address))
    session.verify, session.cert = connection.verify, connection.client_cert
    client = hvac.Client(
        url=connection.address,
        token="",  # nothing is taken from the environment or from ~/.vault-token behind our back
        session=session,
        verify=session.verify,
        cert=session.cert,
        timeout=connection.timeout.total_seconds(),
        namespace=connection.namespace,
        allow_redirects=False,
        adapter=_Adapter,
    )
    client.adapter.concurrency = connection.concurrency
    return client


def _pool(size: int) -> HTTPAdapter:
    return HTTPAdapter(pool_maxsize=size, pool_block=True)


def _never_sent(error: BaseException) -> bool:
    """Whether the request cannot have reached the server: no connection was made.

    Any other TLS error may come after the request was sent, and executed.
    """
    return any(isinstance(seen, _NO_CONNECTION) for seen in chain(error))
