"""`rotator hold` and `rotator release`: the real program, a real server, a policy for people, and bad input."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from rotator.sandbox.ledger import Clock
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer, find_binary
from tests.deployed import DEPLOY, forget
from tests.program import BACKEND, Finished, Program
from tests.vaults import new_token

NAME = "Production backend"
HOLD = ("hold", NAME, "--until", "7d", "--reason", "the sale, ask Maria")
POLICY = (DEPLOY / "vault/operator.hcl").read_text()


def custom(vault: VaultServer, mount: str) -> dict[str, str]:
    return dict(vault.api("GET", f"{mount}/metadata/{BACKEND}")["data"]["custom_metadata"] or {})


@pytest.fixture
def held(rotator: Program) -> Finished:
    rotator.run("--once")
    return rotator.run(*HOLD)


class TestHold:
    def test_it_says_until_when_and_how_it_ends(
        self, held: Finished, vault_server: VaultServer, mount: str
    ) -> None:
        assert (held.code, held.err) == (0, "")
        first, *_, last = held.out.splitlines()
        assert re.fullmatch(rf"{NAME} is frozen until 20.{{8}} .{{5}} UTC, in 7d: the sale, ask Maria", first)
        assert last == f"  end it with: rotator release '{NAME}'"
        value = custom(vault_server, mount)["rotator-hold"]
        assert re.fullmatch(r"20[0-9-]{8}T[0-9:]{8}Z the sale, ask Maria", value)

    def test_a_pass_heeds_it_until_it_is_released(
        self, held: Finished, rotator: Program, gateway: GatewayServer
    ) -> None:
        rotator.config["keys"][0] |= {"rotation_period": "2d"}
        gateway.account.clock.advance(timedelta(days=3))
        frozen, other = rotator.run("--once", "--json").json["keys"]
        assert (frozen["action"], frozen["hold"], other["action"]) == ("hold", "frozen", "none")
        released = rotator.run("release", "--key", NAME)
        assert released.code == 0
        assert released.out.startswith(
            f"{NAME} is no longer frozen; the next pass does what is due\n  it was: "
        )
        assert rotator.run("--once", "--json").json["keys"][0]["action"] == "rotate"
        assert rotator.run("release", NAME).out == f"{NAME} was not frozen; nothing was changed\n"

    def test_as_json(self, held: Finished, rotator: Program) -> None:
        done = rotator.run("hold", NAME, "--until", "2d", "--reason", "longer", "--json").json
        assert (done["kind"], done["name"], done["path"]) == ("freeze", NAME, BACKEND)
        assert (done["frozen"]["reason"], done["before"]["reason"]) == ("longer", "the sale, ask Maria")
        assert done["frozen"]["until"] < done["before"]["until"]
        done = rotator.run("release", NAME, "--json").json
        assert (done["frozen"], done["before"]["reason"]) == (None, "longer")

    def test_other_custom_metadata_stays(
        self, held: Finished, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        body = {"custom_metadata": {**custom(vault_server, mount), "owner": "Payments"}}
        vault_server.api("POST", f"{mount}/metadata/{BACKEND}", body)
        rotator.run(*HOLD)
        rotator.run("release", NAME)
        assert custom(vault_server, mount) == {"owner": "Payments"}

    @pytest.mark.parametrize("until", ["2026-12-24T18:00:00+01:00", "2026-12-24"])
    def test_a_time_and_a_date(self, rotator: Program, gateway: GatewayServer, until: str) -> None:
        clock: Clock = gateway.account.clock
        rotator.run("--once")
        ahead = (clock.now() + timedelta(days=3)).strftime("%Y-%m-%d")
        done = rotator.run(
            "hold", NAME, "--until", until.replace("2026-12-24", ahead), "--reason", "x", "--json"
        )
        hour = "17:00" if "T" in until else "00:00"
        assert done.json["frozen"]["until"] == f"{ahead}T{hour}:00Z"

    def test_by_the_gateways_clock(self, rotator: Program, gateway: GatewayServer) -> None:
        rotator.run("--once")
        gateway.account.clock.advance(timedelta(days=400))
        done = rotator.run(*HOLD, "--json").json
        assert done["now"][:10] == gateway.account.clock.now().strftime("%Y-%m-%d")

    @pytest.mark.parametrize("ahead", [-300, 30])
    def test_of_two_clocks_that_differ_the_later_one_counts(
        self, rotator: Program, gateway: GatewayServer, ahead: int
    ) -> None:
        """By the other, it would be over before it began."""
        del rotator.config["clock_tolerance"]
        rotator.run("--once")
        account = gateway.account
        account.clock = Clock(account.clock.now() + timedelta(days=ahead))
        done = rotator.run(*HOLD, "--json")
        until = datetime.fromisoformat(done.json["frozen"]["until"])
        week = timedelta(days=7, minutes=-2)
        assert until - datetime.now(UTC) > week
        assert until - account.clock.now() > week
        assert f"the gateway's Date is {abs(ahead)}d" in done.err

    def test_while_the_gateway_is_down(self, rotator: Program, gateway: GatewayServer) -> None:
        rotator.run("--once")
        gateway.stop()
        done = rotator.run(*HOLD)
        assert done.code == 0
        assert "clock.unasked" in done.err
        gateway.start()

    def test_without_a_bearer(self, rotator: Program) -> None:
        """A person who may freeze need not have one."""
        rotator.run("--once")
        del rotator.environ["APIMALL_API_KEY"]
        assert rotator.run(*HOLD).code == 0


class TestBadInput:
    """What test_freeze.py finds wrong is said as a wrong use, and nothing that was typed is repeated."""

    @pytest.mark.parametrize(
        ("until", "says"),
        [
            ("tomorrow", "is not a duration"),
            ("2020-01-01", "is past: by the gateway's clock it is "),
            ("2026-12-31T17:45:00", "write one with its offset"),
        ],
    )
    def test_an_end_that_is_none(self, rotator: Program, until: str, says: str) -> None:
        done = rotator.run("hold", NAME, f"--until={until}", "--reason", "x", "--json")
        assert (done.code, done.json["kind"]) == (2, "error")
        assert says in done.json["error"]["message"]
        assert until not in done.out + done.err

    def test_the_time_that_it_names_is_taken(self, rotator: Program) -> None:
        rotator.run("--once")
        said = rotator.run("hold", NAME, "--until", "91d", "--reason", "x").err
        named = re.findall(r"write (\S+) at", " ".join(said.split()))
        assert rotator.run("hold", NAME, "--until", *named, "--reason", "x").code == 0

    @pytest.mark.parametrize("reason", ["two\nlines", "\x1b[31mred", "a \udcff", "it was sk-" + "a1b2" * 10])
    def test_a_reason_that_is_none(self, rotator: Program, reason: str) -> None:
        done = rotator.run("hold", NAME, "--until", "7d", "--reason", reason)
        assert done.code == 2
        assert "--reason h" in done.err
        assert not any(part in done.err for part in ("a1b2", "\x1b", "lines", "\udcff"))

    def test_the_longest_reason_of_any_characters_fits(self, rotator: Program) -> None:
        rotator.run("--once")
        reason = "𝕏" * 120
        done = rotator.run("hold", NAME, "--until", "7d", "--reason", reason, "--json")
        assert done.json["frozen"]["reason"] == reason

    @pytest.mark.parametrize(
        "command", [("hold", NAME), ("hold", NAME, "--until", "7d"), ("hold",), ("release",)]
    )
    def test_what_is_left_out_is_named(self, rotator: Program, command: tuple[str, ...]) -> None:
        done = rotator.run(*command)
        assert done.code == 2
        assert "Missing option" in done.err or "name one managed key" in done.err

    @pytest.mark.parametrize("command", [("hold", "Nobody", *HOLD[2:]), ("release", "Nobody")])
    def test_a_key_that_the_config_does_not_have(self, rotator: Program, command: tuple[str, ...]) -> None:
        done = rotator.run(*command)
        assert done.code == 2
        assert "the config has: Production backend, Reporting" in done.err

    @pytest.mark.parametrize("command", [HOLD, ("release", NAME)])
    def test_a_secret_that_is_not_there_yet_is_made_first(
        self, rotator: Program, command: tuple[str, ...]
    ) -> None:
        done = rotator.run(*command)
        assert done.code == 1
        assert f"there is no secret at {BACKEND} yet" in done.err
        assert done.err.endswith("  rotator --once\nthen run this again\n")
        rotator.run("--once")
        assert rotator.run(*command).code == 0

    def test_vault_is_down(self, rotator: Program) -> None:
        rotator.config["vault"]["address"] = "http://127.0.0.1:9"
        done = rotator.run(*HOLD)
        assert done.code == 3
        assert "check vault.address" in done.err


class TestVaultsOwnClient:
    def _vault(self, server: VaultServer, *words: str) -> None:
        token = server.token.reveal()
        environ = {
            f"{name}_{what}": value
            for name in ("BAO", "VAULT")
            for what, value in (("ADDR", server.address), ("TOKEN", token))
        }
        done = subprocess.run(
            [find_binary(), *words], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_it_freezes_and_releases(self, rotator: Program, vault_server: VaultServer, mount: str) -> None:
        rotator.run("--once")
        path = f"{mount}/{BACKEND}"
        self._vault(
            vault_server, "kv", "metadata", "patch", "-custom-metadata=rotator-hold=2999-01-01 by hand", path
        )
        warnings = json.dumps(rotator.run("status", "--json").json["keys"][0]["warnings"])
        assert "more than 90d ahead" in warnings
        self._vault(vault_server, "kv", "metadata", "patch", "-remove-custom-metadata=rotator-hold", path)
        assert rotator.run("release", NAME).out == f"{NAME} was not frozen; nothing was changed\n"


@pytest.mark.parametrize(
    "command",
    [("status",), ("explain", NAME), ("keys",), ("--dry-run",), ("--once",), HOLD, ("release", NAME)],
)
@pytest.mark.parametrize("end", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_the_last_and_the_first_moment_are_ends_like_others(
    rotator: Program, vault_server: VaultServer, mount: str, end: str, command: tuple[str, ...]
) -> None:
    rotator.run("--once")
    body = {"custom_metadata": {"rotator-hold": f"{end} for ever"}}
    vault_server.api("POST", f"{mount}/metadata/{BACKEND}", body)
    assert rotator.run(*command).code == 0


class TestThePolicyForPeople:
    @pytest.fixture
    def mount(self, vault_server: VaultServer) -> str:
        """That of the example config, as its paths: the policy is used as it stands in the file."""
        forget(vault_server)
        return "secret"

    def test_it_is_enough(self, rotator: Program, vault_server: VaultServer) -> None:
        rotator.run("--once")
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, POLICY).reveal()
        assert rotator.run(*HOLD).code == 0
        assert rotator.run("release", NAME).code == 0

    @pytest.mark.parametrize("name", ["read", "patch"])
    def test_each_capability_is_needed_and_named(
        self, rotator: Program, vault_server: VaultServer, name: str
    ) -> None:
        line = 'path "secret/metadata/apimall/*" { capabilities = ["read", "patch"] }'
        assert line in POLICY
        other = {"read": "patch", "patch": "read"}[name]
        token = new_token(vault_server, POLICY.replace(line, line.replace('"read", "patch"', f'"{other}"')))
        rotator.run("--once")
        rotator.environ["VAULT_TOKEN"] = token.reveal()
        done = rotator.run(*HOLD)
        assert done.code == 3
        assert "one of yours, whose policy grants what deploy/vault/operator.hcl has" in done.err
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, POLICY).reveal()
        assert rotator.run(*HOLD).code == 0

    def test_the_daemons_policy_is_not_enough_and_need_not_be(
        self, rotator: Program, vault_server: VaultServer, gateway: GatewayServer
    ) -> None:
        rotator.run("--once")
        daemons = (DEPLOY / "vault/policy.hcl").read_text()
        assert "metadata" not in re.sub("(?m)^#.*", "", daemons)
        rotator.run(*HOLD)
        rotator.config["keys"][0] |= {"rotation_period": "2d"}
        gateway.account.clock.advance(timedelta(days=3))
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, daemons).reveal()
        assert rotator.run("--once", "--json").json["keys"][0]["hold"] == "frozen"
        done = rotator.run("release", NAME)
        assert (done.code, "whose policy grants what deploy/vault/operator.hcl has" in done.err) == (3, True)

    def test_for_the_identity_it_says_what_a_person_needs(
        self, rotator: Program, vault_server: VaultServer
    ) -> None:
        rotator.run("--once")
        daemons = (DEPLOY / "vault/policy.hcl").read_text()
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, daemons).reveal()
        done = rotator.run("installation", "move", "--yes")
        says = "whose policy grants `create`, `read` and `update` on secret/data/rotator/installation"
        assert (done.code, says in done.err) == (3, True)
        grant = 'path "secret/data/rotator/installation" { capabilities = ["create", "read", "update"] }'
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, daemons + grant).reveal()
        assert rotator.run("installation", "move", "--yes").code == 0
