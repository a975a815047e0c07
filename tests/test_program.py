"""The real program as a process, against a real Vault-API server and the sandbox's gateway over HTTP."""

import json
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from rotator.sandbox.faults import ALWAYS, GARBAGE, Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.program import Program
from tests.vaults import new_token

BACKEND, REPORTING = "apimall/production-backend", "apimall/reporting"


def secret(vault: VaultServer, mount: str, path: str) -> dict[str, Any]:
    return dict(vault.api("GET", f"{mount}/data/{path}")["data"]["data"])


class TestOnce:
    def test_a_month_in_the_life_of_two_keys(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        first = rotator.run("--once", "--json")
        assert (first.code, first.json["converged"]) == (0, True)
        assert [key["reason"] for key in first.json["keys"]] == ["missing", "missing"]
        stored = secret(vault_server, mount, BACKEND)
        assert gateway.account.authenticates(stored["api_key"]) == stored["rotation"]["key_id"]
        assert gateway.account.authenticates(secret(vault_server, mount, REPORTING)["APIMALL_API_KEY"])

        gateway.account.clock.advance(timedelta(days=7))
        second = rotator.run("--once", "--json")
        assert [key["action"] for key in second.json["keys"]] == ["rotate", "none"]
        assert gateway.account.authenticates(stored["api_key"])

        gateway.account.clock.advance(timedelta(days=1))
        third = rotator.run("--once", "--json")
        assert third.json["keys"][0]["revoked"] == [
            {"key_id": stored["rotation"]["key_id"], "reason": "superseded"}
        ]
        assert not gateway.account.authenticates(stored["api_key"])
        assert gateway.account.authenticates(secret(vault_server, mount, BACKEND)["api_key"])

    def test_the_number_of_calls(self, rotator: Program) -> None:
        def calls(run: Any) -> tuple[int, int]:
            names = [event["event"] for event in run.events]
            return names.count("gateway.request"), names.count("vault.request")

        rotator.run("--once")
        idle = calls(rotator.run("--once"))
        rotating = calls(rotator.run("--rotate-now", "--key", "Reporting"))
        assert idle == (1, 1 + 2)
        # On top of the idle pass: create, prove; the token's lifetime and capabilities, a second look, the write.
        assert rotating == (1 + 2, 1 + 2 + 2 + 2)

    def test_a_table_for_a_person(self, rotator: Program) -> None:
        table = rotator.run("--once").out
        assert "Production backend  rotated: missing" in table
        assert table.endswith("2 managed: 2 rotated, 0 revoked, 0 failed\n")
        assert max(map(len, rotator.run("--once", environ={"COLUMNS": "80"}).out.splitlines())) <= 80

    def test_one_failure_is_exit_code_1_and_names_its_request_id(
        self, rotator: Program, gateway: GatewayServer
    ) -> None:
        gateway.faults.add(Fault("POST /keys", Status(400)))
        run = rotator.run("--once")
        failed = next(line for line in gateway.requests if line.status == 400)
        assert run.code == 1
        assert f"(request_id {failed.request_id})" in run.out
        assert "1 failed" in run.out

    def test_the_least_policy_is_enough(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        policy = f"""
            path "{mount}/data/apimall/*" {{ capabilities = ["create", "read", "update"] }}
            path "{mount}/data/rotator/installation" {{ capabilities = ["create", "read"] }}
        """
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy).reveal()
        assert rotator.run("--once").code == 0
        gateway.account.clock.advance(timedelta(days=8))
        assert rotator.run("--once").code == 0


class TestOtherModes:
    def test_dry_run_changes_nothing(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        run = rotator.run("--dry-run", "--rotate-now", "--json")
        assert (run.code, run.json["dry_run"]) == (0, True)
        assert [key["outcome"] for key in run.json["keys"]] == ["planned", "planned"]
        assert len(gateway.account.ledger) == 1
        assert "POST" not in {line.method for line in gateway.requests}
        assert vault_server.api("GET", f"{mount}/config")["data"]["max_versions"] == 0

    def test_rotate_now_for_one_key(self, rotator: Program) -> None:
        rotator.run("--once")
        run = rotator.run("--rotate-now", "--key", "Reporting", "--json")
        assert [(key["name"], key["reason"]) for key in run.json["keys"]] == [("Reporting", "forced")]

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--json"], "go with --once, --rotate-now or --dry-run"),
            (["--key", "Reporting"], "go with --once, --rotate-now or --dry-run"),
            (["--once", "--rotate-now"], "choose one"),
            (["--once", "sandbox"], "takes no mode of a pass"),
            (["--once", "--log-level", "loud"], "'loud' is not one of"),
            (["--twice"], "--twice"),
            (["--once", "--key", "Reportin"], "did you mean --key 'Reporting'?"),
            (["--once", "--key", "Zzz"], "the config has: Production backend, Reporting"),
        ],
    )
    def test_bad_usage_is_exit_code_2(self, rotator: Program, options: list[str], says: str) -> None:
        run = rotator.run(*options)
        assert run.code == 2
        assert says in run.err
        assert run.out == ""

    def test_help_fits_a_screen_and_leads_with_an_example(self, rotator: Program) -> None:
        text = rotator.run("--help").out
        assert len(text.splitlines()) <= 45
        assert text.index("rotator --dry-run") < text.index("Options:")
        assert "Exit codes: 0 converged" in text


