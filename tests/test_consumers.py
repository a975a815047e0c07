"""deploy/consumers: a real agent keeps a program in working keys; the manifests say what the config says."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config import load
from rotator.rules.times import parse_duration
from rotator.sandbox.vault import VaultServer, find_binary
from tests.agents import moved, running_agent
from tests.calling import Calling
from tests.deployed import DEPLOY, forget, until
from tests.facts import managed
from tests.leaks import leaks
from tests.logins import Role
from tests.needs import RENDER_INTERVAL, Needs
from tests.program import BACKEND, ROOT
from tests.vaults import connect
from tests.world import World, later, new_server

CONSUMERS = DEPLOY / "consumers"


@pytest.fixture
def world(vault_server: VaultServer) -> Iterator[World]:
    forget(vault_server)
    with new_server(later()) as gateway:
        store = connect(vault_server)
        yield World(gateway, store, (replace(managed(), name="Production backend", path=BACKEND),))


@contextmanager
def agent(directory: Path, vault: VaultServer, *, confirms: bool = False) -> Iterator[Path]:
    """Run the agent by the file in deploy/, and yield the file that it writes."""
    policies = ("policy.hcl", "ack-policy.hcl") if confirms else ("policy.hcl",)
    role = Role(vault, "".join((CONSUMERS / policy).read_text() for policy in policies))
    (directory / "role-id").write_text(role.role_id.reveal())
    (directory / "secret-id").write_text(role.secret_id().reveal())
    text = (CONSUMERS / "agent.hcl").read_text()
    if confirms:
        text = re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE)
    places = dict.fromkeys(("/etc/production-backend/", "/run/production-backend/"), f"{directory}/")
    with running_agent(directory, vault, moved(text, {**places, '"auth/approle"': f'"auth/{role.mount}"'})):
        yield directory / "api-key"


def test_an_agent_s_program_sees_no_401(
    world: World, vault_server: VaultServer, tmp_path: Path, needs: Needs
) -> None:
    """Three rotations and revocations, while it goes on calling."""
    needs(RENDER_INTERVAL)
    world.make_pass()
    used = [world.secret(BACKEND)["api_key"]]
    with agent(tmp_path, vault_server) as file:
        until(file.exists)
        assert file.stat().st_mode & 0o777 == 0o600
        with Calling(file.read_text, world.server.port) as consumer:
            for _ in range(3):
                world.advance(7)
                assert world.one().rotation
                used.append(world.secret(BACKEND)["api_key"])
                until(lambda: file.read_text() == used[-1])
                world.advance(1)
                assert len(world.one().revoked) == 1
                until(consumer.calls_more())
    assert set(consumer.statuses) == {200}
    assert [consumer.call(plaintext) for plaintext in used] == [401, 401, 401, 200]
    assert leaks((tmp_path / "agent.log").read_text(), used) == []


def test_an_agent_confirms_each_key_that_it_has_written(
    world: World, vault_server: VaultServer, tmp_path: Path, needs: Needs
) -> None:
    needs(RENDER_INTERVAL)
    world.keys = (replace(world.keys[0], consumers=("web",), grace_limit=timedelta(days=7)),)
    world.make_pass()

    def confirmed() -> bool:
        said = world.store.read(f"rotator/acks/{BACKEND}/web").data or {}
        return said == {"key_id": str(world.rotation(BACKEND)["key_id"])}

    with agent(tmp_path, vault_server, confirms=True) as file:
        until(confirmed)
        world.make_pass(forced=True)
        until(confirmed)
        assert file.read_text() == world.secret(BACKEND)["api_key"]
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    world.advance(minutes=1)
    world.make_pass(forced=True)
    world.advance(1, minutes=1)
    assert len(world.one().revoked) == 1, "the first key alone: the agent is dead, and uses the second"
    assert leaks((tmp_path / "agent.log").read_text(), [world.secret(BACKEND)["api_key"]]) == []


def test_the_consumer_s_policy_reads_this_one_key(vault_server: VaultServer) -> None:
    policy = (CONSUMERS / "policy.hcl").read_text()
    (rule,) = re.findall(r"^path .*", policy, re.MULTILINE)
    assert rule == f'path "secret/data/{BACKEND}" {{ capabilities = ["read"] }}'


def test_what_it_says_to_type_makes_the_roles_of_the_examples(
    vault_server: VaultServer, tmp_path: Path
) -> None:
    blocks = re.findall(r"^```\n(.*?)^```", (CONSUMERS / "README.md").read_text(), re.M | re.S)
    (tmp_path / "vault").symlink_to(find_binary())
    (tmp_path / "kubectl").symlink_to("/bin/true")
    exports = {"VAULT_ADDR": vault_server.address, "VAULT_TOKEN": vault_server.token.reveal()}
    environ = {**exports, "PATH": f"{tmp_path}:{os.defpath}", "HOME": str(tmp_path)}
    for method in ("approle", "kubernetes"):
        vault_server.api("POST", f"sys/auth/{method}", {"type": method})
    try:
        subprocess.run(["sh", "-e"], input="".join(blocks), text=True, cwd=CONSUMERS, env=environ, check=True)
        for role, policy in (
            ("approle/role/production-backend", "production-backend"),
            ("kubernetes/role/production-backend", "production-backend"),
            ("kubernetes/role/production-backend-rollout", "production-backend-web"),
        ):
            assert vault_server.api("GET", f"auth/{role}")["data"]["token_policies"] == [policy]
            assert vault_server.api("GET", f"sys/policies/acl/{policy}")["data"]["policy"]
    finally:
        for method in ("approle", "kubernetes"):
            vault_server.api("DELETE", f"sys/auth/{method}")


def manifests(name: str) -> dict[str, dict[str, Any]]:
    """By their kinds, all in one namespace."""
    documents = list(yaml.safe_load_all((CONSUMERS / name).read_text()))
    assert {document["metadata"]["namespace"] for document in documents} == {"production-backend"}
    return {document["kind"]: document for document in documents}


def external() -> dict[str, Any]:
    return dict(manifests("external-secrets.yaml")["ExternalSecret"]["spec"])


def transformed() -> dict[str, Any]:
    secret = manifests("vault-secrets-operator.yaml")["VaultStaticSecret"]["spec"]
    return dict(secret["destination"]["transformation"])


class TestTheOperators:
    """Their shape, and what Go makes of their templates: neither operator is run here."""

    def test_external_secrets(self) -> None:
        store, secret = manifests("external-secrets.yaml")["SecretStore"], external()
        vault = store["spec"]["provider"]["vault"]
        assert (vault["path"], vault["version"]) == ("secret", "v2")
        assert vault["auth"]["kubernetes"]["serviceAccountRef"]["audiences"] == ["vault"]
        assert secret["secretStoreRef"] == {"kind": "SecretStore", "name": store["metadata"]["name"]}

    def test_external_secrets_makes_one_read_and_keeps_two_fields(self) -> None:
        secret = external()
        assert (secret["dataFrom"], "data" in secret) == ([{"extract": {"key": BACKEND}}], False)
        assert secret["target"]["template"]["data"].keys() == {"api_key", "key_id"}

    def test_vault_secrets_operator(self) -> None:
        found = manifests("vault-secrets-operator.yaml")
        auth, secret = found["VaultAuth"], found["VaultStaticSecret"]["spec"]
        assert auth["spec"]["vaultConnectionRef"] == found["VaultConnection"]["metadata"]["name"]
        assert auth["spec"]["kubernetes"]["audiences"] == ["vault"]
        assert secret["vaultAuthRef"] == auth["metadata"]["name"]
        assert (secret["mount"], secret["type"], secret["path"]) == ("secret", "kv-v2", BACKEND)
        assert secret["rolloutRestartTargets"] == [{"kind": "Deployment", "name": "production-backend"}]
        kept = [
            name
            for name in ("api_key", "rotation")
            if any(re.search(wanted, name) for wanted in transformed()["includes"])
        ]
        assert (kept, transformed()["excludeRaw"]) == (["api_key"], True)

    def test_both_take_the_id_with_the_plaintext(
        self, vault_server: VaultServer, tmp_path: Path, needs: Needs
    ) -> None:
        """And give one that no key has where a person wrote the secret, because the plaintext must arrive."""
        needs(RENDER_INTERVAL)
        block = {"key_id": 12345678, "superseded": {"12": "2026-11-21T09:50:01Z"}}
        theirs, ours = external()["target"]["template"]["data"], transformed()["templates"]
        rendered = {
            "eso": (theirs["key_id"], {"api_key": "sk-1", "rotation": json.dumps(block)}),
            "eso-plaintext": (theirs["api_key"], {"api_key": "sk-1", "rotation": json.dumps(block)}),
            "eso-by-hand": (theirs["key_id"], {"api_key": "sk-1"}),
            "vso": (ours["key_id"]["text"], {"Secrets": {"api_key": "sk-1", "rotation": block}}),
            "vso-by-hand": (ours["key_id"]["text"], {"Secrets": {"api_key": "sk-1"}}),
        }
        role = Role(vault_server)
        (tmp_path / "role-id").write_text(role.role_id.reveal())
        (tmp_path / "secret-id").write_text(role.secret_id().reveal())
        text = (CONSUMERS / "agent.hcl").read_text().partition("template {")[0]
        for name, (template, given) in rendered.items():
            vault_server.api("POST", f"secret/data/given/{name}", {"data": given})
            text += as_the_agent_renders(template, f"secret/data/given/{name}", tmp_path / name)
        places = {"/etc/production-backend/": f"{tmp_path}/", '"auth/approle"': f'"auth/{role.mount}"'}
        with running_agent(tmp_path, vault_server, moved(text, places)):
            until(lambda: all((tmp_path / name).exists() for name in rendered))
        assert {name: (tmp_path / name).read_text() for name in rendered} == {
            "eso": "12345678",
            "eso-plaintext": "sk-1",
            "eso-by-hand": "0",
            "vso": "12345678",
            "vso-by-hand": "0",
        }

    def test_all_read_a_key_of_the_example_config_well_within_its_grace(self) -> None:
        config = load(
            ROOT / "config/rotator.yaml", {"APIMALL_API_KEY": "sk-of-nobody-at-all", "VAULT_TOKEN": "t"}
        )
        (key,) = [key for key in config.managed if key.path == BACKEND]
        assert (key.field, config.vault.mount) == ("api_key", "secret")
        agents = [(CONSUMERS / name).read_text() for name in ("agent.hcl", "sidecar.yaml")]
        intervals = [
            external()["refreshInterval"],
            manifests("vault-secrets-operator.yaml")["VaultStaticSecret"]["spec"]["refreshAfter"],
            *(found for text in agents for found in re.findall(r'render_interval = "(\w+)"', text)),
        ]
        assert len(intervals) == 4
        assert all(parse_duration(interval) * 10 < key.grace_period for interval in intervals)


def as_the_agent_renders(template: str, path: str, file: Path) -> str:
    """Let the agent's Go render an operator's template, with the secret at `path` as its input."""
    named = re.sub(r"(?<=[ (])(dig|default|fromJson|int64)(?=[ )])", r"sprig_\1", template)
    contents = json.dumps(
        f'{{{{ with secret "{path}" }}}}{{{{ with .Data.data }}}}{named}{{{{ end }}}}{{{{ end }}}}'
    )
    return f'template {{\n contents = {contents}\n destination = "{file}"\n error_on_missing_key = true\n}}\n'
