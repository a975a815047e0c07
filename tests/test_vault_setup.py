"""deploy/vault/setup.sh against a real server that has nothing yet, and the program with what it made."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rotator.credentials import login_of
from rotator.errors import Rejected
from rotator.sandbox.vault import VaultServer, find_binary
from tests.certificates import LOOPBACK, Authority, Signer
from tests.deployed import DEPLOY, VENV, run
from tests.logins import auth, reads
from tests.needs import NAMESPACES, QUOTAS, RENDER_INTERVAL, needed, skipped
from tests.old_vault import OldVault, old_vault
from tests.program import Program
from tests.token_review import ISSUER, NAMESPACE, claims, reviewing
from tests.vaults import connect_to, new_token

SCRIPT = DEPLOY / "vault/setup.sh"
ROLE = {"token_policies": ["rotator"], "token_ttl": 3600, "token_max_ttl": 86400, "token_period": 0}


@dataclass
class Administrator:
    """Somebody with a `vault` in their PATH, and what they export."""

    server: VaultServer
    directory: Path
    exports: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cli = self.directory / "vault"
        cli.write_text(f'#!/bin/sh\nexec "{find_binary()}" "$@"\n')
        cli.chmod(0o755)

    def set_up(self, *methods: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPT), *methods],
            env={
                "PATH": f"{self.directory}:{os.defpath}",
                "HOME": str(self.directory),
                "VAULT_ADDR": self.server.address,
                "VAULT_TOKEN": self.server.token.reveal(),
                **self.exports,
            },
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )

    def read(self, path: str) -> Any:
        return self.server.api("GET", path)["data"]


def part(role: dict[str, Any], of_interest: dict[str, Any]) -> dict[str, Any]:
    return {name: role[name] for name in of_interest}


@pytest.fixture(scope="module")
def vault_server() -> Iterator[VaultServer]:
    """One that has nothing yet."""
    with VaultServer() as server:
        server.api("DELETE", "sys/mounts/secret")
        yield server


@pytest.fixture
def administrator(vault_server: VaultServer, tmp_path: Path) -> Administrator:
    return Administrator(vault_server, tmp_path)


@pytest.fixture
def mount() -> str:
    return "secret"


def test_an_app_role(administrator: Administrator, rotator: Program) -> None:
    first = administrator.set_up("approle")
    assert first.returncode == 0, first.stderr
    policy = administrator.read("sys/policies/acl/rotator")["policy"]
    assert policy.strip() == (DEPLOY / "vault/policy.hcl").read_text().strip()
    assert administrator.read("sys/mounts/secret/tune")["options"] == {"version": "2"}
    assert part(administrator.read("auth/approle/role/rotator"), ROLE) == ROLE

    role_id = next(line for line in first.stdout.splitlines() if line.startswith("role_id: "))[9:]
    made = administrator.server.api("POST", "auth/approle/role/rotator/secret-id", {})["data"]["secret_id"]
    del rotator.environ["VAULT_TOKEN"]
    rotator.environ |= {"VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": made}
    rotator.config["vault"]["auth"] = {"method": "approle"}
    assert run(rotator, "--once").code == 0

    weak = {"token_policies": ["other"], "token_period": "1000h", "bind_secret_id": False}
    weak["token_bound_cidrs"] = ["127.0.0.0/8"]  # one of both is wanted
    administrator.server.api("POST", "auth/approle/role/rotator", weak)
    administrator.exports = {"VAULT_FORMAT": "json"}
    again = administrator.set_up("approle")
    assert again.returncode == 0, again.stderr
    assert f"role_id: {role_id}\n" in again.stdout
    as_set = {**ROLE, "bind_secret_id": True}
    assert part(administrator.read("auth/approle/role/rotator"), as_set) == as_set
    assert run(rotator, "--rotate-now").code == 0, "what was issued before is still good"


def test_a_role_for_kubernetes(administrator: Administrator, rotator: Program, tmp_path: Path) -> None:
    authority, signer = Authority(tmp_path), Signer()
    reviewer, ours = tmp_path / "reviewer", tmp_path / "service-account"
    reviewer.write_text(signer.jwt(sub="vault") + "\n")
    ours.write_text(signer.jwt(**claims(1)))
    with reviewing({ours.read_text()}, *authority.issue("api-server", LOOPBACK)) as address:
        administrator.exports = {
            "KUBERNETES_HOST": address,
            "KUBERNETES_CA_CERT": authority.cert.name,
            "KUBERNETES_REVIEWER_JWT": reviewer.name,  # files may be named from where one stands
            "KUBERNETES_ISSUER": ISSUER,
            "NAMESPACE": NAMESPACE,
        }
        done = administrator.set_up("kubernetes")
        assert done.returncode == 0, done.stderr
        bound = {
            **ROLE,
            "audience": "vault",
            "bound_service_account_names": ["rotator"],
            "bound_service_account_namespaces": [NAMESPACE],
        }
        assert part(administrator.read("auth/kubernetes/role/rotator"), bound) == bound
        del rotator.environ["VAULT_TOKEN"]
        rotator.config["vault"]["auth"] = {"method": "kubernetes", "role": "rotator", "file": str(ours)}
        finished = run(rotator, "--once")
        assert finished.code == 0, finished.err

        config = administrator.read("auth/kubernetes/config")
        administrator.exports = {"NAMESPACE": NAMESPACE}
        again = administrator.set_up("kubernetes")
        assert again.returncode == 0, again.stderr
        assert administrator.read("auth/kubernetes/config") == config, "others log in by it, too"


def test_inside_the_cluster_vault_uses_its_own_credentials(administrator: Administrator) -> None:
    """This server is in no pod: what it misses is what a pod has, or, before Vault 1.5.4, what it must be told."""
    administrator.server.api("DELETE", "sys/auth/kubernetes")
    done = administrator.set_up("kubernetes")
    assert done.returncode != 0
    assert re.search(
        "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt: no such file"
        "|one of pem_keys or kubernetes_ca_cert must be set",
        done.stderr,
    )


class TestAnOldServer:
    @pytest.fixture
    def old(self) -> Iterator[tuple[OldVault, VaultServer]]:
        with old_vault() as old:
            yield old

    @pytest.fixture
    def exports(self, tmp_path: Path) -> dict[str, str]:
        (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----\n")
        (tmp_path / "reviewer").write_text("a.b.c")
        return {
            "KUBERNETES_HOST": "https://k.example",
            "KUBERNETES_CA_CERT": "ca",
            "KUBERNETES_REVIEWER_JWT": "reviewer",
        }

    def login(self, server: VaultServer, directory: Path) -> bool:
        (directory / "jwt").write_text(Signer().jwt(**claims(1)))
        text = f"{{method: kubernetes, role: rotator, file: '{directory / 'jwt'}'}}"
        return reads(connect_to(server.address, login_of(auth(directory, text), {})))

    def test_who_issues_the_tokens_is_told(
        self, old: tuple[OldVault, VaultServer], exports: dict[str, str], tmp_path: Path
    ) -> None:
        """Without it a login is refused, with the cure that is then applied."""
        server = old[1]
        done = Administrator(server, tmp_path, exports).set_up("kubernetes")
        assert done.returncode == 0, done.stderr
        with pytest.raises(Rejected, match=r'claim "iss" is invalid.*the right `issuer`'):
            self.login(server, tmp_path)
        exports["KUBERNETES_ISSUER"] = ISSUER
        done = Administrator(server, tmp_path, exports).set_up("kubernetes")
        assert done.returncode == 0, done.stderr
        assert self.login(server, tmp_path)

    def test_what_it_does_not_know_is_asked_of_others(self, old: tuple[OldVault, VaultServer]) -> None:
        told: list[Any] = []
        needs = needed(old[1], lambda _, lacks: told.append(lacks))
        for feature in (NAMESPACES, QUOTAS, RENDER_INTERVAL, NAMESPACES):
            with pytest.raises(pytest.skip.Exception, match=rf"the server, 1\.4\.0, has no {feature.name}"):
                needs(feature)
        assert skipped(told) == [
            "skipped with the Vault-API server 1.4.0, for it has none of these: "
            "an interval of the agent's own (1 test), namespaces (2 tests), rate-limit quotas (1 test)"
        ]

    def test_inside_the_cluster_it_takes_all_three(
        self, old: tuple[OldVault, VaultServer], tmp_path: Path
    ) -> None:
        done = Administrator(old[1], tmp_path).set_up("kubernetes")
        assert done.returncode != 0
        assert "kubernetes_ca_cert must be set" in done.stderr


def test_a_mount_without_versions(administrator: Administrator) -> None:
    administrator.server.api("DELETE", "sys/mounts/secret")
    administrator.server.api("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "1"}})
    done = administrator.set_up("approle")
    administrator.server.api("DELETE", "sys/mounts/secret")
    assert done.returncode == 1
    assert "secret/ is no KV version 2 engine; run `vault kv enable-versioning secret/`" in done.stderr


@pytest.mark.parametrize("name", ["KUBERNETES_HOST", "KUBERNETES_CA_CERT", "KUBERNETES_REVIEWER_JWT"])
def test_outside_the_cluster_it_takes_all_three(administrator: Administrator, name: str) -> None:
    """One alone would be forgotten, and Vault ask the API server of a cluster that was not meant."""
    administrator.exports = {name: "https://k.example"}
    done = administrator.set_up("kubernetes")
    assert done.returncode != 0
    assert "KUBERNETES_" in done.stderr
    assert "auth/kubernetes/config" not in done.stdout + done.stderr


def test_a_role_id_that_may_not_be_read_is_no_success(administrator: Administrator) -> None:
    paths = ("sys/mounts/secret*", "sys/policies/acl/rotator", "auth/approle/role/rotator")
    policy = "".join(f'path "{path}" {{ capabilities = ["create", "read", "update"] }}\n' for path in paths)
    policy += 'path "sys/auth/approle*" { capabilities = ["create", "read", "update", "sudo"] }\n'
    administrator.exports = {"VAULT_TOKEN": new_token(administrator.server, policy).reveal()}
    done = administrator.set_up("approle")
    assert done.returncode != 0
    assert "role/rotator/role-id" in done.stderr
    assert "role_id:" not in done.stdout


def test_what_goes_wrong_is_said(administrator: Administrator) -> None:
    unknown = administrator.set_up("ldap")
    assert (unknown.returncode, unknown.stderr) == (2, "setup.sh: there is no method ldap\n")
    administrator.exports = {"VAULT_TOKEN": "s.nonsense"}
    refused = administrator.set_up("approle")
    assert refused.returncode != 0
    assert "permission denied" in refused.stderr
    (administrator.directory / "vault").unlink()
    assert "there is no vault and no bao" in administrator.set_up("approle").stderr


@pytest.mark.parametrize("script", sorted(DEPLOY.glob("**/*.sh")), ids=lambda path: path.name)
def test_shellcheck_is_clean(script: Path) -> None:
    done = subprocess.run([VENV / "shellcheck", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
