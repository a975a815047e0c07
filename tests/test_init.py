"""`rotator init` as a process, against a real Vault-API server and the sandbox's gateway over HTTP."""

import re
import subprocess
import sys
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from rotator.passes import survey
from rotator.rules.model import Version
from rotator.rules.previews import Previews
from rotator.sandbox.ledger import AccountKey
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import DEPLOY, debian_tool
from tests.program import ROOT, Finished, Program
from tests.vaults import new_token
from tests.world import ANY_CLOCK

POLICY = (DEPLOY / "vault/init.hcl").read_text()


class Newcomer:
    """A directory without a config, and what a newcomer has in the environment."""

    def __init__(self, rotator: Program, gateway: GatewayServer, vault: VaultServer, mount: str) -> None:
        self._rotator, self.gateway, self.vault, self.mount = rotator, gateway, vault, mount
        self.directory = rotator.directory / "new"
        self.directory.mkdir()
        self.config, self.policy = (self.directory / name for name in ("rotator.yaml", "rotator.hcl"))
        self.environ = {
            **rotator.environ,
            "VAULT_ADDR": vault.address,
            "VAULT_TOKEN": new_token(vault, POLICY.replace('"secret/', f'"{mount}/')).reveal(),
            "ROTATOR_CLOCK_TOLERANCE": ANY_CLOCK,
        }

    def run(self, *options: str, **environ: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "rotator", *options],
            env=self.environ | environ,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self._rotator.runs.append(Finished(done.returncode, done.stdout, done.stderr))
        return self._rotator.runs[-1]

    def init(self, *options: str, **environ: str) -> Finished:
        return self.run("init", "--mount", self.mount, "--gateway-url", self.gateway.url, *options, **environ)

    def proposed(self, *options: str, **environ: str) -> Any:
        done = self.init("--json", *options, **environ)
        assert done.code == 0, done.out + done.err
        return done.json

    def store(self, path: str, **fields: object) -> None:
        self.vault.api("POST", f"{self.mount}/data/{quote(path)}", {"data": fields})

    def stored(self, path: str, title: str, field: str = "api_key") -> AccountKey:
        key = self.gateway.account.create(title)
        self.store(path, **{field: key.plaintext}, owner="x")
        return key


@pytest.fixture
def newcomer(rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str) -> Newcomer:
    return Newcomer(rotator, gateway, vault_server, mount)


def paths(body: Any) -> list[str]:
    return [one["path"] for one in body["entries"]]


class TestFromNothingToAPass:
    def test_what_is_proposed_loads_passes_check_and_a_whole_pass(
        self, newcomer: Newcomer, vault_server: VaultServer
    ) -> None:
        odd = 'team a/ключ "1" $x: {y} & co'
        keys = [
            newcomer.stored("apimall/web", "Production backend"),
            newcomer.stored("apimall/batch", "Reporting", "APIMALL_API_KEY"),
            newcomer.stored(odd, "x\n- name: evil"),
        ]
        done = newcomer.init("--write")
        assert done.code == 0, done.err
        assert "rotator.yaml was written" in done.out
        config = yaml.safe_load(newcomer.config.read_text())
        assert [(one["path"], one.get("field")) for one in config["keys"]] == [
            ("apimall/batch", "APIMALL_API_KEY"),
            ("apimall/web", None),
            (odd, None),
        ]
        policy = newcomer.policy.read_text()
        assert f'path "{newcomer.mount}/data/apimall/*"' in policy
        daemon = new_token(vault_server, policy).reveal()
        as_daemon = {"ROTATOR_CONFIG": "rotator.yaml", "VAULT_TOKEN": daemon}
        checked = newcomer.run("check", "--json", **as_daemon)
        assert checked.code == 0, checked.out
        passed = newcomer.run("--rotate-now", "--json", **as_daemon)
        assert passed.code == 0, passed.out + passed.err
        assert passed.json["rotated"] == 3
        assert '"status": 403' not in passed.err
        assert newcomer.gateway.account.keys[-1].id > keys[-1].id

    def test_nothing_is_written_unless_it_is_asked_for(self, newcomer: Newcomer) -> None:
        newcomer.stored("apimall/web", "Web")
        before = newcomer.gateway.requests
        done = newcomer.init()
        assert list(newcomer.directory.iterdir()) == []
        assert "rotator.yaml is not there yet, and was not written." in done.out
        assert "  - name: Web\n    path: apimall/web\n" in done.out
        assert "#   vault policy write rotator rotator.hcl\n" in done.out
        assert (
            f"rotator init --gateway-url {newcomer.gateway.url} --mount {newcomer.mount} --write" in done.out
        )
        assert {request.method for request in newcomer.gateway.requests[len(before) :]} == {"GET"}

    def test_an_empty_mount(self, newcomer: Newcomer, vault_server: VaultServer) -> None:
        done = newcomer.init("--write")
        assert done.code == 0, done.err
        assert f"0 secrets below {newcomer.mount}/: there is no key to manage.\n" in done.out
        assert yaml.safe_load(newcomer.config.read_text())["keys"] == [
            {"name": "Example", "path": "apimall/example"}
        ]
        daemon = new_token(vault_server, newcomer.policy.read_text()).reveal()
        done = newcomer.run("--once", "--json", ROTATOR_CONFIG="rotator.yaml", VAULT_TOKEN=daemon)
        assert (done.code, done.json["rotated"]) == (0, 1)


