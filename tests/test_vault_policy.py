"""deploy/vault/policy.hcl: enough for a whole life of the real program, and no line of it can go."""

import re
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import RotatorError
from rotator.sandbox.faults import Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import DEPLOY, forget, run
from tests.logins import Role
from tests.program import BACKEND, REPORTING, Finished, Program
from tests.vaults import new_token

POLICY = (DEPLOY / "vault/policy.hcl").read_text()
STATE = "secret/data/rotator/installation"
ACKS = "secret/data/rotator/acks/*"
"""Missed only where a grace is over: see test_confirmations.py."""


@pytest.fixture
def mount(vault_server: VaultServer) -> str:
    """That of the example config, as its paths: the policy is used as it stands in the file."""
    forget(vault_server)
    return "secret"


def capabilities() -> list[tuple[str, str]]:
    """Each path of the policy with each of its capabilities."""
    lines = re.findall(r'^path "([^"]+)" +\{ capabilities = \[([^]]+)\] \}$', POLICY, re.MULTILINE)
    return [(path, name) for path, names in lines for name in re.findall(r'"(\w+)"', names)]


def without(path: str, name: str) -> str:
    kept = ", ".join(f'"{other}"' for at, other in capabilities() if at == path and other != name)
    return re.sub(
        rf'^(path "{re.escape(path)}" +\{{ capabilities = )\[.*\]',
        rf"\1[{kept}]",
        POLICY,
        flags=re.MULTILINE,
    )


def test_a_whole_life(rotator: Program, gateway: GatewayServer, vault_server: VaultServer) -> None:
    """By a login, so that the token's own calls are made too: look up, renew, revoke."""
    role = Role(vault_server, POLICY)
    rotator.environ |= {"VAULT_ROLE_ID": role.role_id.reveal(), "VAULT_SECRET_ID": role.secret_id().reveal()}
    del rotator.environ["VAULT_TOKEN"]
    rotator.config["vault"]["auth"] = {"method": "approle", "mount": role.mount}

    def make_pass(*options: str, after: timedelta = timedelta()) -> Any:
        gateway.account.clock.advance(after)
        done = run(rotator, "--json", *(options or ["--once"]))
        assert (done.code, role.tokens()) == (0, 0), done.err
        assert '"status": 403' not in done.err
        return done.json["keys"]

    by_hand = gateway.account.create("made by hand")
    vault_server.api("POST", f"secret/data/{REPORTING}", {"data": {"APIMALL_API_KEY": by_hand.plaintext}})
    first = make_pass()
    assert [(key["action"], key["reason"]) for key in first] == [("rotate", "missing"), ("adopt", None)]
    assert [key["reason"] for key in make_pass(after=timedelta(days=7))] == ["due", None]
    revoked = make_pass(after=timedelta(days=1))[0]["revoked"]
    assert revoked == [{"key_id": first[0]["key_id"], "reason": "superseded"}]

    gateway.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
    make_pass("--rotate-now", "--key", "Production backend")  # the first key's plaintext is lost
    swept = make_pass(after=timedelta(minutes=16))[0]["revoked"]
    assert [victim["reason"] for victim in swept] == ["orphan"]

    vault_server.api("DELETE", f"secret/data/{BACKEND}")
    assert make_pass()[0]["reason"] == "missing"


@pytest.mark.parametrize(("path", "name"), [one for one in capabilities() if one[0] != ACKS])
def test_each_capability_is_needed_and_named(
    rotator: Program, gateway: GatewayServer, vault_server: VaultServer, path: str, name: str
) -> None:
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, without(path, name)).reveal()
    dry, done = (run(rotator, mode, "--log-format", "console") for mode in ("--dry-run", "--once"))
    full = path.replace("apimall/*", BACKEND).replace("claims/*", f"claims/{BACKEND}")
    said = f"GET /v1/{full}: 403" if name == "read" else f"the Vault token lacks {name} on {full}"
    for shown in (dry,) if path == STATE and name == "create" else (dry, done):
        told = shown.out + _failure(shown)
        assert said in told
        assert "policy" in told
    assert (dry.code, done.code) == ((3, 3) if path == STATE else (1, 1))
    assert f"/v1/{full}: 403" in done.err or said in done.out
    assert len(gateway.account.keys) == 1, "nothing was created that could not be stored"


def test_each_capability_was_found() -> None:
    assert len(capabilities()) == 9
    assert len(re.findall(r"^path", POLICY, re.MULTILINE)) == len({path for path, _ in capabilities()})


def test_it_cannot_list_delete_or_read_other_secrets(vault_server: VaultServer) -> None:
    mine = new_token(vault_server, POLICY)
    vault_server.api("POST", "secret/data/other", {"data": {"x": "1"}})
    vault_server.api("POST", f"secret/data/{BACKEND}", {"data": {"x": "1"}})
    for method, path in (
        ("GET", "secret/data/other"),
        ("LIST", "secret/metadata/apimall"),
        ("DELETE", f"secret/data/{BACKEND}"),
        ("DELETE", f"secret/metadata/{BACKEND}"),
        ("POST", "auth/token/create"),
        ("GET", "sys/mounts"),
    ):
        with pytest.raises(RotatorError) as raised:
            vault_server.api(method, path, token=mine)
        assert raised.value.status == 403


def test_without_the_default_policy_the_token_is_named(rotator: Program, vault_server: VaultServer) -> None:
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, POLICY, no_default_policy=True).reveal()
    done = run(rotator, "--once", "--log-format", "console")
    assert done.code == 3
    assert "Vault does not accept the token in VAULT_TOKEN" in _failure(done)


def _failure(done: Finished) -> str:
    """Why the program could not go on, as it told a person; nothing if it could."""
    return "".join(line for line in done.err.splitlines() if line.startswith("rotator: "))
