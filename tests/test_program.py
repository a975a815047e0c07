"""The real program as a process, against a real Vault-API server and the sandbox's gateway over HTTP."""

import json
import signal
import subprocess
import sys
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from threading import Event
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from rotator.sandbox.faults import Fault, Phase, Status
from rotator.sandbox.ledger import Quirks, RateLimit, RetryAfter
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.switches import SWITCHES
from rotator.sandbox.vault import VaultServer
from tests.needs import QUOTAS, Needs
from tests.program import BACKEND, REPORTING, ROOT, Program, secret
from tests.vaults import new_token


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
        idle = calls(rotator.run("--once", "--log-level", "debug"))
        rotating = calls(rotator.run("--rotate-now", "--key", "Reporting", "--log-level", "debug"))
        assert idle == (1, 3 + 2)
        # On top of the idle pass: create, prove, and once a pass a bearer that is none; the token's lifetime and
        # capabilities, the claims and the claim, a second look, the write, and a read of what was written.
        assert rotating == (1 + 2 + 1, 3 + 2 + 3 + 2 + 2 + 1)

    def test_what_had_no_turn_is_exit_code_1(self, rotator: Program, gateway: GatewayServer) -> None:
        gateway.account.quirks = Quirks(rate_limit=RateLimit(2, timedelta(days=1), RetryAfter.SECONDS))
        rotator.config |= {"pass_deadline": "1s"}
        run = rotator.run("--dry-run")
        assert run.code == 0  # a list is all that it takes
        run = rotator.run("--once", "--json")
        assert (run.code, run.json["failed"], run.json["not_reached"]) == (1, 0, 2)

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
            path "{mount}/data/rotator/claims/*" {{ capabilities = ["create", "read", "update"] }}
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
        assert len(gateway.account.keys) == 1
        assert "POST" not in {line.method for line in gateway.requests}
        assert vault_server.api("GET", f"{mount}/config")["data"]["max_versions"] == 0

    def test_rotate_now_for_one_key(self, rotator: Program) -> None:
        rotator.run("--once")
        run = rotator.run("--rotate-now", "--key", "Reporting", "--json")
        assert [(key["name"], key["reason"]) for key in run.json["keys"]] == [("Reporting", "forced")]

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--json"], "need --once, --rotate-now or --dry-run"),
            (["--key", "Reporting"], "need --once, --rotate-now or --dry-run"),
            (["--once", "--rotate-now"], "choose one"),
            (["--once", "sandbox"], "options of a pass do not apply to"),
            (["--once", "--log-level", "loud"], "'loud' is not one of"),
            (["--twice"], "--twice"),
            (["stauts"], "did you mean status?"),
            (["rotate"], "did you mean --rotate-now?"),
            (["help"], "did you mean --help?"),
            (["xyzzy"], "no such command: “xyzzy”; there are status, explain, check, keys, "),
            (["--once", f"--shard={'x' * 65}"], "is not a shard"),
        ],
    )
    def test_bad_usage_is_exit_code_2(self, rotator: Program, options: list[str], says: str) -> None:
        run = rotator.run(*options)
        assert run.code == 2
        assert says in run.err
        assert bool(run.out) == ("--json" in options)

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("Reportin", "“Reportin”: did you mean “Reporting”?"),
            ("Zzz", "“Zzz”: the config has: Production backend, Reporting"),
        ],
    )
    def test_a_name_that_no_managed_key_has(self, rotator: Program, name: str, says: str) -> None:
        run = rotator.run("--once", "--key", name)
        assert (run.code, run.out) == (2, "")
        assert run.events[-1]["faults"] == [says]

    def test_help_fits_a_tall_screen_and_leads_with_an_example(self, rotator: Program) -> None:
        text = rotator.run("--help", environ={"COLUMNS": "80"}).out
        assert len(text.splitlines()) <= 50
        assert max(map(len, text.splitlines())) <= 80
        assert text.index("rotator --dry-run") < text.index("Options:")
        assert "Exit codes: 0 converged" in text
        assert "\nMore:" not in text  # each command has its section


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
        ("content", "says"),
        [
            (b"\xff", "not UTF-8"),
            (None, "Is a directory"),
            (b"a b", "characters that cannot be in a key"),
        ],
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

    def test_kept_up_it_serves_who_exports_what_it_says(self, rotator: Program, needs: Needs) -> None:
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
            # Its usual ports may be taken.
            own = (
                f". {source}; export ROTATOR_VAULT__ADDRESS=$VAULT_ADDR; "
                f"exec {sys.executable} -m rotator $MODE --json --config {ROOT}/config/rotator.yaml"
            )
            example = [
                subprocess.run(
                    ["sh", "-c", own],
                    env={**rotator.environ, "MODE": mode},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                for mode in ("--rotate-now", "--once")
            ]
            assert [json.loads(one.stdout)["converged"] for one in example] == [True, True]
            told = [line.strip() for line in takewhile(lambda line: "delete sys/quotas" not in line, lines)]
            (page,) = [line.split()[1] for line in told if line.endswith("/switches")]
            with build_opener(ProxyHandler({})).open(page, timeout=20) as answer:
                shown = answer.read().decode().splitlines()
            quota = subprocess.run(
                ["sh", "-c", f". {source}; {told[-1]}"],
                env=rotator.environ,
                capture_output=True,
                text=True,
                check=False,
            )
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        assert process.returncode == 0
        assert not Path(source).exists()
        assert [f"– {switch.says}" for switch in SWITCHES] == [line for line in told if line.startswith("– ")]
        assert [line in shown for line in told if "/faults -H" in line] == [True], "the example is the page's"
        needs(QUOTAS)
        assert quota.stdout.startswith("Success!"), quota.stderr


class TestNothingLeaks:
    def test_not_in_arguments_nor_in_any_log_level(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer
    ) -> None:
        command = rotator.command("--once")
        assert not any(vault_server.token.reveal() in argument for argument in command)
        for format_ in ("json", "console"):
            gateway.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
            rotator.run("--rotate-now", "--log-level", "debug", "--log-format", format_)
        assert len(gateway.account.keys) >= 5  # the fixture searches what was printed

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