class TestRunAgain:
    @pytest.fixture
    def begun(self, newcomer: Newcomer) -> Newcomer:
        newcomer.stored("apimall/web", "Web")
        assert newcomer.init("--write").code == 0
        return newcomer

    def test_nothing_is_new(self, begun: Newcomer) -> None:
        body = begun.proposed()
        assert (body["entries"], body["config"]["diff"], body["policy"]["diff"]) == ([], "", "")
        out = begun.init().out
        assert ": 1 managed already; there is no key to add.\n" in out
        assert "rotator.yaml is there, and needs no change." in out
        assert "--write" not in out

    def test_what_is_new_is_a_diff_that_patch_takes(self, begun: Newcomer) -> None:
        begun.stored("team/batch", "Batch", "token")
        before = begun.config.read_text()
        done = begun.init("--write")
        assert begun.config.read_text() == before
        assert f"2 secrets below {begun.mount}/: 1 managed already; 1 key to add.\n" in done.out
        assert "rotator.yaml is there, and was left as it is: the changes follow." in done.out
        assert re.findall(r"^[+-] .*", done.out, re.MULTILINE) == [
            "+  - name: Batch",
            "+    path: team/batch",
            "+    field: token",
        ]
        patch = debian_tool("patch", "patch")
        subprocess.run([patch, "-p0"], input=done.out, text=True, cwd=begun.directory, check=True)
        body = begun.proposed()
        assert (body["entries"], body["config"]["diff"], body["policy"]["diff"]) == ([], "", "")
        assert [one["name"] for one in yaml.safe_load(begun.config.read_text())["keys"]] == ["Web", "Batch"]

    def test_what_is_outside_is_left_out_and_counted(self, begun: Newcomer) -> None:
        begun.stored("team/search", "Search")
        out = begun.init("--under", "team").out
        assert "0 managed already; 1 key to add.\n" in out
        assert "# 1 key of the config outside of it: not looked at, and left as it is there.\n" in out
        assert "# Left out: 1 live key. To look in the whole mount, leave out --under.\n" in out

    def test_an_absolute_path(self, begun: Newcomer) -> None:
        begun.stored("team/batch", "Batch")
        done = begun.init("--config", str(begun.config))
        assert "| patch -p1 -d /\n" in done.out
        patch = debian_tool("patch", "patch")
        subprocess.run([patch, "-p1", "-d", "/"], input=done.out, text=True, check=True)
        assert "Batch" in begun.config.read_text()

    def test_an_entry_without_a_secret_is_named(self, begun: Newcomer) -> None:
        begun.vault.api("DELETE", f"{begun.mount}/data/apimall/web")
        assert begun.proposed()["gone"] == [{"name": "Web", "path": "apimall/web"}]
        assert '# - "Web", at "apimall/web": a pass makes a key' in begun.init().out

    def test_a_config_that_patch_cannot_be_told_to_change(self, begun: Newcomer) -> None:
        config = yaml.safe_load(begun.config.read_text())
        begun.config.write_text(yaml.safe_dump(config, default_flow_style=True))
        begun.stored("team/batch", "Batch")
        out = begun.init().out
        assert "# Add to `keys`, in the config's own style:\n#   - name: Batch\n" in out

    def test_a_persons_token_counts_however_the_rotator_logs_in(self, begun: Newcomer) -> None:
        config = yaml.safe_load(begun.config.read_text())
        config["vault"]["auth"] = {"method": "approle", "mount": "approle"}
        config["webhook"] = {"url": "https://hooks.example.com/", "secret": {"env": "NOT_HERE"}}
        begun.config.write_text(yaml.safe_dump(config))
        assert begun.proposed(ROTATOR_VAULT__AUTH__METHOD="jwt")["config"]["exists"]

    def test_options_that_the_config_answers(self, begun: Newcomer) -> None:
        done = begun.run("init", "--mount", "other")
        assert done.code == 2
        assert "--mount: the config says otherwise; leave it out" in done.err
        assert begun.run("init").code == 0

    def test_a_config_with_faults(self, begun: Newcomer) -> None:
        begun.config.write_text(begun.config.read_text() + "pass_deadline: 5\n")
        done = begun.init()
        assert (done.code, "5 has no unit" in done.err) == (2, True)


