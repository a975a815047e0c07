"""`rotator check` as a process, against a real Vault-API server and the sandbox's gateway over HTTP."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rotator.sandbox.faults import Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import run
from tests.logins import Role
from tests.program import BACKEND, REPORTING, Program
from tests.proxy import Proxy
from tests.vaults import new_token

NOWHERE = "http://127.0.0.1:1"  # nobody listens there


def policy(
    mount: str, *, managed: str = '"create", "read", "update"', state: str = '"create", "read"'
) -> str:
    return f"""
        path "{mount}/data/apimall/*" {{ capabilities = [{managed}] }}
        path "{mount}/data/rotator/installation" {{ capabilities = [{state}] }}
        path "{mount}/data/rotator/claims/*" {{ capabilities = ["create", "read", "update"] }}
    """


def check(rotator: Program, code: int) -> dict[str, dict[str, Any]]:
    """Return the last finding of each name."""
    done = run(rotator, "check", "--json")
    assert done.code == code, done.out + done.err
    assert done.json["well"] == (code == 0)
    return {finding["name"]: finding for finding in done.json["checks"]}


def states(found: dict[str, dict[str, Any]], *wanted: str) -> set[str]:
    """The names of findings in these states."""
    return {name for name, finding in found.items() if finding["state"] in wanted}


@pytest.fixture
def proxied(rotator: Program, vault_server: VaultServer) -> Iterator[list[tuple[str, str]]]:
    """Each request to Vault."""
    seen: list[tuple[str, str]] = []
    with Proxy(vault_server.address) as proxy:
        proxy.hook = lambda method, path, phase: (
            seen.append((method, path.partition("?")[0])) if phase is Phase.BEFORE else None
        )
        rotator.config["vault"]["address"] = proxy.address
        yield seen


class TestAllIsWell:
    def test_each_check_says_what_it_saw(self, rotator: Program, gateway: GatewayServer) -> None:
        found = check(rotator, 0)
        assert states(found, "note", "bad", "skipped") == set()
        assert len(found) == 19
        assert found["config"]["seen"].endswith("rotator.yaml: 2 managed keys")
        assert found["installation"]["seen"] == "none yet; the first pass makes it"
        assert found["secrets"]["seen"] == "0 of 2 exist; the rotator can use what is in them"
        assert found["bearer"]["seen"] == "from the variable APIMALL_API_KEY"
        assert found["gateway access"]["seen"] == "GET /keys: 1 key, 1 live"
        assert found["gateway access"]["request_id"] == gateway.requests[-1].request_id

    def test_after_a_pass_it_names_the_installation(
        self, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        run(rotator, "--once")
        made = vault_server.api("GET", f"{mount}/data/rotator/installation")["data"]["data"]["installation"]
        assert check(rotator, 0)["installation"]["seen"] == f"{made}, at rotator/installation"

    def test_a_person_reads_80_columns_without_colour(self, rotator: Program) -> None:
        rotator.environ |= {"COLUMNS": "80"}
        rotator.config["metrics"] = {"textfile": "/nope/x.prom"}
        lines = run(rotator, "check").out.splitlines()
        assert "✓ Vault DNS       127.0.0.1 is an address, so there is nothing to look up" in lines
        assert lines[-1] == "20 checks: 19 ok, 1 warning"
        assert max(len(line) for line in lines if str(rotator.directory) not in line) <= 80
        assert not any("\x1b" in line for line in lines)

    def test_nothing_is_written_to_either_side(
        self,
        rotator: Program,
        gateway: GatewayServer,
        vault_server: VaultServer,
        mount: str,
        proxied: list[tuple[str, str]],
    ) -> None:
        role = Role(vault_server, policy(mount))
        rotator.config["vault"]["auth"] = {"method": "approle", "mount": role.mount}
        rotator.environ |= {
            "VAULT_ROLE_ID": role.role_id.reveal(),
            "VAULT_SECRET_ID": role.secret_id().reveal(),
        }
        found = check(rotator, 0)
        assert found["Vault login"]["seen"].startswith(f"by approle at auth/{role.mount}; policies: ")
        assert found["Vault token"]["seen"] == "expires in 1h, renewable"
        assert [(line.method, line.path) for line in gateway.requests] == [("GET", "/keys")]
        assert {request for request in proxied if request[0] != "GET"} == {
            ("POST", f"/v1/auth/{role.mount}/login"),
            ("POST", "/v1/sys/capabilities-self"),
            ("POST", "/v1/auth/token/revoke-self"),
        }
        assert proxied[-1] == ("POST", "/v1/auth/token/revoke-self")
        assert role.tokens() == 0

    def test_a_thousand_keys_are_no_more_lines(self, rotator: Program) -> None:
        rotator.config["keys"] = [{"name": f"K{n}", "path": f"apimall/k{n}"} for n in range(1000)]
        found = check(rotator, 0)
        assert len(found) == 19
        assert "2,001 paths" in found["Vault policy"]["seen"]

    def test_the_bearer_in_vault(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        rotator.config["gateway"]["api_key"] = {"vault": "bearers/rotator", "env": "APIMALL_API_KEY"}
        assert check(rotator, 0)["bearer"]["seen"] == "from the variable APIMALL_API_KEY"
        by_hand = gateway.account.create("by hand")
        key = rotator.environ.pop("APIMALL_API_KEY")
        rotator.config["gateway"]["api_key"] = {"vault": "bearers/rotator", "file": "/nowhere"}
        secret = {"data": {"key": by_hand.plaintext, "note": ""}}
        vault_server.api("POST", f"{mount}/data/bearers/rotator", secret)
        assert check(rotator, 1)["bearer"]["seen"] == (
            "there is no key in gateway.api_key.vault bearers/rotator: the secret has no text in the field "
            "`api_key` (it has: key, note); nor in gateway.api_key.file /nowhere: No such file or directory"
        )
        rotator.environ["APIMALL_API_KEY"] = key
        vault_server.api("POST", f"{mount}/data/bearers/rotator", {"data": {"api_key": by_hand.plaintext}})
        assert check(rotator, 0)["bearer"]["seen"] == "from bearers/rotator in Vault"
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount)).reveal()
        found = check(rotator, 1)
        assert f"lacks read on {mount}/data/bearers/rotator" in found["Vault policy"]["seen"]
        assert 'capabilities = ["read"]' in found["Vault policy"]["cure"]
        assert "bearer" in states(found, "bad")


class TestConfig:
    def test_all_faults_and_nothing_more(self, rotator: Program, gateway: GatewayServer) -> None:
        rotator.config["vault"]["mount"] = 5
        rotator.config["keys"][1]["path"] = BACKEND
        done = run(rotator, "check", "--json")
        assert done.code == 2
        assert [(finding["name"], finding["state"]) for finding in done.json["checks"]] == [
            ("config", "bad")
        ] * 2
        assert not done.json["well"]
        assert run(rotator, "check").out.count("✗ config") == 2
        assert gateway.requests == ()

    def test_short_graces_and_windows_are_notes(self, rotator: Program) -> None:
        rotator.config["keys"][0]["grace_period"] = "30m"
        rotator.config["keys"][0]["allow_short"] = True
        rotator.config["keys"][1] |= {"rotation_schedule": "0 3 * * SUN", "rotation_window": "5m"}
        found = check(rotator, 0)
        assert states(found, "note") == {"grace periods", "schedule"}
        assert "30m for Production backend: shorter than the 1h12m" in found["grace periods"]["seen"]
        assert "deploy/consumers/README.md" in found["grace periods"]["cure"]


class TestReach:
    @pytest.mark.parametrize("side", ["Vault", "gateway"])
    def test_a_name_that_is_not_known(self, rotator: Program, side: str) -> None:
        block, field = ("vault", "address") if side == "Vault" else ("gateway", "url")
        rotator.config[block][field] = "https://nobody.invalid/api"
        found = check(rotator, 1)
        assert states(found, "bad") == {f"{side} DNS"}
        assert found[f"{side} DNS"]["seen"].startswith("nobody.invalid: ")
        assert f"{block}.{field}" in found[f"{side} DNS"]["cure"]
        assert f"{side} TLS" in states(found, "skipped")
        assert found["Vault policy" if side == "Vault" else "gateway list"]["seen"] == (
            f"not tried: it needs {side} DNS"
        )
        assert len(found) == 19

    @pytest.mark.parametrize("side", ["Vault", "gateway"])
    def test_nobody_listens(self, rotator: Program, side: str) -> None:
        block, field = ("vault", "address") if side == "Vault" else ("gateway", "url")
        rotator.config[block][field] = NOWHERE
        found = check(rotator, 1)
        assert states(found, "bad") == {f"{side} TLS"}
        assert found[f"{side} TLS"]["seen"] == "connecting to 127.0.0.1:1: Connection refused"
        assert f"check {block}.{field}" in found[f"{side} TLS"]["cure"]

    def test_tls_with_who_does_not_speak_it(self, rotator: Program, gateway: GatewayServer) -> None:
        rotator.config["gateway"]["url"] = gateway.url.replace("http:", "https:")
        found = check(rotator, 1)
        assert states(found, "bad") == {"gateway TLS"}
        assert "does not speak TLS" in found["gateway TLS"]["seen"]

    def test_a_proxy_is_said_without_its_password(self, rotator: Program) -> None:
        rotator.config["gateway"]["url"] = "https://gateway.invalid/api/v1"
        rotator.environ["HTTPS_PROXY"] = "http://somebody:hunter2-hunter2@127.0.0.1:1"
        found = check(rotator, 1)
        assert found["gateway proxy"]["seen"].startswith(
            "the proxy http://127.0.0.1:1 (HTTPS_PROXY) makes the connection"
        )
        assert "gateway DNS" not in found
        assert states(found, "bad") == {"gateway access"}
        assert found["gateway access"]["cure"].startswith("check HTTPS_PROXY, and the network")
        assert "hunter2" not in rotator.runs[-1].out + rotator.runs[-1].err

    def test_a_proxy_that_cannot_be_used(self, rotator: Program) -> None:
        rotator.config["gateway"]["url"] = "https://gateway.invalid/api/v1"
        rotator.environ["HTTPS_PROXY"] = "socks5://127.0.0.1:1"
        found = check(rotator, 1)
        assert states(found, "bad") == {"gateway proxy"}
        assert found["gateway proxy"]["cure"].startswith("write http://HOST:PORT")

    def test_a_host_that_needs_no_proxy(self, rotator: Program) -> None:
        rotator.config["gateway"]["url"] = "https://gateway.invalid/api/v1"
        rotator.environ |= {"HTTPS_PROXY": NOWHERE, "NO_PROXY": "gateway.invalid"}
        assert states(check(rotator, 1), "bad") == {"gateway DNS"}


class TestVault:
    def test_a_wrong_token(self, rotator: Program) -> None:
        rotator.environ["VAULT_TOKEN"] = "s.nonsense"
        found = check(rotator, 1)
        assert states(found, "bad") == {"Vault login"}
        assert "Vault does not accept the token in VAULT_TOKEN" in found["Vault login"]["seen"]
        assert (
            "`vault token create -policy=rotator`; then put it into VAULT_TOKEN"
            in found["Vault login"]["cure"]
        )
        skipped = {"Vault token", "Vault mount", "Vault policy", "installation", "secrets"}
        assert states(found, "skipped") == skipped

    def test_a_refused_login(self, rotator: Program, vault_server: VaultServer, mount: str) -> None:
        role = Role(vault_server, policy(mount))
        rotator.config["vault"]["auth"] = {"method": "approle", "mount": role.mount}
        rotator.environ |= {"VAULT_ROLE_ID": role.role_id.reveal(), "VAULT_SECRET_ID": "of-nobody-at-all"}
        found = check(rotator, 1)
        assert found["Vault login"]["seen"].startswith("Vault refused the login: ")
        assert "secret id has expired or is used up" in found["Vault login"]["cure"]

    def test_a_short_lived_token(self, rotator: Program, vault_server: VaultServer, mount: str) -> None:
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount), ttl="5m").reveal()
        found = check(rotator, 1)
        assert states(found, "bad") == {"Vault token"}
        assert "a rotation may take 6m" in found["Vault token"]["seen"]

    def test_the_least_policy_is_enough(
        self, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount)).reveal()
        assert states(check(rotator, 0), "note", "bad", "skipped") == set()

    def test_the_policy_that_it_writes_is_the_cure(
        self, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        lame = policy(mount, managed='"create", "read"', state='"create"')
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, lame).reveal()
        done = run(rotator, "check", "--json")
        found = [finding for finding in done.json["checks"] if finding["state"] == "bad"]
        assert done.code == 1
        assert [(finding["name"], finding["seen"]) for finding in found] == [
            ("Vault policy", f"the token lacks update on {mount}/data/{BACKEND}, {mount}/data/{REPORTING}"),
            ("Vault policy", f"the token lacks read on {mount}/data/rotator/installation"),
        ]
        cured = "\n".join(finding["cure"].partition("\n")[2] for finding in found)
        cured += f'\npath "{mount}/data/rotator/claims/*" {{ capabilities = ["create", "read", "update"] }}'
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, cured).reveal()
        assert states(check(rotator, 0), "note", "bad", "skipped") == set()

    @pytest.mark.parametrize("root", [True, False])
    def test_a_mount_that_is_not_there(self, rotator: Program, vault_server: VaultServer, root: bool) -> None:
        rotator.config["vault"]["mount"] = name = f"none-{uuid4().hex[:8]}"
        if not root:
            rotator.environ["VAULT_TOKEN"] = new_token(vault_server).reveal()
        found = check(rotator, 1)
        assert "Vault mount" in states(found, "bad")
        assert ("no handler for route" if root else f"there is no mount {name}/, or") in found["Vault mount"][
            "seen"
        ]
        assert "vault.mount" in found["Vault mount"]["cure"]
        assert ("`vault secrets enable -path=MOUNT -version=2 kv`" in found["Vault mount"]["cure"]) == root

    def test_a_mount_of_version_1(self, rotator: Program, vault_server: VaultServer) -> None:
        rotator.config["vault"]["mount"] = name = f"v1-{uuid4().hex[:8]}"
        vault_server.api("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": "1"}})
        found = check(rotator, 1)
        assert states(found, "bad") == {"Vault mount"}
        assert f"vault kv enable-versioning {name}/" in found["Vault mount"]["cure"]

    def test_an_identity_that_is_none(self, rotator: Program, vault_server: VaultServer, mount: str) -> None:
        vault_server.api("POST", f"{mount}/data/rotator/installation", {"data": {"installation": "x"}})
        assert states(check(rotator, 1), "bad") == {"installation"}

    @pytest.mark.parametrize(
        ("fields", "cure"),
        [({"api_key": 7}, "another `field`"), ({"rotation": "weekly"}, "in `bookkeeping`")],
    )
    def test_a_secret_with_something_in_our_way(
        self, rotator: Program, vault_server: VaultServer, mount: str, fields: dict[str, Any], cure: str
    ) -> None:
        vault_server.api("POST", f"{mount}/data/{BACKEND}", {"data": fields})
        found = check(rotator, 1)
        assert states(found, "bad") == {"secrets"}
        assert f"the secret {BACKEND}: the field {next(iter(fields))}" in found["secrets"]["seen"]
        assert cure in found["secrets"]["cure"]

    def test_a_certificate_that_cannot_be_loaded(self, rotator: Program, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nonsense")
        rotator.config["vault"] |= {"address": "https://127.0.0.1:1", "ca_cert": str(tmp_path / "ca.pem")}
        found = check(rotator, 1)
        assert states(found, "bad") == {"Vault TLS"}
        assert "PEM files" in found["Vault TLS"]["cure"]
        assert found["gateway access"]["state"] == "ok"


class TestWrappedSecretId:
    @pytest.fixture
    def role(self, rotator: Program, vault_server: VaultServer, mount: str) -> Role:
        role = Role(vault_server, policy(mount))
        rotator.config["vault"]["auth"] = {
            "method": "approle",
            "mount": role.mount,
            "secret_id_response_wrapping_path": f"{role.path}/secret-id",
        }
        rotator.environ |= {
            "VAULT_ROLE_ID": role.role_id.reveal(),
            "VAULT_SECRET_ID": role.wrapped().reveal(),
        }
        return role

    def test_it_is_looked_at_and_not_used_up(
        self, rotator: Program, role: Role, proxied: list[tuple[str, str]]
    ) -> None:
        found = check(rotator, 0)
        seen = found["Vault login"]["seen"]
        assert seen.startswith("not tried: the wrapping token, made at ")
        assert seen.endswith(" is valid and works only once, so it is left for the rotator")
        assert states(found, "skipped") == {
            "Vault login",
            "Vault token",
            "Vault mount",
            "Vault policy",
            "installation",
            "secrets",
        }
        assert proxied == [("GET", "/v1/sys/health"), ("POST", "/v1/sys/wrapping/lookup")]
        assert run(rotator, "--once").code == 0

    def test_one_that_was_used_is_bad(self, rotator: Program, role: Role) -> None:
        role.server.api("POST", "sys/wrapping/unwrap", token=rotator.environ["VAULT_SECRET_ID"])
        found = check(rotator, 1)
        assert states(found, "bad") == {"Vault login"}
        assert "somebody else may hold the secret id" in found["Vault login"]["seen"]

    def test_a_bearer_in_vault_is_not_tried(self, rotator: Program, role: Role) -> None:
        rotator.config["gateway"]["api_key"] = {"vault": "bearers/rotator"}
        found = check(rotator, 0)
        assert found["gateway access"]["seen"] == "not tried: it needs Vault login"


class TestGateway:
    def test_a_wrong_bearer(self, rotator: Program, gateway: GatewayServer) -> None:
        rotator.environ["APIMALL_API_KEY"] = "sk-" + "0" * 48
        found = check(rotator, 1)
        assert states(found, "bad") == {"gateway access"}
        assert found["gateway access"]["seen"].startswith("GET /keys: 401")
        assert found["gateway access"]["request_id"] == gateway.requests[-1].request_id
        assert states(found, "skipped") == {"gateway clock", "gateway list"}

    def test_no_bearer(self, rotator: Program) -> None:
        rotator.config["gateway"]["api_key"] = {"file": "/nowhere/bearer"}
        found = check(rotator, 1)
        assert found["bearer"]["seen"] == (
            "there is no key in gateway.api_key.file /nowhere/bearer: No such file or directory"
        )
        assert found["gateway access"]["state"] == "skipped"

    def test_an_account_without_access(self, rotator: Program, gateway: GatewayServer) -> None:
        gateway.faults.add(Fault("GET /keys", Status(403), times=2))
        found = check(rotator, 1)
        assert found["gateway access"]["seen"].startswith("GET /keys: 403")
        assert "approve API access" in found["gateway access"]["cure"]

    def test_nothing_is_repeated(self, rotator: Program, gateway: GatewayServer) -> None:
        gateway.faults.add(Fault("GET /keys", Status(500)))
        assert states(check(rotator, 1), "bad") == {"gateway access"}
        assert len(gateway.requests) == 1

    def test_a_clock_that_is_off(self, rotator: Program, gateway: GatewayServer) -> None:
        """Bad where a pass revokes nothing for it, and else no word of reproach."""
        gateway.account.clock.advance(timedelta(hours=-3))
        assert (
            check(rotator, 0)["gateway clock"]["seen"] == "this machine's is 3h ahead, within clock_tolerance"
        )
        rotator.config["clock_tolerance"] = "1h"
        found = check(rotator, 1)
        assert states(found, "bad") == {"gateway clock"}
        assert (
            "check that this machine's clock is right (NTP); if it is, ask" in found["gateway clock"]["cure"]
        )

    def test_a_metrics_file_that_cannot_be_written(self, rotator: Program, tmp_path: Path) -> None:
        rotator.config["metrics"] = {"textfile": str(tmp_path / "none" / "a.prom")}
        found = check(rotator, 0)["metrics"]
        assert found["seen"] == f"metrics.textfile: {tmp_path}/none does not exist"
        assert found["cure"] == "create the directory, and let this user write to it"
        (tmp_path / "none").mkdir()
        assert check(rotator, 0)["metrics"]["state"] == "ok"
