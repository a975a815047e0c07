"""Auth methods of a real server, each mounted for one test."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from rotator.clients.vault.client import Vault
from rotator.clients.vault.login import AppRole, Read
from rotator.config import Auth, Config, load
from rotator.errors import RotatorError
from rotator.redaction import Secret
from rotator.sandbox.vault import VaultServer
from tests.certificates import LOOPBACK, Authority, Signer
from tests.token_review import ACCOUNT, ISSUER, NAMESPACE, claims, reviewing

POLICY = 'path "*" { capabilities = ["create", "read", "update"] }'
POLICY_WITHOUT_X = POLICY + ' path "secret/data/x" { capabilities = ["deny"] }'


class Hours:
    """A clock that a test sets, in hours."""

    now = 0.0

    def __call__(self) -> float:
        return self.now * 3600


def mounted(server: VaultServer, kind: str, policy: str = POLICY) -> str:
    """Mount an auth method, with a policy of the same name for its roles; return where."""
    mount = f"{kind}-{uuid4().hex[:8]}"
    server.api("PUT", f"sys/policies/acl/{mount}", {"policy": policy})
    server.api("POST", f"sys/auth/{mount}", {"type": kind})
    return mount


def file_reader(path: Path) -> Read:
    return lambda: Secret(path.read_text())


def auth(directory: Path, text: str, environ: dict[str, str] | None = None) -> Auth:
    """What a config with this `vault.auth` says."""
    path = directory / "rotator.yaml"
    path.write_text(f"vault: {{address: https://v, auth: {text}}}\nkeys: [{{name: A, path: a}}]\n")
    loaded: Config = load(path, {"APIMALL_API_KEY": "sk-of-nobody-at-all", **(environ or {})})
    return loaded.vault.auth


def reads(vault: Vault) -> bool:
    return vault.read("app/x").data is None


@dataclass
class Role:
    """An AppRole `rotator`, whose tokens live for an hour."""

    server: VaultServer
    policy: str = POLICY
    mount: str = field(init=False)

    def __post_init__(self) -> None:
        self.mount = mounted(self.server, "approle", self.policy)
        self.set(token_ttl="1h", token_policies=[self.mount])
        self.role_id = Secret(self.server.api("GET", f"{self.path}/role-id")["data"]["role_id"])

    @property
    def path(self) -> str:
        return f"auth/{self.mount}/role/rotator"

    def set(self, **fields: Any) -> None:
        self.server.api("POST", self.path, fields)

    def secret_id(self) -> Secret:
        return Secret(self.server.api("POST", f"{self.path}/secret-id", {})["data"]["secret_id"])

    def wrapped(self) -> Secret:
        """A wrapping token that holds a secret id."""
        request = urllib.request.Request(
            f"{self.server.address}/v1/{self.path}/secret-id",
            b"{}",
            {"X-Vault-Token": self.server.token.reveal(), "X-Vault-Wrap-TTL": "60s"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return Secret(json.load(answer)["wrap_info"]["token"])

    def login(self, secret_id: Callable[[Any], Secret] | None = None) -> AppRole:
        made = self.secret_id()
        return AppRole(self.mount, lambda: self.role_id, secret_id or (lambda _: made))

    def accessors(self) -> list[str]:
        """Of the secret ids."""
        return list(self.server.api("LIST", f"{self.path}/secret-id")["data"]["keys"])

    def tokens(self) -> int:
        """How many tokens that were got here live."""
        try:
            return len(self.server.api("LIST", f"sys/leases/lookup/auth/{self.mount}/login")["data"]["keys"])
        except RotatorError as error:
            if error.status != 404:  # Vault's answer for none
                raise
            return 0

    def revoke_all(self) -> None:
        """Revoke every token that was got here."""
        self.server.api("PUT", f"sys/leases/revoke-prefix/auth/{self.mount}")


@contextmanager
def in_a_pod(server: VaultServer, directory: Path, role: str, policy: str) -> Iterator[Path]:
    """Mount `kubernetes` where manifests expect it, for a service account; yield the file with its token."""
    authority, signer, file = Authority(directory), Signer(), directory / "service-account"
    file.write_text(signer.jwt(**claims(1)))
    server.api("PUT", f"sys/policies/acl/{role}", {"policy": policy})
    server.api("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
    try:
        with reviewing({file.read_text()}, *authority.issue("api-server", LOOPBACK)) as address:
            config = {"kubernetes_host": address, "kubernetes_ca_cert": authority.cert.read_text()}
            reviewer = {"token_reviewer_jwt": signer.jwt(sub="vault"), "disable_local_ca_jwt": True}
            server.api("POST", "auth/kubernetes/config", {**config, **reviewer, "issuer": ISSUER})
            account = {"bound_service_account_names": ACCOUNT, "bound_service_account_namespaces": NAMESPACE}
            rights = {"token_policies": [role], "token_ttl": "1h", "audience": "vault"}
            server.api("POST", f"auth/kubernetes/role/{role}", {**account, **rights})
            yield file
    finally:
        server.api("DELETE", "sys/auth/kubernetes")