class TestBadInput:
    def test_every_fault_of_the_config_at_once(self, rotator: Program, gateway: GatewayServer) -> None:
        rotator.config["keys"][0]["rotation_perod"] = "7d"
        rotator.config["keys"][1]["path"] = BACKEND
        rotator.config["vault"]["mount"] = 5
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 2
        assert run.err.startswith("rotator: the config has 3 faults:\n")
        assert gateway.requests == ()
        run = rotator.run("--once", "--json")
        assert len(run.json["error"]["faults"]) == len(run.events[-1]["faults"]) == 3

    def test_a_missing_config(self, rotator: Program) -> None:
        run = rotator.run("--config", "nowhere.yaml", "--once", "--log-format", "console")
        assert run.code == 2
        assert "nowhere.yaml: there is no such file" in run.err

    def test_no_bearer(self, rotator: Program, gateway: GatewayServer) -> None:
        del rotator.environ["APIMALL_API_KEY"]
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 2
        assert "environment APIMALL_API_KEY: is missing" in run.err

    def test_a_refused_bearer(self, rotator: Program) -> None:
        run = rotator.run("--once", "--log-format", "console", environ={"APIMALL_API_KEY": "sk-" + "0" * 48})
        assert run.code == 3
        assert "GET /keys: 401 (unauthorized: Unauthorized) (request_id req_" in run.err

    def test_a_refused_vault_token(self, rotator: Program, gateway: GatewayServer) -> None:
        run = rotator.run("--once", "--log-format", "console", environ={"VAULT_TOKEN": "s.nonsense"})
        assert run.code == 3
        assert "has the token expired, and does its policy cover this path?" in run.err
        assert len(gateway.account.ledger) == 1

    @pytest.mark.parametrize(
        ("options", "says"), [({}, "no handler for route"), ({"version": "1"}, "not a KV version 2")]
    )
    def test_a_mount_that_will_not_do(
        self,
        rotator: Program,
        gateway: GatewayServer,
        vault_server: VaultServer,
        options: dict[str, str],
        says: str,
    ) -> None:
        rotator.config["vault"]["mount"] = name = f"bad-{uuid4().hex[:8]}"
        if options:
            vault_server.api("POST", f"sys/mounts/{name}", {"type": "kv", "options": options})
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 3
        assert says in run.err
        assert len(gateway.account.ledger) == 1

    def test_a_token_that_lacks_a_capability(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        policy = f"""
            path "{mount}/data/*" {{ capabilities = ["create", "read", "update"] }}
            path "{mount}/data/{BACKEND}" {{ capabilities = ["create", "read"] }}
        """
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy).reveal()
        run = rotator.run("--once")
        assert run.code == 1
        assert f"lacks update on {mount}/data/{BACKEND}; nothing was written" in run.out
        assert "cure: grant it in the token's policy" in run.out
        assert [key.title[:9] for key in gateway.account.ledger] == ["bootstrap", "Reporting"]

    def test_a_token_about_to_expire(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer
    ) -> None:
        root = 'path "*" { capabilities = ["create", "read", "update"] }'
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, root, ttl="2m").reveal()
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 3
        assert "before a rotation can be sure to end (360 s); nothing was created" in run.err
        assert len(gateway.account.ledger) == 1

    @pytest.mark.parametrize("name", ["html", "cut json", "success is false", "id is text", "data is null"])
    def test_a_gateway_that_answers_garbage(
        self, rotator: Program, gateway: GatewayServer, name: str
    ) -> None:
        gateway.faults.add(Fault("GET /keys", GARBAGE[name], at=Phase.AFTER, times=ALWAYS))
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 3
        assert "rotator: GET /keys: not the contract's answer: " in run.err
        assert "Traceback" not in run.err
        assert len(gateway.account.ledger) == 1

    def test_a_bookkeeping_edited_into_nonsense(
        self, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        rotator.run("--once")
        stored = secret(vault_server, mount, BACKEND)
        blocks: list[Any] = ["x", {"key_id": {}}, {**stored["rotation"], "superseded": {"x": 1}}]
        for nonsense in blocks:
            vault_server.api("POST", f"{mount}/data/{BACKEND}", {"data": {**stored, "rotation": nonsense}})
            run = rotator.run("--once")
            assert run.code == 0
            assert "! Production backend: the secret's bookkeeping makes no sense" in run.out
            assert "Production backend  adopted" in run.out
            assert secret(vault_server, mount, BACKEND)["rotation"]["key_id"] == stored["rotation"]["key_id"]


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_what_was_created_is_stored_and_nothing_new_begun(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str, number: int
    ) -> None:
        rotator.config["gateway"]["max_concurrency"] = 1
        created, go_on = Event(), Event()

        def pause_after_create(method: str, _path: str, phase: Phase) -> None:
            if (method, phase) == ("POST", Phase.AFTER):
                created.set()
                assert go_on.wait(30)

        gateway.hook = pause_after_create
        process = rotator.start("--once", "--json")
        assert created.wait(30)
        process.send_signal(number)
        go_on.set()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert '"outcome": "done"' in out
        assert '"outcome": "stopped"' in out
        made = [key for key in gateway.account.ledger if key.title != "bootstrap"]
        assert [secret(vault_server, mount, BACKEND)["api_key"]] == [key.plaintext for key in made]

    def test_a_wait_ends_at_once(self, rotator: Program, gateway: GatewayServer) -> None:
        refused = Event()
        gateway.faults.add(Fault("GET /keys", Status(429, retry_after="60"), times=ALWAYS))
        gateway.hook = lambda _method, _path, phase: refused.set() if phase is Phase.AFTER else None
        process = rotator.start("--once")
        assert refused.wait(30)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0

    @pytest.mark.parametrize("side", ["GATEWAY__URL", "VAULT__ADDRESS"])
    def test_https_to_a_server_that_speaks_http_is_said_at_once(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, side: str
    ) -> None:
        plain = gateway.url if side == "GATEWAY__URL" else vault_server.address
        environ = {f"ROTATOR_{side}": plain.replace("http:", "https:")}
        run = rotator.run("--once", "--log-format", "console", environ=environ)
        assert run.code == 3
        assert "https was spoken to a server that does not speak TLS" in run.err
        assert "retry" not in run.err

    def test_a_result_that_cannot_be_printed_is_no_failure(self, rotator: Program) -> None:
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                rotator.command("--once"),
                env=rotator.environ,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 0
        last = json.loads(done.stderr.splitlines()[-1])
        assert (last["event"], last["error"]) == ("result.unprinted", "No space left on device")


class TestTheBearersSources:
    def test_vault_comes_first_then_the_file_then_the_environment(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        file = rotator.directory / "bearer"
        rotator.config["gateway"]["api_key"] = {
            "vault": "apimall/rotator",
            "file": str(file),
            "env": "APIMALL_API_KEY",
        }
        rotator.config["keys"].append({"name": "Rotator", "path": "apimall/rotator", "field": "bearer"})
        by_hand = gateway.account.create("by hand")
        rotator.run("--once")
        made = secret(vault_server, mount, "apimall/rotator")
        file.write_text(by_hand.plaintext + "\n")
        rotator.run("--once")
        vault_server.api("DELETE", f"{mount}/metadata/apimall/rotator")
        rotator.run("--dry-run")
        listings = [line.bearer for line in gateway.requests if line.path == "/keys" and line.method == "GET"]
        assert listings == [1, made["rotation"]["key_id"], by_hand.id]

    @pytest.mark.parametrize(
        ("content", "says"), [(b"\xff", "not UTF-8"), (None, "Is a directory"), (b"a b", "no key has")]
    )
    def test_a_file_that_will_not_do(self, rotator: Program, content: bytes | None, says: str) -> None:
        file = rotator.directory / "bearer"
        file.mkdir() if content is None else file.write_bytes(content)
        rotator.config["gateway"]["api_key"] = {"file": str(file)}
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 3
        assert says in run.err


class TestTheSandbox:
    def test_it_tells_its_story_and_verifies_it(self, rotator: Program) -> None:
        run = rotator.run("sandbox")
        assert run.code == 0, run.out + run.err
        assert "✗" not in run.out
        assert run.out.endswith("✓ every step was verified from outside\n")

    def test_kept_up_it_serves_who_exports_what_it_says(self, rotator: Program) -> None:
        with rotator.start("sandbox", "--keep") as process:
            assert process.stdout
            lines = iter(process.stdout.readline, "")
            source = next(line for line in lines if line.startswith("  . ")).split()[1]
            done = subprocess.run(
                ["sh", "-c", f". {source}; exec {sys.executable} -m rotator --once --json"],
                env=rotator.environ,
                capture_output=True,
                text=True,
                check=False,
            )
            assert json.loads(done.stdout)["converged"]
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        assert process.returncode == 0
        assert not Path(source).exists()


class TestNothingLeaks:
    def test_not_in_arguments_nor_in_any_log_level(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer
    ) -> None:
        command = rotator.command("--once")
        assert not any(vault_server.token.reveal() in argument for argument in command)
        for format_ in ("json", "console"):
            gateway.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
            rotator.run("--rotate-now", "--log-level", "debug", "--log-format", format_)
        assert len(gateway.account.ledger) >= 5  # the fixture searches what was printed

    def test_core_dumps_are_off(self, rotator: Program, gateway: GatewayServer) -> None:
        limits: list[str] = []
        go_on = Event()

        def look(_method: str, _path: str, phase: Phase) -> None:
            if phase is Phase.BEFORE and not limits:
                limits.append(Path(f"/proc/{process.pid}/limits").read_text())
            go_on.set()

        gateway.hook = look
        process: subprocess.Popen[str] = rotator.start("--dry-run")
        process.communicate(timeout=30)
        (core,) = [line for line in limits[0].splitlines() if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]