class TestQuestions:
    def test_what_is_not_certain_is_for_a_person(self, newcomer: Newcomer) -> None:
        newcomer.stored("one", "One")
        twice = newcomer.stored("copy/a", "Twice")
        newcomer.store("copy/b", api_key=twice.plaintext)
        newcomer.store("bearer", api_key=newcomer.gateway.account.bootstrap.plaintext)
        newcomer.stored("a#b", "Odd")
        lonely = newcomer.gateway.account.create("Lonely")
        body = newcomer.proposed()
        assert paths(body) == ["one"]
        assert {(one["doubt"], *one["paths"]) for one in body["questions"]} == {
            ("bearer", "bearer"),
            ("unfit", "a#b"),
            ("many_places", "copy/a", "copy/b"),
        }
        assert body["unstored"] == [{"key_id": lonely.id, "title": "Lonely"}]
        text = body["config"]["text"]
        assert f'# - key {lonely.id}, "Lonely"\n' in text
        assert "# To decide:\n" in text

    def test_secrets_that_hold_no_key(self, newcomer: Newcomer) -> None:
        newcomer.store("numbers", api_key=5, other=["a"], deep={"b": "c"})
        newcomer.store("empty")
        newcomer.store("huge", api_key="x" * 1_000_000)
        newcomer.stored("deleted", "Deleted")
        newcomer.vault.api("DELETE", f"{newcomer.mount}/data/deleted")
        newcomer.vault.api("POST", f"{newcomer.mount}/metadata/bare", {"max_versions": 3})
        body = newcomer.proposed()
        assert (body["entries"], body["looked_at"], body["unread"]) == ([], 5, [])

    def test_its_own_records_are_no_secrets_of_somebodys(self, newcomer: Newcomer) -> None:
        newcomer.stored("web", "Web")
        newcomer.store("rotator/installation", installation="abcdef")
        newcomer.store("rotator/claims/web", kept=[])
        assert newcomer.proposed()["looked_at"] == 1


