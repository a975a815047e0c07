"""Cures walked with the real program and a real server: the error, what is printed, and the error gone."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from rotator.check import Finding, State, checking
from rotator.config import load
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer, find_binary
from tests.logins import Role
from tests.program import BACKEND, Program
from tests.proxy import Proxy
from tests.test_check_program import policy
from tests.vaults import new_kv, new_token

STATE: Final = "rotator/installation"


def commands(cure: str) -> list[str]:
    """Those that a cure prints."""
    return re.findall("`((?:vault|rotator) [^`]+)`", cure)


class Operator:
    """Does what is printed, with a token that may do all."""

    def __init__(self, server: VaultServer, directory: Path) -> None:
        self._environ = {"HOME": str(directory), "PATH": os.environ["PATH"]}
        for name in ("BAO", "VAULT"):
            self._environ |= {f"{name}_ADDR": server.address, f"{name}_TOKEN": server.token.reveal()}

    def does(self, command: str, **filled: str) -> str:
        """Run a printed command of Vault's; `filled` are the words that it leaves to who reads it."""
        for word, meant in filled.items():
            command = command.replace(word, meant)
        vault, *words = command.split()
        assert vault == "vault"
        ran = subprocess.run(
            [find_binary(), *words],
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def operator(vault_server: VaultServer, tmp_path: Path) -> Operator:
    return Operator(vault_server, tmp_path)


def wrong(rotator: Program, *options: str) -> str:
    """What a pass prints of what is wrong: the message and its cure. Nothing is printed where all is well."""
    done = rotator.run(*(options or ("--once",)), "--json")
    said = done.json
    errors = [said.get("error"), *(error for key in said.get("keys", ()) for error in key["errors"])]
    text = "\n".join(f"{error['message']}; {error['cure']}" for error in errors if error)
    assert bool(text) == (done.code != 0), done.out + done.err
    return text


def look(rotator: Program) -> dict[str, Finding]:
    """What `rotator check` finds and does not like, by the name of the check."""
    rotator.command()
    with checking(load(rotator.directory / "rotator.yaml", rotator.environ), rotator.environ) as found:
        return {name: finding for name, finding in found if finding.state in (State.BAD, State.NOTE)}


class TestTheIdentity:
    @pytest.mark.parametrize("command", range(2))
    def test_deleted(
        self, rotator: Program, vault_server: VaultServer, mount: str, operator: Operator, command: int
    ) -> None:
        rotator.run("--once")
        vault_server.api("DELETE", f"{mount}/data/{STATE}")
        said = wrong(rotator)
        assert "undelete it" in said
        assert str(look(rotator)["installation"].cure) in said
        self._walk(rotator, operator, commands(said)[command], mount)

    @pytest.mark.parametrize(
        "record", [{"installation": "x"}, {"installation": "0123ab", "bound": 5}], ids=["none", "unbound"]
    )
    @pytest.mark.parametrize("rolled_back", [True, False])
    def test_nonsense(
        self,
        rotator: Program,
        vault_server: VaultServer,
        mount: str,
        operator: Operator,
        record: Any,
        rolled_back: bool,
    ) -> None:
        rotator.run("--once")
        vault_server.api("POST", f"{mount}/data/{STATE}", {"data": record})
        said = wrong(rotator)
        assert "roll the secret back; " in said
        assert STATE in said
        self._walk(
            rotator,
            operator,
            f"vault kv rollback -mount={mount} -version=1 {STATE}" if rolled_back else commands(said)[-1],
            mount,
        )

    @pytest.mark.parametrize("change", ["add-address", "move", "renew"])
    def test_another_address(
        self, rotator: Program, vault_server: VaultServer, operator: Operator, mount: str, change: str
    ) -> None:
        rotator.run("--once")
        with Proxy(vault_server.address) as proxy:
            rotator.config["vault"]["address"] = proxy.address
            said = wrong(rotator)
            assert "another address of the same Vault" in said
            self._walk(rotator, operator, f"rotator installation {change}", mount, said)

    @pytest.mark.parametrize("change", ["move", "renew"])
    def test_another_mount(
        self, rotator: Program, vault_server: VaultServer, operator: Operator, mount: str, change: str
    ) -> None:
        rotator.run("--once")
        there = rotator.config["vault"]["mount"] = new_kv(vault_server)
        copied = vault_server.api("GET", f"{mount}/data/{STATE}")["data"]["data"]
        vault_server.api("POST", f"{there}/data/{STATE}", {"data": copied})
        said = wrong(rotator)
        assert "if it was moved, and no rotator uses the other Vault any more" in said
        self._walk(rotator, operator, f"rotator installation {change}", there, said)

    def test_not_bound_yet(self, rotator: Program, vault_server: VaultServer, mount: str) -> None:
        vault_server.api("POST", f"{mount}/data/{STATE}", {"data": {"installation": "0123ab"}})
        token, rotator.environ["VAULT_TOKEN"] = (
            rotator.environ["VAULT_TOKEN"],
            new_token(vault_server, policy(mount)).reveal(),
        )
        said = wrong(rotator)
        assert "with a token that may update it: `rotator installation move`; or grant" in said
        [change] = commands(said)
        assert rotator.run(*change.split()[1:], "--yes", environ={"VAULT_TOKEN": token}).code == 0
        assert wrong(rotator) == ""

    def _walk(
        self, rotator: Program, operator: Operator, command: str, mount: str, said: str | None = None
    ) -> None:
        assert said is None or f"`{command}`" in said
        if command.startswith("rotator "):
            assert rotator.run(*command.split()[1:], "--yes").code == 0
        else:
            operator.does(command, MOUNT=mount)
        assert wrong(rotator) == ""


class TestVaultsSetUp:
    def test_no_mount(self, rotator: Program, operator: Operator, mount: str) -> None:
        rotator.config["vault"]["mount"] = f"none-{uuid4().hex[:8]}"
        said = wrong(rotator)
        operator.does(commands(said)[0], MOUNT=rotator.config["vault"]["mount"])
        assert wrong(rotator) == ""

    def test_a_mount_of_version_1(self, rotator: Program, operator: Operator) -> None:
        name = rotator.config["vault"]["mount"] = f"v1-{uuid4().hex[:8]}"
        operator.does(f"vault secrets enable -path={name} -version=1 kv")
        operator.does(commands(wrong(rotator))[0])
        assert wrong(rotator) == ""

    def test_a_path_in_a_mount(self, rotator: Program, mount: str) -> None:
        rotator.config["vault"]["mount"] = f"{mount}/apimall"
        assert f"write only the mount, {mount}, in vault.mount" in wrong(rotator)
        rotator.config["vault"]["mount"] = mount
        assert wrong(rotator) == ""

    def test_a_mount_of_another_kind(self, rotator: Program, operator: Operator, mount: str) -> None:
        name = rotator.config["vault"]["mount"] = f"transit-{uuid4().hex[:8]}"
        operator.does(f"vault secrets enable -path={name} transit")
        assert f"{mount}/ " in operator.does(commands(wrong(rotator))[0])
        rotator.config["vault"]["mount"] = mount
        assert wrong(rotator) == ""

    def test_a_mount_that_is_hidden(
        self, rotator: Program, vault_server: VaultServer, operator: Operator, mount: str
    ) -> None:
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount)).reveal()
        rotator.config["vault"]["mount"] = "another"
        cure = look(rotator)["Vault mount"].cure or ""
        assert cure.startswith("check vault.mount against")
        assert f"{mount}/ " in operator.does(commands(cure)[0])
        rotator.config["vault"]["mount"] = mount
        assert look(rotator) == {}

    @pytest.mark.parametrize("on_the_mount", [True, False])
    def test_what_vault_deletes_by_itself(
        self, rotator: Program, operator: Operator, mount: str, on_the_mount: bool
    ) -> None:
        if on_the_mount:
            operator.does(f"vault write {mount}/config delete_version_after=1h")
        else:
            for path in (STATE, BACKEND):
                operator.does(f"vault kv metadata put -mount={mount} -delete-version-after=1h {path}")
        assert wrong(rotator) == ""
        for _ in range(5):  # the last finding of each name is shown, of one for each path
            for finding in look(rotator).values():
                for command in commands(finding.cure or ""):
                    operator.does(command)
        assert look(rotator) == {}

    def test_a_policy_that_is_not_enough(
        self, rotator: Program, vault_server: VaultServer, mount: str
    ) -> None:
        for lame, cure in (
            (policy(mount, managed='"read"'), "grant it in the token's policy"),
            (
                policy(mount, state='"create"'),
                "check that the token has not expired, and that its policy grants read on this path",
            ),
        ):
            rotator.environ["VAULT_TOKEN"] = new_token(vault_server, lame).reveal()
            assert cure in wrong(rotator)
            rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount)).reveal()
            assert wrong(rotator) == ""

    @pytest.mark.parametrize("options", [{"num_uses": 90}, {"ttl": "5m"}, {"ttl": "8h"}, None], ids=str)
    def test_a_token_is_issued_anew_as_printed(
        self,
        rotator: Program,
        vault_server: VaultServer,
        operator: Operator,
        mount: str,
        options: dict[str, object] | None,
    ) -> None:
        vault_server.api("PUT", "sys/policies/acl/rotator", {"policy": policy(mount)})
        token = new_token(vault_server, policy(mount), **options).reveal() if options else "s.mistyped"
        rotator.environ["VAULT_TOKEN"] = token
        [finding] = look(rotator).values()
        assert options or f"Vault does not accept the token in VAULT_TOKEN; {finding.cure}" == wrong(rotator)
        if options == {"ttl": "8h"}:
            assert "let an agent keep the token in a file, or let" in str(finding.cure)
            sink = rotator.directory / "token"
            sink.write_text(token)
            rotator.config["vault"]["auth"] = {"method": "token_file", "file": str(sink)}
        else:
            issued = operator.does(commands(finding.cure or "")[0])
            rotator.environ["VAULT_TOKEN"] = re.findall(r"^token +(\S+)", issued, re.MULTILINE)[0]
        assert look(rotator) == {}
        assert wrong(rotator) == ""

    def test_a_token_in_a_file_is_issued_anew_as_printed(
        self, rotator: Program, vault_server: VaultServer, operator: Operator, mount: str
    ) -> None:
        vault_server.api("PUT", "sys/policies/acl/rotator", {"policy": policy(mount)})
        sink = rotator.directory / "token"
        sink.write_text("s.expired")
        rotator.config["vault"]["auth"] = {"method": "token_file", "file": str(sink)}
        cure = look(rotator)["Vault login"].cure or ""
        sink.write_text(re.findall(r"^token +(\S+)", operator.does(commands(cure)[0]), re.MULTILINE)[0])
        assert look(rotator) == {}

    @pytest.mark.parametrize("options", [{"num_uses": 90}, {"ttl": "5m"}], ids=str)
    def test_a_pass_with_a_token_that_will_not_do(
        self,
        rotator: Program,
        vault_server: VaultServer,
        operator: Operator,
        mount: str,
        options: dict[str, object],
    ) -> None:
        rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount), **options).reveal()
        said = wrong(rotator)
        if "ttl" in options:
            assert "renew it, log in again, or raise the token_ttl" in said
            rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount), ttl="1h").reveal()
        else:
            assert "make a token without num_uses, or let the rotator log in" in said
            rotator.environ["VAULT_TOKEN"] = new_token(vault_server, policy(mount)).reveal()
        assert wrong(rotator) == ""

    def test_logins(
        self, rotator: Program, vault_server: VaultServer, operator: Operator, mount: str
    ) -> None:
        role = Role(vault_server, policy(mount))
        rotator.config["vault"]["auth"] = {"method": "approle", "mount": role.mount}
        rotator.environ |= {"VAULT_ROLE_ID": role.role_id.reveal(), "VAULT_SECRET_ID": "of-nobody"}
        said = look(rotator)["Vault login"].cure or ""
        assert "the secret id has expired or is used up; issue another one:" in said
        issued = operator.does(commands(said)[0], ROLE="rotator")
        rotator.environ["VAULT_SECRET_ID"] = re.findall(r"^secret_id +(\S+)", issued, re.MULTILINE)[0]
        assert look(rotator) == {}
        role.set(token_ttl="5m")
        assert look(rotator)["Vault token"].cure == "raise the token_ttl of its role"
        role.set(token_ttl="1h")
        assert look(rotator) == {}

    def test_a_wrapped_secret_id_that_was_used(
        self, rotator: Program, vault_server: VaultServer, operator: Operator, mount: str
    ) -> None:
        role = Role(vault_server, policy(mount))
        path = f"{role.path}/secret-id"
        rotator.config["vault"]["auth"] = {
            "method": "approle",
            "mount": role.mount,
            "secret_id_response_wrapping_path": path,
        }
        stolen = role.wrapped().reveal()
        vault_server.api("POST", "sys/wrapping/unwrap", token=stolen)
        rotator.environ |= {"VAULT_ROLE_ID": role.role_id.reveal(), "VAULT_SECRET_ID": stolen}
        listing, destroying = commands(look(rotator)["Vault login"].cure or "")
        accessor = operator.does(listing).split()[-1]
        operator.does(destroying.replace("…", accessor))
        rotator.environ["VAULT_SECRET_ID"] = role.wrapped().reveal()
        assert look(rotator) == {}
        assert wrong(rotator) == ""


