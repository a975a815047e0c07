"""The real program when something is wrong, or when it is told to stop."""

import json
import re
import signal
import subprocess
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from rotator.sandbox.faults import ALWAYS, GARBAGE, Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import until
from tests.program import BACKEND, Program, secret
from tests.vaults import new_token


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
        assert run.err.endswith("to test everything that a pass needs:\n  rotator check\n")

    def test_a_refused_vault_token(self, rotator: Program, gateway: GatewayServer) -> None:
        run = rotator.run("--once", "--log-format", "console", environ={"VAULT_TOKEN": "s.nonsense"})
        assert run.code == 3
        assert "Vault does not accept the token in VAULT_TOKEN" in run.err
        assert len(gateway.account.keys) == 1

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
        assert len(gateway.account.keys) == 1

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
        assert [key.title[:9] for key in gateway.account.keys] == ["bootstrap", "Reporting"]

    def test_a_token_about_to_expire(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer
    ) -> None:
        root = 'path "*" { capabilities = ["create", "read", "update"] }'
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, root, ttl="2m").reveal()
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 3
        assert "before a rotation can be sure to end (it may take 6m); nothing was created" in run.err
        assert len(gateway.account.keys) == 1

    @pytest.mark.parametrize("name", ["html", "cut json", "success is false", "id is text", "data is null"])
    def test_a_gateway_that_answers_garbage(
        self, rotator: Program, gateway: GatewayServer, name: str
    ) -> None:
        gateway.faults.add(Fault("GET /keys", GARBAGE[name], at=Phase.AFTER, times=ALWAYS))
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 3
        assert "rotator: GET /keys: the answer breaks the contract: " in run.err
        assert "Traceback" not in run.err
        assert len(gateway.account.keys) == 1

    def test_a_bookkeeping_edited_into_nonsense(
        self, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        rotator.run("--once")
        stored = secret(vault_server, mount, BACKEND)
        blocks: list[Any] = [
            {**stored["rotation"], "key_id": {}},
            {**stored["rotation"], "superseded": {"x": 1}},
        ]
        for nonsense in blocks:
            vault_server.api("POST", f"{mount}/data/{BACKEND}", {"data": {**stored, "rotation": nonsense}})
            run = rotator.run("--once")
            assert run.code == 0
            assert "! Production backend: the rotator cannot read the secret's bookkeeping" in run.out
            adopted = nonsense is blocks[0]
            assert (f"Production backend  {'adopted' if adopted else 'ok'}") in run.out
            assert secret(vault_server, mount, BACKEND)["rotation"]["key_id"] == stored["rotation"]["key_id"]


def has_a_signal_waiting(pid: int) -> bool:
    """Whether a process was sent one that it has not taken yet."""
    status = Path(f"/proc/{pid}/status").read_text()
    [waiting] = re.findall(r"^ShdPnd:\s+([0-9a-f]+)$", status, re.MULTILINE)
    return int(waiting, 16) != 0


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
        until(lambda: not has_a_signal_waiting(process.pid))
        go_on.set()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert '"outcome": "done"' in out
        assert '"outcome": "stopped"' in out
        made = [key for key in gateway.account.keys if key.title != "bootstrap"]
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
        assert "the URL says https, but the server does not speak TLS" in run.err
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
