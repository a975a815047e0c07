"""Clients of a real Vault-API server, and what a test makes there for itself."""

import time
from datetime import timedelta
from uuid import uuid4
from weakref import WeakSet

from rotator.clients.exchange import Trust
from rotator.clients.governor import Governor
from rotator.clients.vault.client import Connection, Vault
from rotator.clients.vault.login import Token
from rotator.clients.vault.session import Clock, Login
from rotator.redaction import Secret
from rotator.sandbox.vault import VaultServer
from tests.world import QUICK

LEAST = """
path "secret/data/app/*" { capabilities = ["create", "read", "update"] }
path "secret/data/rotator/installation" { capabilities = ["create", "read"] }
path "secret/data/rotator/claims/*" { capabilities = ["create", "read", "update"] }
"""


def connect_to(
    address: str,
    login: Login | Secret,
    mount: str = "secret",
    *,
    timeout: float = 5.0,
    clock: Clock = time.monotonic,
    trust: Trust | None = None,
    namespace: str | None = None,
    governor: Governor | None = None,
) -> Vault:
    """`login` may be a token."""
    connection = Connection(address, namespace, trust or Trust(), timedelta(seconds=timeout))
    login = Token(login) if isinstance(login, Secret) else login
    vault = Vault(
        connection, mount, login, policy=QUICK, sleep=lambda _: None, governor=governor, clock=clock
    )
    _made.add(vault)
    return vault


_made: WeakSet[Vault] = WeakSet()


def close_connections() -> None:
    """Close those of every client. One may be used again."""
    for vault in _made:
        vault._server.close()


def connect(server: VaultServer, token: Secret | None = None, mount: str = "secret") -> Vault:
    return connect_to(server.address, server.token if token is None else token, mount)


def new_kv(server: VaultServer) -> str:
    """Return a KV mount of the test's own."""
    mount = f"kv-{uuid4().hex[:8]}"
    server.api("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
    return mount


def new_token(server: VaultServer, policy: str = LEAST, **options: object) -> Secret:
    name = f"p{abs(hash((policy, str(options))))}"
    server.api("PUT", f"sys/policies/acl/{name}", {"policy": policy})
    made = server.api("POST", "auth/token/create", {"policies": [name], "no_parent": True, **options})
    return Secret(made["auth"]["client_token"])