@pytest.mark.parametrize(
    ("check", "cure", "before", "after"),
    [
        (
            "grace periods",
            "write a longer grace_period, such as 24h",
            {"defaults": {"grace_period": "5m", "allow_short": True}},
            {"defaults": {"grace_period": "24h"}},
        ),
        (
            "schedule",
            "write a longer rotation_window, or a shorter schedule.every",
            {
                "defaults": {"rotation_window": "5m"},
                "keys": [{"name": "A", "path": "a", "rotation_schedule": "0 3 * * *"}],
            },
            {
                "defaults": {"rotation_window": "1h"},
                "keys": [{"name": "A", "path": "a", "rotation_schedule": "0 3 * * *"}],
            },
        ),
        (
            "schedule",
            "write a longer rotation_period, or a shorter schedule.every",
            {"schedule": {"every": "8d"}},
            {"schedule": {"every": "1d"}},
        ),
        (
            "titles",
            "shorten title_template before the first pass, or the names of keys",
            {
                "title_template": "{name} [{installation}-{nonce}]" + "x" * 170,
                "keys": [{"name": "A" * 64, "path": "a"}],
            },
            {"title_template": "{name} [{installation}-{nonce}]", "keys": [{"name": "A" * 64, "path": "a"}]},
        ),
        ("Vault TLS", "check vault.address (", {"vault": {"address": "http://127.0.0.1:1"}}, {}),
        (
            "Vault DNS",
            "check vault.address, and this machine's name servers",
            {"vault": {"address": "https://nobody.invalid"}},
            {},
        ),
        (
            "gateway TLS",
            "check the port and the scheme of the URL",
            {"gateway": {"url": "https://127.0.0.1:PORT/api/v1"}},
            {},
        ),
        (
            "gateway access",
            "base URL, which ends in /api/v1",
            {"gateway": {"url": "http://127.0.0.1:PORT/other"}},
            {},
        ),
        (
            "bearer",
            "put an API key of the account into one of them",
            {"gateway": {"api_key": {"file": "/nowhere"}}},
            {},
        ),
        (
            "Vault login",
            "the namespace does not exist; correct or unset vault.namespace or VAULT_NAMESPACE",
            {"vault": {"namespace": "nowhere"}},
            {},
        ),
        (
            "Vault TLS",
            "name PEM files in vault.ca_cert",
            {"vault": {"address": "https://127.0.0.1:1", "ca_cert": __file__}},
            {},
        ),
    ],
)
def test_check_says_what_to_write(
    rotator: Program,
    gateway: GatewayServer,
    check: str,
    cure: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    given = {
        name: dict(block) if isinstance(block, dict) else block for name, block in rotator.config.items()
    }
    for name, block in before.items():
        text = block.copy() if isinstance(block, dict) else block
        if isinstance(text, dict) and "PORT" in text.get("url", ""):
            text["url"] = text["url"].replace("PORT", str(gateway.port))
        rotator.config[name] = {**given.get(name, {}), **text} if isinstance(text, dict) else text
    assert cure in str(look(rotator)[check].cure)
    rotator.config = given | after
    assert look(rotator) == {}


class TestCredentials:
    def test_the_bearer(self, rotator: Program, gateway: GatewayServer) -> None:
        key = rotator.environ.pop("APIMALL_API_KEY")
        file = rotator.directory / "bearer"
        rotator.config["gateway"]["api_key"] = {"file": str(file)}
        assert f"there is no key in gateway.api_key.file {file}: No such file or directory; put an" in wrong(
            rotator
        )
        for content, cure in (
            (b"two words", "holds characters that cannot be in a key; store the key alone there"),
            (b"\xff", "is not UTF-8; write the key alone into it"),
            (
                b"sk-" + b"0" * 48,
                f"the bearer in gateway.api_key.file {file} is mistyped or revoked; put a live key there",
            ),
        ):
            file.write_bytes(content)
            said = wrong(rotator)
            assert cure in said
            assert "0000" not in said
        file.unlink()
        file.mkdir()
        assert (
            f"gateway.api_key.file {file}: Is a directory; make it a file that this user can read"
            in wrong(rotator)
        )
        file.rmdir()
        file.write_text(key)
        assert wrong(rotator) == ""

    def test_a_token_in_a_file(self, rotator: Program) -> None:
        token, sink = rotator.environ.pop("VAULT_TOKEN"), rotator.directory / "sink"
        rotator.config["vault"]["auth"] = {"method": "token_file", "file": str(sink)}
        assert "mount the file, and check that the program that writes it is running" in str(
            look(rotator)["Vault login"].cure
        )
        for content, cure in (
            (b"a b", "store the credential alone"),
            (b"\xff", "write the credential alone into it"),
        ):
            sink.write_bytes(content)
            assert look(rotator)["Vault login"].cure == cure
        sink.unlink()
        sink.mkdir()
        assert look(rotator)["Vault login"].cure == "make it a file that this user can read"
        sink.rmdir()
        sink.write_text(token)
        assert look(rotator) == {}


def test_the_metrics_file(rotator: Program, tmp_path: Path) -> None:
    rotator.config["metrics"] = {"textfile": str(tmp_path / "below" / "r.prom")}
    [told] = [event for event in rotator.run("--once").events if event["event"] == "metrics.unpublished"]
    assert f"metrics.textfile {tmp_path}/below/r.prom: " in told["error"]
    assert told["cure"] == "create the directory, and let this user write to it"
    (tmp_path / "below").mkdir()
    assert "metrics.unpublished" not in rotator.run("--once").err
