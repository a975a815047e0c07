"""Copies in another Vault: the real program between two real servers."""

import re
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from rotator.rules.bookkeeping import COPY_OF, FIELD
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import DEPLOY, forget
from tests.hostile import Said, hostile
from tests.logins import Role
from tests.program import BACKEND, LEAK, Finished, Program, secret
from tests.vaults import new_kv, new_token

NAME = "Production backend"
POLICY = (DEPLOY / "vault/copies.hcl").read_text()
TIMEOUT = 1.0
GRACE_OVER = timedelta(days=1, minutes=1)


@pytest.fixture(scope="module")
def servers() -> Iterator[VaultServer]:
    with VaultServer() as server:
        yield server


@pytest.fixture
def eu(servers: VaultServer) -> VaultServer:
    """The further Vault, with nothing in the mount of the policy."""
    forget(servers)
    return servers


def keeping(rotator: Program, address: str | None, token: str = "", **more: Any) -> Program:
    """Have one key, whose copy is kept in the Vault at `address`."""
    auth = {"auth": {"method": "token", "env": "EU_TOKEN"}} if token else {}
    at = {"address": address} if address else {}
    rotator.environ["EU_TOKEN"] = token
    rotator.config["vaults"] = [{"name": "eu", "timeout": f"{TIMEOUT:.0f}s", **at, **auth, **more}]
    consumers = [{"name": "shop", "copy": {"vault": "eu"}}]
    rotator.config["keys"] = [rotator.config["keys"][0] | {"consumers": consumers, "grace_limit": "3d"}]
    return rotator


@pytest.fixture
def copying(rotator: Program, eu: VaultServer) -> Program:
    return keeping(rotator, eu.address, new_token(eu, POLICY).reveal())


def key_of(done: Finished, code: int = 0) -> dict[str, Any]:
    assert done.code == code, done.err
    return dict(done.json["keys"][0])


def findings(done: Finished) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in done.json["checks"]}


def is_copied(
    vault: VaultServer, mount: str, eu: VaultServer, there: str = "secret", path: str = BACKEND
) -> bool:
    ours, copy = secret(vault, mount, BACKEND), secret(eu, there, path)
    of = f"{secret(vault, mount, 'rotator/installation')['installation']}:{BACKEND}"
    block = {name: ours[FIELD][name] for name in ("key_id", "rotated_at")}
    return copy == {"api_key": ours["api_key"], FIELD: {**block, COPY_OF: of}}


