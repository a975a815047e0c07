"""From a config to an account: the one place where the adapters are put behind their ports."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from rotator.clients.exchange import Trust, Watch
from rotator.clients.gateway.bearer import Bearer, Source, usable
from rotator.clients.gateway.client import Gateway
from rotator.clients.retry import Policy
from rotator.clients.vault.client import Connection, Vault
from rotator.config import Config, Webhook, signing_secrets
from rotator.credentials import login_of
from rotator.errors import Rejected, RotatorError
from rotator.passes.account import Account
from rotator.passes.result import PassResult
from rotator.passes.stopping import Stopping
from rotator.passes.store import Store
from rotator.redaction import Secret
from rotator.rules.bookkeeping import read_plaintext

Tell = Callable[[PassResult | RotatorError], None]
"""Told what came of a pass."""


@contextmanager
def open_account(
    config: Config,
    environ: Mapping[str, str],
    stopping: Stopping,
    policy: Policy | None = None,
    watch: Callable[[str], Watch] | None = None,
) -> Iterator[Account]:
    """Hand out the account; log out of Vault in the end.

    `watch` makes the watch of a server: of `gateway` and of `vault`.
    """
    policy = policy or Policy()
    watch_vault, watch_gateway = (watch("vault"), watch("gateway")) if watch else (None, None)
    vault = vault_of(config, environ, stopping, policy, watch_vault)
    bearer = Bearer(list(bearer_sources(config, lambda: vault, environ).values()))
    with closing(vault):
        yield Account(
            gateway=gateway_of(config, bearer, stopping, policy, watch_gateway),
            store=vault,
            bearer=bearer,
            bearer_path=config.gateway.api_key.vault,
            keys=config.managed,
            shard=config.shard,
            titles=config.titles,
            timing=config.timing,
            state_path=config.vault.state_path,
            concurrency=config.gateway.max_concurrency,
            policy=policy,
            stopping=stopping,
        )


def vault_of(
    config: Config,
    environ: Mapping[str, str],
    stopping: Stopping,
    policy: Policy,
    watch: Watch | None = None,
) -> Vault:
    """Return the client of Vault, which is to be closed. Raises Rejected for certificates that cannot be loaded."""
    return Vault(
        Connection(
            address=config.vault.address,
            namespace=config.vault.namespace,
            trust=trust_of(config),
            timeout=config.vault.timeout,
            watch=watch,
        ),
        config.vault.mount,
        login_of(config.vault.auth, environ),
        policy=policy,
        sleep=stopping.sleep,
    )


def gateway_of(
    config: Config, bearer: Bearer, stopping: Stopping, policy: Policy, watch: Watch | None = None
) -> Gateway:
    return Gateway(
        config.gateway.url,
        bearer,
        timeout=config.gateway.timeout,
        policy=policy,
        sleep=stopping.sleep,
        watch=watch,
    )


@contextmanager
def open_notifier(webhook: Webhook | None, environ: Mapping[str, str]) -> Iterator[Tell]:
    """Hand out whom to tell of each pass; tell of an error that ends it all, and wait a while for the receiver."""
    if webhook is None:
        yield lambda _seen: None
        return
    from rotator.service.webhook import Notifier

    notifier = Notifier(webhook.url, signing_secrets(webhook, environ), webhook.events)
    try:
        yield notifier.tell
    except RotatorError as error:
        notifier.tell(error)
        raise
    finally:
        notifier.close()


def trust_of(config: Config) -> Trust:
    """Whom TLS trusts to be Vault."""
    vault = config.vault
    return Trust(
        ca_cert=vault.ca_cert,
        skip_verify=vault.tls_skip_verify,
        client_cert=(vault.client_cert, vault.client_key) if vault.client_cert and vault.client_key else None,
    )


def bearer_sources(
    config: Config, store: Callable[[], Store], environ: Mapping[str, str]
) -> Mapping[str, Source]:
    """Return the sources by their names, in the order of the config: Vault, then a file, then the environment."""
    sources: dict[str, Source] = {}
    names = config.gateway.api_key
    if path := names.vault:
        field = next((key.field for key in config.managed if key.path == path), "api_key")
        sources[f"{path} in Vault"] = lambda: _from_vault(store(), path, field)
    if file := names.file:
        sources[f"the file {file}"] = lambda: _from_file(Path(file))
    if variable := names.env:
        sources[f"the variable {variable}"] = lambda: usable(environ.get(variable, ""))
    return sources


def _from_vault(store: Store, path: str, field: str) -> Secret | None:
    return usable(read_plaintext(store.read(path).data, field) or "")


def _from_file(path: Path) -> Secret | None:
    try:
        return usable(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Rejected(f"gateway.api_key.file {path}: {why}", cure="make it readable for this user") from None