class TestWhatIsRefused:
    def test_a_mount_that_may_not_be_listed(self, newcomer: Newcomer, vault_server: VaultServer) -> None:
        newcomer.stored("apimall/web", "Web")
        lines = [line for line in POLICY.splitlines() if "metadata" not in line]
        policy = "\n".join(lines).replace('"secret/', f'"{newcomer.mount}/')
        for more in ("", f'path "{newcomer.mount}/metadata/apimall/*" {{ capabilities = ["list"] }}'):
            newcomer.environ["VAULT_TOKEN"] = new_token(vault_server, f"{policy}\n{more}").reveal()
            done = newcomer.init()
            assert done.code == 3
            assert f"the Vault token lacks list on {newcomer.mount}/metadata/;" in done.err
            assert "--under" in done.err
            assert "rotator check" not in done.err
        assert paths(newcomer.proposed("--under", "apimall/")) == ["apimall/web"]

    def test_some_of_it(self, newcomer: Newcomer, vault_server: VaultServer) -> None:
        for path in ("open/web", "closed/web", "hidden/web"):
            newcomer.stored(path, path)
        deny = "".join(
            f'path "{newcomer.mount}/{path}*" {{ capabilities = ["deny"] }}\n'
            for path in ("data/closed/", "metadata/hidden/")
        )
        newcomer.environ["VAULT_TOKEN"] = new_token(
            vault_server, POLICY.replace('"secret/', f'"{newcomer.mount}/') + deny
        ).reveal()
        body = newcomer.proposed()
        assert paths(body) == ["open/web"]
        assert (body["unread"], body["unlisted"]) == (["closed/web"], ["hidden"])

    def test_no_mount_and_one_of_version_1(self, newcomer: Newcomer, vault_server: VaultServer) -> None:
        done = newcomer.run("init", "--mount", "nowhere", "--gateway-url", newcomer.gateway.url)
        assert (done.code, "name another one with --mount" in done.err) == (3, True)
        done = newcomer.init(VAULT_TOKEN="of-nobody")
        assert (done.code, "  vault token lookup\n" in done.err) == (3, True)
        vault_server.api("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        newcomer.environ["VAULT_TOKEN"] = vault_server.token.reveal()
        done = newcomer.run("init", "--mount", "old", "--gateway-url", newcomer.gateway.url)
        vault_server.api("DELETE", "sys/mounts/old")
        assert (done.code, "vault kv enable-versioning old/" in done.err) == (3, True)

    @pytest.mark.parametrize("name", ["VAULT_ADDR", "VAULT_TOKEN", "APIMALL_API_KEY"])
    def test_what_a_newcomer_has_not_set(self, newcomer: Newcomer, name: str) -> None:
        del newcomer.environ[name]
        done = newcomer.init()
        assert done.code == 2
        assert f"environment {name}: is missing" in done.err
        assert "Traceback" not in done.err

    def test_a_cure_names_an_option_while_there_is_no_config(self, newcomer: Newcomer) -> None:
        done = newcomer.run("init", "--gateway-url", "http://127.0.0.1:1/api/v1")
        assert (done.code, "check --gateway-url (http://127.0.0.1:1/" in done.err) == (3, True)
        done = newcomer.init(APIMALL_API_KEY=f"sk-{'0' * 48}")
        assert (done.code, "the bearer in APIMALL_API_KEY is mistyped" in done.err) == (3, True)

    def test_a_place_that_cannot_be_written(self, newcomer: Newcomer) -> None:
        done = newcomer.init("--config", "no/such/dir/rotator.yaml", "--write")
        assert (done.code, "make its directory" in done.err) == (3, True)
        done = newcomer.init("--config", str(newcomer.directory))
        assert (done.code, "name another with --config" in done.err) == (2, True)

    def test_a_path_that_is_none(self, newcomer: Newcomer) -> None:
        assert newcomer.init("--under", "a//b").code == 2
        body = newcomer.proposed("--under", "nothing/here")
        assert (body["looked_at"], body["entries"]) == (0, [])


def capabilities() -> list[tuple[str, str]]:
    lines = re.findall(r'^path "([^"]+)" +\{ capabilities = \["(\w+)"\] \}$', POLICY, re.MULTILINE)
    assert len(lines) == POLICY.count("\npath ")
    return lines


def test_the_page_shows_the_policy() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    lines = [line for line in POLICY.splitlines() if line.startswith("path ")]
    assert "```\n{}\n```".format("\n".join(lines)) in page


@pytest.mark.parametrize(("path", "name"), capabilities())
def test_each_line_of_the_policy_for_a_person_is_needed(
    newcomer: Newcomer, vault_server: VaultServer, path: str, name: str
) -> None:
    newcomer.stored("web", "Web")
    policy = "\n".join(line for line in POLICY.splitlines() if f'"{path}"' not in line)
    newcomer.environ["VAULT_TOKEN"] = new_token(
        vault_server, policy.replace('"secret/', f'"{newcomer.mount}/')
    ).reveal()
    done = newcomer.init("--json")
    if name == "list":
        assert (done.code, "lacks list" in done.json["error"]["message"]) == (3, True)
    else:
        assert (done.code, done.json["unread"], done.json["entries"]) == (0, ["web"], [])


def test_it_is_bounded() -> None:
    """A thousand secrets are looked at; that there are more is said."""

    class Endless:
        listed = read_ = 0

        def check_mount(self) -> None:
            pass

        def list(self, folder: str) -> list[str]:
            self.listed += 1
            return [f"{n}" for n in range(300)] + ["deeper/"]

        def read(self, path: str) -> Any:
            self.read_ += 1
            return Version(0, None)

    vault: Any = Endless()
    seen = survey.look_around(vault, "m", "", Previews([]), "b", state_path="rotator/id", workers=1)
    assert (len(seen.paths), seen.cut, vault.read_, vault.listed) == (1_000, True, 1_000, 4)
    vault.list = lambda folder: ["deeper/"]
    seen = survey.look_around(vault, "m", "", Previews([]), "b", state_path="rotator/id", workers=1)
    assert (len(seen.paths), seen.cut) == (0, True)