class TestAWholeLife:
    def test_by_the_policy_and_a_login_of_its_own(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str, eu: VaultServer
    ) -> None:
        role = Role(eu, POLICY)
        rotator.environ |= {"EU_ROLE": role.role_id.reveal(), "EU_SECRET": role.secret_id().reveal()}
        auth = {
            "method": "approle",
            "mount": role.mount,
            "role_id": {"env": "EU_ROLE"},
            "secret_id": {"env": "EU_SECRET"},
        }
        keeping(rotator, eu.address, auth=auth)
        found = findings(rotator.run("check", "--json"))
        assert {name for name, one in found.items() if one["state"] != "ok"} == set()
        assert found["eu copies"]["seen"] == "0 of 1 exist; the rotator can use what is in them"
        assert f"by approle at auth/{role.mount}" in found["eu login"]["seen"]
        done = rotator.run("--once", "--json")
        assert key_of(done)["behind"] == []
        assert is_copied(vault_server, mount, eu)
        assert role.tokens() == 0, "it has logged out"
        assert [line["vault"] for line in done.events if line["event"] == "copy.written"] == ["eu"]

        old = key_of(done)["key_id"]
        key_of(rotator.run("--rotate-now", "--json"))
        assert is_copied(vault_server, mount, eu)
        gateway.account.clock.advance(timedelta(minutes=5))
        rolled = rotator.run("rollback", NAME, "--json").json
        assert rolled["copies"] == [{"consumer": "shop", "holds_it": True, "error": None}]
        assert (rolled["current"], secret(eu, "secret", BACKEND)[FIELD]["key_id"]) == (old, old)
        gateway.account.clock.advance(GRACE_OVER)
        assert len(key_of(rotator.run("--once", "--json"))["revoked"]) == 1
        incident = rotator.run(*LEAK, "--yes", "--json").json["keys"][0]
        assert incident["copies"] == [{"consumer": "shop", "holds_it": True, "error": None}]
        assert incident["alive"] == []
        assert is_copied(vault_server, mount, eu)
        assert findings(rotator.run("check", "--json"))["eu copies"]["seen"].startswith("1 of 1 exist")

    def test_in_another_mount_by_the_same_login(
        self, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        there = new_kv(vault_server)
        keeping(rotator, None, mount=there)
        key_of(rotator.run("--once", "--json"))
        assert is_copied(vault_server, mount, vault_server, there)

    @pytest.mark.parametrize("whose", ["parent's", "its own"])
    def test_in_another_namespace(
        self, rotator: Program, vault_server: VaultServer, mount: str, whose: str
    ) -> None:
        """By the login of the Vault that holds the secrets, or by one of the namespace's own."""
        name = f"team-{mount}"
        vault_server.api("POST", f"sys/namespaces/{name}")
        vault_server.api("POST", f"{name}/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        if whose == "parent's":
            policy = f"""
                path "{mount}/data/*" {{ capabilities = ["create", "read", "update"] }}
                path "{name}/kv/data/{BACKEND}" {{ capabilities = ["create", "read", "update"] }}
                path "{name}/sys/capabilities-self" {{ capabilities = ["update"] }}
            """
            role = Role(vault_server, policy)
            rotator.environ |= {
                "VAULT_ROLE_ID": role.role_id.reveal(),
                "VAULT_SECRET_ID": role.secret_id().reveal(),
            }
            rotator.config["vault"]["auth"] = {"method": "approle", "mount": role.mount}
            keeping(rotator, None, mount="kv", namespace=name)
        else:
            policy = f'path "kv/data/{BACKEND}" {{ capabilities = ["create", "read", "update"] }}'
            vault_server.api("PUT", f"{name}/sys/policies/acl/copies", {"policy": policy})
            made = vault_server.api(
                "POST", f"{name}/auth/token/create", {"policies": ["copies"], "no_parent": True}
            )
            keeping(rotator, vault_server.address, made["auth"]["client_token"], mount="kv", namespace=name)
        done = rotator.run("--once", "--json")
        assert key_of(done)["behind"] == [], done.out
        copy = vault_server.api("GET", f"{name}/kv/data/{BACKEND}")["data"]["data"]
        assert copy["api_key"] == secret(vault_server, mount, BACKEND)["api_key"]
        found = findings(rotator.run("check", "--json"))
        assert {one["name"]: one for one in found.values() if one["state"] == "bad"} == {}


class TestOneThatIsDown:
    @pytest.fixture(params=["refuses connections", "never answers", "drips", "sealed"])
    def address(self, request: pytest.FixtureRequest) -> Iterator[str]:
        match request.param:
            case "refuses connections":
                with socket.create_server(("127.0.0.1", 0)) as listener:
                    port = listener.getsockname()[1]
                yield f"http://127.0.0.1:{port}"
            case "never answers":
                with socket.create_server(("127.0.0.1", 0)) as listener:
                    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            case "drips":
                with hostile() as server:
                    server.said = Said(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" ", 0.1)
                    yield server.url
            case _:
                with VaultServer() as vault:
                    vault.api("PUT", "sys/seal")
                    yield vault.address

    def test_fails_nothing_and_is_told(self, rotator: Program, gateway: GatewayServer, address: str) -> None:
        keeping(rotator, address, "a-token-of-nobody")
        first = key_of(rotator.run("--once", "--json"))
        assert (first["outcome"], first["behind"]) == ("done", ["shop"])
        [warning] = first["warnings"]
        assert warning.startswith("the copy for shop is behind: ")
        assert re.search(r"vaults\[eu\]\.address|unseal", warning)
        began = time.monotonic()
        incident = rotator.run(*LEAK, "--yes", "--json")
        assert time.monotonic() - began < 10 + 2 * TIMEOUT, "two passes, each with one time-out at most"
        [key] = incident.json["keys"]
        assert (key["revoked"], key["alive"], incident.json["over"]) == ([first["key_id"]], [], True)
        assert key["copies"][0]["holds_it"] is False
        assert key["copies"][0]["error"]["cure"]
        old = key["successor"]
        key_of(rotator.run("--rotate-now", "--json"))
        gateway.account.clock.advance(GRACE_OVER)
        [kept] = key_of(rotator.run("--once", "--json"))["superseded"]
        assert (kept["key_id"], kept["unconfirmed"]) == (old, ["shop"])
        status = rotator.run("status", "--json")
        assert (status.code, status.json["keys"][0]["behind"]) == (0, ["shop"])
        gateway.account.clock.advance(timedelta(days=2))
        assert [one["key_id"] for one in key_of(rotator.run("--once", "--json"))["revoked"]] == [old]

    def test_check_says_so(self, rotator: Program, address: str) -> None:
        found = findings(keeping(rotator, address, "a-token-of-nobody").run("check", "--json"))
        bad = {name: one for name, one in found.items() if one["state"] == "bad"}
        assert len(bad) == 1
        [one] = bad.values()
        assert one["name"].startswith("eu ")
        assert "vaults[eu].address" in one["cure"] or "unseal" in one["cure"]
        assert found["eu copies"]["state"] == "skipped"
        assert found["secrets"]["state"] == "ok"


def test_a_record_for_a_person_says_which_copy_was_not_reached(copying: Program, eu: VaultServer) -> None:
    copying.run("--once")
    text = copying.run(*LEAK, "--yes").out
    assert "  the copy for shop holds it, too\n" in text
    with socket.create_server(("127.0.0.1", 0)) as listener:
        copying.config["vaults"][0]["address"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
        text = copying.run(*LEAK, "--yes").out
    assert "! the copy for shop does not hold it: GET /v1/secret/data/" in text
    assert "  cure: check vaults[eu].address (http://127.0.0.1:" in text
    assert "not contained" not in text


def test_a_rollback_says_which_copy_was_not_reached(
    copying: Program, gateway: GatewayServer, eu: VaultServer
) -> None:
    copying.run("--once")
    copying.run("--rotate-now")
    eu.api("POST", f"secret/data/{BACKEND}", {"data": {"api_key": "sk-of-somebody"}})
    gateway.account.clock.advance(timedelta(minutes=5))
    done = copying.run("rollback", NAME)
    assert done.code == 0
    assert (
        "! the copy for shop does not hold it: its field api_key holds something that the rotator did not"
        in done.out
    )
    explained = copying.run("explain", NAME)
    assert f"–  shop  {BACKEND} in eu: its field api_key holds something" in " ".join(
        explained.out.split(" ")
    ).replace("\u00a0", " ")
    assert copying.run("explain", NAME, "--json").json["behind"] == ["shop"]


def capabilities() -> list[str]:
    [names] = re.findall(r"^path .*\[([^]]+)\] \}$", POLICY, re.MULTILINE)
    return re.findall(r'"(\w+)"', names)


@pytest.mark.parametrize("name", capabilities())
def test_each_capability_is_needed_and_named(
    rotator: Program, eu: VaultServer, vault_server: VaultServer, mount: str, name: str
) -> None:
    less = POLICY.replace(f'"{name}", ', "").replace(f', "{name}"', "")
    keeping(rotator, eu.address, new_token(eu, less).reveal())
    found = findings(rotator.run("check", "--json"))
    assert found["eu policy"]["state"] == "bad"
    assert f"the token lacks {name} on secret/data/{BACKEND}" in found["eu policy"]["seen"]
    behind = [key_of(rotator.run(how, "--json"))["behind"] for how in ("--once", "--rotate-now")]
    assert behind == [["shop"] if name != "update" else [], ["shop"]]
    keeping(rotator, eu.address, new_token(eu, POLICY).reveal())
    assert key_of(rotator.run("--once", "--json"))["behind"] == []
    assert is_copied(vault_server, mount, eu)


@pytest.mark.parametrize("crossed", [True, False])
def test_what_is_another_rotators_is_refused_on_both_sides(
    copying: Program,
    gateway: GatewayServer,
    eu: VaultServer,
    vault_server: VaultServer,
    mount: str,
    crossed: bool,
) -> None:
    """Crossed: the other one keeps a copy where this one manages; else it is this Vault by another address."""
    other = copying.directory / "other"
    (other / "home").mkdir(parents=True)
    theirs = Program(other, {**copying.config}, {**copying.environ})
    if not crossed:
        copying.config["vaults"][0] |= {
            "address": vault_server.address.replace("127.0.0.1", "localhost"),
            "mount": mount,
        }
        copying.environ["EU_TOKEN"] = vault_server.token.reveal()
        for _ in range(2):
            assert key_of(copying.run("--once", "--json"))["behind"] == ["shop"]
        found = findings(copying.run("check", "--json"))["eu copies"]
        assert (found["state"], found["cure"]) == (
            "bad",
            "name another path for this copy: one secret has one rotator",
        )
        assert set(secret(vault_server, mount, BACKEND)) == {"api_key", FIELD}
        return
    theirs.config["vault"] = {"address": eu.address, "mount": "secret"}
    theirs.environ |= {"VAULT_TOKEN": eu.token.reveal(), "EU_TOKEN": vault_server.token.reveal()}
    theirs.config["vaults"] = [
        {**copying.config["vaults"][0], "address": vault_server.address, "mount": mount}
    ]
    assert key_of(copying.run("--once", "--json"))["behind"] == []
    made = len(gateway.account.keys)
    failed = theirs.run("--once", "--json").json["keys"][0]
    assert "says that another rotator keeps a copy here" in failed["errors"][0]["message"]
    assert len(gateway.account.keys) == made
    found = findings(theirs.run("check", "--json"))
    assert "keeps a copy here" in found["secrets"]["seen"]
    assert is_copied(vault_server, mount, eu)


def test_the_metrics_count_them(copying: Program, eu: VaultServer) -> None:
    file = copying.directory / "rotator.prom"
    copying.config["metrics"] = {"textfile": str(file)}
    copying.run("--once")
    gauge = f'rotator_copy_behind{{consumer="shop",key="{NAME}"}}'
    assert f"{gauge} 0.0" in file.read_text()
    assert 'rotator_requests_total{method="GET",server="vaults[eu]",status="404"} 1.0' in file.read_text()
    copying.environ["EU_TOKEN"] = "no-such-token"
    copying.run("--rotate-now")
    assert f"{gauge} 1.0" in file.read_text()


def test_a_token_that_is_not_accepted_is_tried_once_in_a_pass(
    rotator: Program, eu: VaultServer, vault_server: VaultServer, mount: str
) -> None:
    """Not once for each of a thousand copies, and the log has one line of it."""
    keeping(rotator, eu.address, "no-such-token")
    rotator.config["gateway"]["max_concurrency"] = 1
    [key] = rotator.config["keys"]
    rotator.config["keys"] = [key | {"name": f"K{at}", "path": f"{BACKEND}-{at}"} for at in range(4)]
    file = rotator.directory / "rotator.prom"
    rotator.config["metrics"] = {"textfile": str(file)}
    done = rotator.run("--once", "--json")
    assert [one["behind"] for one in done.json["keys"]] == [["shop"]] * 4
    assert [line["cure"] for line in done.events if line["event"] == "copy.behind"] == [
        "it is mistyped, has expired, or lacks Vault's `default` policy; issue another one: in that Vault, with "
        "the policy that deploy/vault/copies.hcl shows; then put it into EU_TOKEN"
    ]
    asked = re.findall(
        r'^rotator_requests_total.*server="vaults\[eu\]".* (\d+)\.0$', file.read_text(), re.MULTILINE
    )
    assert sum(map(int, asked)) == 2, "the read, and the look at the token"


def test_another_consumer_confirms_without_a_token_of_that_vault(copying: Program) -> None:
    copying.config["keys"][0]["consumers"].append({"name": "web"})
    copying.run("--once")
    del copying.environ["EU_TOKEN"], copying.environ["APIMALL_API_KEY"]
    assert copying.run("ack", NAME, "--as", "web").code == 0
    done = copying.run("--once")
    assert (done.code, "environment EU_TOKEN: is missing" in done.err) == (2, True)


def test_a_consumer_that_reads_a_copy_confirms_by_it_alone(copying: Program) -> None:
    done = copying.run("ack", NAME, "--as", "shop", "--key-id", "1")
    assert done.code == 2
    assert "shop confirms by what its copy holds" in done.err
