"""`rotator explain` as a process, against a real Vault-API server and the sandbox's gateway."""

from datetime import timedelta

from rotator.sandbox.faults import Fault, Status
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.program import BACKEND, Program, secret
from tests.vaults import new_token

NARROW = {"COLUMNS": "80"}


def test_of_a_key_through_its_life(
    rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
) -> None:
    def told() -> str:
        run = rotator.run("explain", "Production backend", environ=NARROW)
        assert run.code == 0
        assert max(map(len, run.out.splitlines())) <= 80
        return run.out

    before = told()
    assert "✓  missing  nothing was ever written to its path" in before
    assert before.endswith("the next pass rotates it: missing\n")
    rotator.run("--once")
    assert "not rotated now: there is no reason to, and it falls due" in told()
    gateway.account.clock.advance(timedelta(days=7))
    assert told().endswith("the next pass rotates it: due\n")
    old = secret(vault_server, mount, BACKEND)["rotation"]["key_id"]
    rotator.run("--once")
    assert f"–  superseded {old}  superseded" in told()
    gateway.account.clock.advance(timedelta(days=1))
    assert told().endswith(f"; the next pass revokes {old}\n")


def test_it_writes_nothing_and_needs_only_to_read(
    rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
) -> None:
    rotator.run("--once")
    gateway.account.clock.advance(timedelta(days=8))
    before, made = secret(vault_server, mount, BACKEND), len(gateway.requests)
    policy = f'path "{mount}/data/*" {{ capabilities = ["read"] }}'
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy).reveal()
    assert rotator.run("explain", "Production backend").code == 0
    assert {line.method for line in gateway.requests[made:]} == {"GET"}
    assert secret(vault_server, mount, BACKEND) == before


def test_for_programs(rotator: Program) -> None:
    rotator.run("--once")
    told = rotator.run("explain", "--json", "Reporting").json
    assert (told["name"], told["rotates"], told["reason"]) == ("Reporting", False, None)
    assert [row["name"] for row in told["reasons"]] == ["missing", "revoked", "due", "forced"]
    assert not any(row["holds"] for row in told["reasons"] + told["holds"])


def test_a_wrong_name_is_exit_code_2(rotator: Program) -> None:
    run = rotator.run("explain", "Reportin", "--log-format", "console")
    assert (run.code, run.out) == (2, "")
    assert "did you mean “Reporting”?" in run.err


def test_a_side_that_refuses_is_exit_code_3(rotator: Program, gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("GET /keys", Status(403), times=2))
    run = rotator.run("explain", "Reporting", "--json")
    assert run.code == 3
    assert run.json["error"]["cure"]


def test_a_secret_that_cannot_be_read_is_exit_code_3(
    rotator: Program, vault_server: VaultServer, mount: str
) -> None:
    policy = f'path "{mount}/data/rotator/installation" {{ capabilities = ["read"] }}'
    rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy).reveal()
    run = rotator.run("explain", "Reporting", "--log-format", "console")
    assert (run.code, run.out) == (3, "")
    assert "403" in run.err
