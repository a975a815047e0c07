"""deploy/consumers: a real agent keeps a program in working keys; the manifests say what the config says."""

import http.client
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from rotator.config import load
from rotator.rules.times import parse_duration
from rotator.sandbox.vault import VaultServer, find_binary
from tests.deployed import DEPLOY, forget, until
from tests.facts import managed
from tests.leaks import leaks
from tests.logins import Role
from tests.needs import RENDER_INTERVAL, Needs
from tests.program import BACKEND, ROOT
from tests.vaults import connect
from tests.world import World, later, new_server

CONSUMERS = DEPLOY / "consumers"


class Consumer:
    """A program that reads the key from a file before each call to the gateway, as long as the block lasts."""

    def __init__(self, file: Path, port: int) -> None:
        self._file, self._port = file, port
        self._ended = Event()
        self.statuses: list[int] = []
        self._thread = Thread(target=self._go_on)

    def __enter__(self) -> "Consumer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.wait(0.005):
            self.statuses.append(self.call(self._file.read_text()))

    def call(self, plaintext: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        bearer = {"Authorization": f"Bearer {plaintext}"}
        connection.request("GET", "/api/v1/account/balances", headers=bearer)
        status = connection.getresponse().status
        connection.close()
        return status

    def calls_more(self) -> Callable[[], bool]:
        """Whether it has made some calls from now on."""
        enough = len(self.statuses) + 5
        return lambda: len(self.statuses) >= enough


@pytest.fixture
def world(vault_server: VaultServer) -> Iterator[World]:
    forget(vault_server)
    with new_server(later()) as gateway:
        store = connect(vault_server)
        yield World(gateway, store, (replace(managed(), name="Production backend", path=BACKEND),))


@contextmanager
def agent(directory: Path, vault: VaultServer, *, confirms: bool = False) -> Iterator[Path]:
    """Run the agent by the file in deploy/, and yield the file that it writes.

    Changed are the places, and the interval, so that nobody waits for minutes.
    """
    policies = ("policy.hcl", "ack-policy.hcl") if confirms else ("policy.hcl",)
    role = Role(vault, "".join((CONSUMERS / policy).read_text() for policy in policies))
    (directory / "role-id").write_text(role.role_id.reveal())
    (directory / "secret-id").write_text(role.secret_id().reveal())
    text = (CONSUMERS / "agent.hcl").read_text()
    if confirms:
        text = re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE)
        text = text.replace(" vault kv put ", f" {find_binary()} kv put ")
    for theirs, ours in (
        ("/etc/production-backend/", f"{directory}/"),
        ("/run/production-backend/", f"{directory}/"),
        ('"auth/approle"', f'"auth/{role.mount}"'),
        ('static_secret_render_interval = "5m"', 'static_secret_render_interval = "1s"'),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    config, log = directory / "agent.hcl", directory / "agent.log"
    config.write_text(text)
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(find_binary()), "agent", f"-config={config}"],
            env={"VAULT_ADDR": vault.address, "HOME": str(directory), "PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        yield directory / "api-key"
    finally:
        process.terminate()
        process.wait()


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
        with Consumer(file, world.server.port) as consumer:
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


def manifests(name: str) -> dict[str, dict[str, Any]]:
    """By their kinds, all in one namespace."""
    documents = list(yaml.safe_load_all((CONSUMERS / name).read_text()))
    assert {document["metadata"]["namespace"] for document in documents} == {"production-backend"}
    return {document["kind"]: document for document in documents}


class TestTheOperators:
    """Their shape only: neither operator is run here."""

    def test_external_secrets(self) -> None:
        found = manifests("external-secrets.yaml")
        store, secret = found["SecretStore"], found["ExternalSecret"]["spec"]
        vault = store["spec"]["provider"]["vault"]
        assert (vault["path"], vault["version"]) == ("secret", "v2")
        assert vault["auth"]["kubernetes"]["serviceAccountRef"]["audiences"] == ["vault"]
        assert secret["secretStoreRef"] == {"kind": "SecretStore", "name": store["metadata"]["name"]}
        assert [entry["remoteRef"] for entry in secret["data"]] == [{"key": BACKEND, "property": "api_key"}]

    def test_vault_secrets_operator(self) -> None:
        found = manifests("vault-secrets-operator.yaml")
        auth, secret = found["VaultAuth"], found["VaultStaticSecret"]["spec"]
        assert auth["spec"]["vaultConnectionRef"] == found["VaultConnection"]["metadata"]["name"]
        assert auth["spec"]["kubernetes"]["audiences"] == ["vault"]
        assert secret["vaultAuthRef"] == auth["metadata"]["name"]
        assert (secret["mount"], secret["type"], secret["path"]) == ("secret", "kv-v2", BACKEND)
        assert secret["rolloutRestartTargets"] == [{"kind": "Deployment", "name": "production-backend"}]
        fields = secret["destination"]["transformation"]
        kept = [
            name
            for name in ("api_key", "rotation")
            if any(re.search(wanted, name) for wanted in fields["includes"])
        ]
        assert (kept, fields["excludeRaw"]) == (["api_key"], True)

    def test_both_read_a_key_of_the_example_config_well_within_its_grace(self) -> None:
        config = load(
            ROOT / "config/rotator.yaml", {"APIMALL_API_KEY": "sk-of-nobody-at-all", "VAULT_TOKEN": "t"}
        )
        (key,) = [key for key in config.managed if key.path == BACKEND]
        assert (key.field, config.vault.mount) == ("api_key", "secret")
        intervals = [
            manifests("external-secrets.yaml")["ExternalSecret"]["spec"]["refreshInterval"],
            manifests("vault-secrets-operator.yaml")["VaultStaticSecret"]["spec"]["refreshAfter"],
            *re.findall(r'static_secret_render_interval = "(\w+)"', (CONSUMERS / "agent.hcl").read_text()),
        ]
        assert len(intervals) == 3
        assert all(parse_duration(interval) * 10 < key.grace_period for interval in intervals)
