"""deploy/vault/setup.sh against a real server that has nothing yet, and the program with what it made."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rotator.sandbox.vault import VaultServer, find_binary
from tests.certificates import LOOPBACK, Authority, Signer
from tests.deployed import DEPLOY, VENV, run
from tests.program import Program
from tests.token_review import NAMESPACE, claims, reviewing

SCRIPT = DEPLOY / "vault/setup.sh"


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
    role = administrator.read("auth/approle/role/rotator")
    assert (role["token_policies"], role["token_ttl"]) == (["rotator"], 3600)

    role_id = next(line for line in first.stdout.splitlines() if line.startswith("role_id: "))[9:]
    made = administrator.server.api("POST", "auth/approle/role/rotator/secret-id", {})["data"]["secret_id"]
    del rotator.environ["VAULT_TOKEN"]
    rotator.environ |= {"VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": made}
    rotator.config["vault"]["auth"] = {"method": "approle"}
    assert run(rotator, "--once").code == 0

    again = administrator.set_up("approle")
    assert again.returncode == 0, again.stderr
    assert f"role_id: {role_id}" in again.stdout
    assert run(rotator, "--rotate-now").code == 0, "what was issued before is still good"


def test_a_role_for_kubernetes(administrator: Administrator, rotator: Program, tmp_path: Path) -> None:
    authority, signer = Authority(tmp_path), Signer()
    reviewer, ours = tmp_path / "reviewer", tmp_path / "service-account"
    reviewer.write_text(signer.jwt(sub="vault"))
    ours.write_text(signer.jwt(**claims(1)))
    with reviewing({ours.read_text()}, *authority.issue("api-server", LOOPBACK)) as address:
        administrator.exports = {
            "KUBERNETES_HOST": address,
            "KUBERNETES_CA_CERT": authority.cert.name,
            "KUBERNETES_REVIEWER_JWT": reviewer.name,  # files may be named from where one stands
            "NAMESPACE": NAMESPACE,
        }
        done = administrator.set_up("kubernetes")
        assert done.returncode == 0, done.stderr
        assert administrator.read("auth/kubernetes/role/rotator")["token_policies"] == ["rotator"]
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
    """This server is in no pod: what it misses is what a pod has."""
    administrator.server.api("DELETE", "sys/auth/kubernetes")
    done = administrator.set_up("kubernetes")
    assert done.returncode != 0
    assert "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt: no such file" in done.stderr


def test_a_mount_without_versions(administrator: Administrator) -> None:
    administrator.server.api("DELETE", "sys/mounts/secret")
    administrator.server.api("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "1"}})
    done = administrator.set_up("approle")
    administrator.server.api("DELETE", "sys/mounts/secret")
    assert done.returncode == 1
    assert "secret/ is no KV version 2 engine; run `vault kv enable-versioning secret/`" in done.stderr


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
