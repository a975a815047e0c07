"""From a config to an account: the clients behind their ports, and every source of a credential."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock

from rotator.clients.exchange import Trust, Watch
from rotator.clients.gateway.bearer import Bearer, Found, Source, usable
from rotator.clients.gateway.client import Gateway
from rotator.clients.gateway.clock import GatewayClock
from rotator.clients.governor import Governor
from rotator.clients.receiver import Receivers
from rotator.clients.retry import ONCE, Policy
from rotator.clients.vault.client import Connection, Vault
from rotator.clients.vault.login import ISSUE, ISSUE_THERE
from rotator.config import (
    Config,
    VaultBlock,
    signing_secrets,
)
from rotator.credentials import login_of
from rotator.errors import Rejected, cause
from rotator.files import read_text
from rotator.passes.account import Account, Store
from rotator.passes.stopping import FAREWELL, Stopping
from rotator.redaction import words
from rotator.rules.bookkeeping import read_plaintext


@contextmanager
def open_account(
    config: Config,
    environ: Mapping[str, str],
    stopping: Stopping,
    policy: Policy | None = None,
    watch: Callable[[str], Watch] | None = None,
) -> Iterator[Account]:
    """Hand out the account; log out of Vault in the end.

    `watch` makes the watch of a server: of `gateway`, `vault`, and `vaults[NAME]` for a further one.
    """
    policy = policy or Policy(patience=config.timing.pass_deadline.total_seconds())
    watch_vault, watch_gateway = (watch("vault"), watch("gateway")) if watch else (None, None)
    vault = vault_of(config, environ, stopping, policy, watch_vault)
    bearer = BearerSources(config, lambda: vault, environ).bearer()
    gateway = gateway_of(config, bearer, stopping, policy, watch_gateway)
    receivers = Receivers(lambda receiver: signing_secrets(receiver, environ, receiver.place))
    further = FurtherVaults(config, environ, stopping, watch)
    with (
        closing(gateway),
        _closed_in_time(further, stopping),
        _closed_in_time(vault, stopping),
    ):
        yield Account(
            gateway=gateway,
            store=vault,
            bearer=bearer,
            bearer_path=config.gateway.api_key.vault,
            keys=config.managed,
            shard=config.shard,
            titles=config.titles,
            timing=config.timing,
            state_path=config.vault.state_path,
            acks_path=config.vault.acks_path,
            concurrency=config.gateway.max_concurrency,
            policy=policy,
            stopping=stopping,
            vaults=further,
            limits=lambda: {
                name: governor.rate
                for name, governor in (("gateway", gateway.governor), ("vault", vault.governor))
                if governor.rate
            },
            mount=config.vault.mount,
            tell=receivers.tell,
        )


@contextmanager
def open_vault(
    config: Config, environ: Mapping[str, str], stopping: Stopping, policy: Policy
) -> Iterator[Vault]:
    """Hand out Vault alone; log out in the end."""
    vault = vault_of(config, environ, stopping, policy)
    with _closed_in_time(vault, stopping):
        yield vault


@contextmanager
def _closed_in_time(vault: "Vault | FurtherVaults", stopping: Stopping) -> Iterator[None]:
    """A token that cannot be revoked soon expires by itself."""
    try:
        yield
    finally:
        with stopping.within(FAREWELL):
            vault.close()


class FurtherVaults:
    """The Vaults that hold copies. Each is made when it is first asked for, and has its own pace. Thread-safe."""

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        stopping: Stopping,
        watch: Callable[[str], Watch] | None = None,
    ) -> None:
        self._config, self._environ, self._stopping, self._watch = config, environ, stopping, watch
        self._made: dict[str, Vault] = {}
        self._lock = Lock()

    def __call__(self, name: str) -> Vault:
        """Return the client of one. Nothing waits for it: neither an answer nor a limit is waited for twice."""
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def _make(self, name: str) -> Vault:
        vault, main = self._config.vaults[name], self._config.vault
        server = f"vaults[{name}]"
        most = self._config.gateway.max_concurrency
        return _client_of(
            vault,
            self._environ,
            Governor(most, self._stopping.sleep, server=server, hurried=lambda: True),
            ONCE,
            self._stopping,
            most,
            self._watch(server) if self._watch else None,
            login_namespace=(main.namespace or "") if vault.auth is main.auth else None,
            issue=ISSUE if vault.auth is main.auth else ISSUE_THERE,
        )

    def close(self) -> None:
        """Log out of those that were asked."""
        for vault in self._made.values():
            vault.close()


def vault_of(
    config: Config,
    environ: Mapping[str, str],
    stopping: Stopping,
    policy: Policy,
    watch: Watch | None = None,
) -> Vault:
    """Return the client of Vault, which is to be closed. Raises Rejected for certificates that cannot be loaded."""
    governor, most = governor_of("vault", config, stopping), config.gateway.max_concurrency
    return _client_of(config.vault, environ, governor, policy, stopping, most, watch)


def _client_of(
    vault: VaultBlock,
    environ: Mapping[str, str],
    governor: Governor,
    policy: Policy,
    stopping: Stopping,
    connections: int,
    watch: Watch | None,
    *,
    login_namespace: str | None = None,
    issue: str = ISSUE,
) -> Vault:
    return Vault(
        Connection(
            address=vault.address,
            namespace=vault.namespace,
            trust=trust_of(vault),
            timeout=vault.timeout,
            connections=connections,
            watch=watch,
            login_namespace=login_namespace,
        ),
        vault.mount,
        login_of(vault.auth, environ, issue),
        policy=policy,
        sleep=stopping.sleep,
        governor=governor,
    )


def governor_of(server: str, config: Config, stopping: Stopping) -> Governor:
    """Return what learns how fast a server may be called."""
    most = config.gateway.max_concurrency
    return Governor(most, stopping.sleep, server=server, hurried=lambda: stopping.is_committed)


def gateway_of(
    config: Config, bearer: Bearer, stopping: Stopping, policy: Policy, watch: Watch | None = None
) -> Gateway:
    """Return the client of the gateway, which is to be closed."""
    return Gateway(
        config.gateway.url,
        bearer,
        timeout=config.gateway.timeout,
        policy=policy,
        sleep=stopping.sleep,
        clock=GatewayClock(config.timing.clock_tolerance),
        governor=governor_of("gateway", config, stopping),
        connections=config.gateway.max_concurrency,
        watch=watch,
    )


def trust_of(vault: VaultBlock) -> Trust:
    """Whom TLS trusts to be a Vault."""
    return Trust(
        ca_cert=vault.ca_cert,
        skip_verify=vault.tls_skip_verify,
        client_cert=(vault.client_cert, vault.client_key) if vault.client_cert and vault.client_key else None,
    )


class BearerSources(dict[str, Source]):
    """The sources of the bearer by their names, in the order of the config: Vault, a file, the environment."""

    def __init__(self, config: Config, store: Callable[[], Store], environ: Mapping[str, str]) -> None:
        super().__init__()
        self._absent: dict[str, str] = {}
        """Of those that were asked and have nothing: what is missing, in words."""
        names = config.gateway.api_key
        if path := names.vault:
            name = next((key.field for key in config.managed if key.path == path), "api_key")
            self[f"{path} in Vault"] = lambda: self._from_vault(store(), path, name)
        if file := names.file:
            self[f"the file {file}"] = lambda: self._from_file(Path(file))
        if variable := names.env:
            self[f"the variable {variable}"] = lambda: self._from(
                f"gateway.api_key.env {variable}", environ.get(variable, ""), "it is not set"
            )

    def bearer(self) -> Bearer:
        """Return the bearer, out of the first of them that has one."""
        return Bearer([*self.values(), self.nothing])

    def nothing(self) -> Found | None:
        """Raise Rejected, with what each of them lacks."""
        raise Rejected(
            f"there is no key in {'; nor in '.join(f'{at}: {why}' for at, why in self._absent.items())}",
            cure="put an API key of the account into one of them",
        )

    def _from(self, at: str, text: str, why: str = "it is empty") -> Found | None:
        self._absent[at] = why
        return usable(text, at)

    def _from_vault(self, store: Store, path: str, name: str) -> Found | None:
        data = store.read(path).data
        has = f"it has: {', '.join(words(field) for field in data)}" if data else "it is empty"
        why = (
            f"the secret has no text in the field `{name}` ({has})"
            if data is not None
            else "there is no secret"
        )
        return self._from(f"gateway.api_key.vault {path}", read_plaintext(data, name) or "", why)

    def _from_file(self, path: Path) -> Found | None:
        at = f"gateway.api_key.file {path}"
        try:
            return self._from(at, read_text(path))
        except FileNotFoundError as error:
            return self._from(at, "", cause(error))
        except UnicodeDecodeError:
            raise Rejected(f"{at}: is not UTF-8", cure="write the key alone into it") from None
        except OSError as error:
            raise Rejected(f"{at}: {error.strerror}", cure="make it a file that this user can read") from None
