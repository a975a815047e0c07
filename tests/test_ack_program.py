"""`rotator ack`: the real program with a consumer's own token, and a real server."""

import subprocess
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import RotatorError
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer, find_binary
from tests.deployed import DEPLOY, forget
from tests.program import BACKEND, Finished, Program
from tests.vaults import new_token

NAME = "Production backend"
ACK = f"rotator/acks/{BACKEND}"
OWN = (DEPLOY / "consumers/ack-policy.hcl").read_text()
READ = (DEPLOY / "consumers/policy.hcl").read_text()


@pytest.fixture
def mount(vault_server: VaultServer) -> str:
    """That of the policies, which are used as they stand in the files."""
    forget(vault_server)
    return "secret"


@pytest.fixture
def keys(rotator: Program, gateway: GatewayServer) -> tuple[int, int]:
    """An old key whose grace is over and that waits for web, and the current one."""
    rotator.config["keys"] = [
        rotator.config["keys"][0] | {"consumers": [{"name": "web"}], "grace_limit": "3d"}
    ]
    old = rotator.run("--once", "--json").json["keys"][0]["key_id"]
    new = rotator.run("--rotate-now", "--json").json["keys"][0]["key_id"]
    gateway.account.clock.advance(timedelta(days=1, minutes=1))
    return old, new


def as_web(rotator: Program, vault: VaultServer, *options: str, policy: str = OWN) -> Finished:
    token = new_token(vault, policy).reveal()
    return rotator.run("ack", NAME, "--as", "web", *options, environ={"VAULT_TOKEN": token})


def revoked(rotator: Program) -> list[int]:
    done = rotator.run("--once", "--json")
    assert done.code == 0
    return [one["key_id"] for one in done.json["keys"][0]["revoked"]]


class TestAck:
    def test_lets_the_old_key_go(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        old, new = keys
        assert revoked(rotator) == []
        done = as_web(rotator, vault_server, "--key-id", str(new))
        assert (done.code, done.out, done.err) == (0, f"{NAME}: web has confirmed key {new}\n", "")
        again = as_web(rotator, vault_server, "--key-id", str(new), "--json").json
        assert again == {"schema": 1, "kind": "ack", "name": NAME, "consumer": "web", "key_id": new}
        assert vault_server.api("GET", f"secret/metadata/{ACK}/web")["data"]["current_version"] == 2
        assert revoked(rotator) == [old]

    def test_of_the_old_key_keeps_it(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        as_web(rotator, vault_server, "--key-id", str(keys[0]))
        assert revoked(rotator) == []
        told = rotator.run("explain", NAME).out
        assert f"web last confirmed key {keys[0]}" in told

    def test_without_an_id_confirms_what_the_secret_holds(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        assert (
            as_web(rotator, vault_server, policy=OWN + READ).out
            == f"{NAME}: web has confirmed key {keys[1]}\n"
        )
        assert revoked(rotator) == [keys[0]]

    def test_it_needs_no_bearer(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        """Who uses a key need not be able to make others."""
        bearer = rotator.environ.pop("APIMALL_API_KEY")
        done = as_web(rotator, vault_server, "--key-id", str(keys[1]))
        rotator.environ["APIMALL_API_KEY"] = bearer
        assert (done.code, done.err) == (0, "")
        assert revoked(rotator) == [keys[0]]

    def test_vaults_own_client_does_the_same(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        subprocess.run(
            [find_binary(), "kv", "put", f"secret/{ACK}/web", f"key_id={keys[1]}"],
            env={"VAULT_ADDR": vault_server.address, "VAULT_TOKEN": new_token(vault_server, OWN).reveal()},
            check=True,
            capture_output=True,
        )
        assert revoked(rotator) == [keys[0]]


class TestBadInput:
    def test_a_secret_that_names_no_key(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        vault_server.api("POST", f"secret/data/{BACKEND}", {"data": {"api_key": "by hand"}})
        done = as_web(rotator, vault_server, policy=OWN + READ)
        assert (done.code, done.out) == (3, "")
        assert "does not say which key it holds" in done.err
        assert "--key-id" in done.err
        assert as_web(rotator, vault_server, "--key-id", str(keys[1])).code == 0

    @pytest.mark.parametrize("id_", ["0", "-1", "two", "1.5"])
    def test_an_id_that_is_none(self, rotator: Program, id_: str) -> None:
        assert rotator.run("ack", NAME, "--as", "web", "--key-id", id_).code == 2

    def test_a_consumer_that_the_config_does_not_have(self, rotator: Program, keys: tuple[int, int]) -> None:
        done = rotator.run("ack", NAME, "--as", "cron")
        assert (done.code, done.out) == (2, "")
        assert "no such consumer" in done.err
        assert "web" in done.err

    def test_a_policy_that_is_not_enough(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        done = as_web(rotator, vault_server, "--key-id", str(keys[1]), policy=READ)
        assert done.code == 3
        assert f"{ACK}/web" in done.err
        assert "deploy/consumers/ack-policy.hcl" in done.err
        assert "to look the id up" not in done.err

    def test_a_policy_that_does_not_read_the_secret(
        self, rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
    ) -> None:
        done = as_web(rotator, vault_server)
        assert (
            done.code,
            "to look the id up, deploy/consumers/policy.hcl; or add --key-id ID" in done.err,
        ) == (3, True)


def test_a_consumers_policy_is_for_its_own_confirmation_alone(
    vault_server: VaultServer, rotator: Program, keys: tuple[int, int]
) -> None:
    token = new_token(vault_server, OWN + READ)
    data: dict[str, Any] = {"data": {"key_id": 1}}
    for method, path, body in (
        ("GET", f"secret/data/{ACK}/batch", None),
        ("POST", f"secret/data/{ACK}/batch", data),
        ("POST", f"secret/data/{BACKEND}", data),
        ("DELETE", f"secret/data/{BACKEND}", None),
        ("DELETE", f"secret/metadata/{BACKEND}", None),
        ("POST", f"secret/metadata/{BACKEND}", {"max_versions": 1}),
        ("POST", f"secret/destroy/{BACKEND}", {"versions": [1]}),
    ):
        with pytest.raises(RotatorError) as raised:
            vault_server.api(method, path, body, token=token)
        assert raised.value.status == 403


def test_without_its_line_of_the_policy_the_rotator_waits_and_says_why(
    rotator: Program, vault_server: VaultServer, keys: tuple[int, int]
) -> None:
    as_web(rotator, vault_server, "--key-id", str(keys[1]))
    lines = (DEPLOY / "vault/policy.hcl").read_text().splitlines()
    without = "\n".join(line for line in lines if "acks" not in line)
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, without).reveal()
    assert revoked(rotator) == []
    assert f"/v1/secret/data/{ACK}/web: 403" in rotator.run("explain", NAME).out
    checked = rotator.run("check")
    assert checked.code == 1
    assert f"the token lacks read on secret/data/{ACK}/web" in checked.out
