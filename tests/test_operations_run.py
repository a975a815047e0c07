"""docs/operations.md: what it says to type is typed here, and does what it says."""

import os
import re
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import VENV, debian_tool
from tests.manifests import Resource, each
from tests.program import BACKEND, ROOT, Program
from tests.test_vault_setup import Administrator

TEXT = (ROOT / "docs/operations.md").read_text()
LEAK = ["--rotate-now", "--revoke-old-now", "--yes", "--key=Production backend"]
KUBECTL = """#!/bin/sh
case "$*" in
"-n rotator create job by-hand --from=cronjob/rotator --dry-run=client -o yaml") cat "{directory}/job.yaml" ;;
patch*) exec "{kubectl}" "$@" ;;
"create -f -") cat > "{directory}/created.yaml" ;;
*) exit 9 ;;
esac
"""
"""In a cluster that has nothing but the CronJob; what would be created is left in a file."""


def blocks(heading: str) -> list[str]:
    """The blocks of code below a heading, as they are typed."""
    section = re.split(r"^##+ ", TEXT.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.M)[0]
    found = re.findall(r"^( *)```\n(.*?)^\1```", section, re.M | re.S)
    return [re.sub(f"^{indent}", "", block, flags=re.M) for indent, block in found]


def typed(*words: str, directory: Path, **exports: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(words)],
        env={"PATH": f"{directory}:{os.defpath}", "HOME": str(directory), **exports},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class TestAJobByHand:
    @pytest.fixture(params=["cronjob", "sharded"])
    def template(self, request: pytest.FixtureRequest, tmp_path: Path) -> Resource:
        [cron_job] = deepcopy(each(request.param, "CronJob"))
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "by-hand", "namespace": "rotator"},
        }
        job |= {"spec": cron_job["spec"]["jobTemplate"]["spec"]}
        (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(KUBECTL.format(directory=tmp_path, kubectl=VENV / "kubectl"))
        kubectl.chmod(0o755)
        return job

    def _created(
        self, template: Resource, directory: Path, change: str = "", arguments: str = ""
    ) -> Resource:
        [function] = re.findall(r"^by_hand\(\) \{.*?^\}", blocks("Run a command")[0], re.M | re.S)
        function = function.replace("""'[{"op":""", f"""'[{change}{{"op":""") if change else function
        done = typed(function, f"by_hand '{arguments}'", directory=directory)
        assert (done.returncode, done.stderr) == (0, "")
        return dict(yaml.safe_load((directory / "created.yaml").read_text()))

    @pytest.mark.parametrize("told", re.findall(r"^ *by_hand '(.*)'$", TEXT, re.M))
    def test_it_is_the_cronjobs_but_for_its_arguments(
        self, template: Resource, tmp_path: Path, told: str
    ) -> None:
        created = self._created(template, tmp_path, arguments=told)
        [only] = created["spec"]["template"]["spec"]["containers"]
        assert only["args"] in (["--dry-run"], LEAK)
        [its] = template["spec"]["template"]["spec"]["containers"]
        only["args"] = its["args"]
        assert created == template

    @pytest.mark.parametrize("template", ["sharded"], indirect=True)
    def test_where_one_pod_is_enough(self, template: Resource, tmp_path: Path) -> None:
        [change] = re.findall(r'^`(\{"op".*\}, )` before', TEXT, re.M)
        created = self._created(template, tmp_path, change, '["check"]')
        assert created["spec"]["completions"] == 1

    def test_a_leak_is_among_what_was_typed(self) -> None:
        """And the same for the other kinds, but for the quotes."""
        [block] = blocks("A key has leaked")
        commands = [line for line in block.splitlines() if line and line[0] != "#"]
        options = " ".join(LEAK).replace("--key=Production backend", "--key 'Production backend'")
        assert len(commands) == 3
        assert [command.endswith(f" rotator {options}") for command in commands] == [True, False, True]
        assert commands[1] == "by_hand '" + str(LEAK).replace("'", '"') + "'"


class Shell(Program):
    """What is typed into a shell, where `rotator` is the program."""

    def command(self, *options: str) -> list[str]:
        path = Path(super().command()[-1])
        self.environ |= {"ROTATOR_CONFIG": str(path), "PATH": f"{VENV}:{os.defpath}"}
        return ["bash", "-c", f"cd {path.parent} && {options[0]}"]


def test_what_a_scanner_found_is_ended_as_it_is_told(
    rotator: Program, gateway: GatewayServer, leaked: int
) -> None:
    shell = Shell(rotator.directory, rotator.config, rotator.environ, rotator.runs)
    found = rotator.directory / "found.txt"
    found.write_text(next(key.plaintext for key in gateway.account.keys if key.id == leaked))
    [block] = blocks("A scanner found a key")
    *lines, remove = block.splitlines()
    ran = [shell.on_a_terminal(line, answer="y\n") for line in lines]
    assert [run.code for run in ran] == [1, 0, 0, 0]
    shown = [run.out for run in ran]
    assert "the current key of Production backend" in shown[0]
    assert f"key {leaked} would be revoked without grace" in shown[1]
    assert f"revoked {leaked}" in shown[2]
    assert "it is dead: there is nothing to do" in shown[3]
    assert not next(key for key in gateway.account.keys if key.id == leaked).live
    assert typed(remove, directory=rotator.directory).returncode == 0
    assert not found.exists()


class TestUninstall:
    @pytest.fixture
    def vault_server(self) -> Iterator[VaultServer]:
        with VaultServer() as server:
            yield server

    @pytest.fixture
    def mount(self) -> str:
        return "secret"

    def test_nothing_is_left_but_what_is_not_the_rotators(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, tmp_path: Path
    ) -> None:
        for tool in ("jq", "curl"):
            debian_tool(tool, tool)
        account, revoke, remove = gateway.account, *blocks("Uninstall")
        keys = rotator.config["keys"]
        rotator.config["keys"] = [*keys, {"name": "Gone", "path": "apimall/gone"}]
        assert rotator.run("--once").code == 0
        rotator.config["keys"] = keys
        assert rotator.run("--rotate-now").code == 0
        theirs = account.create("by hand")
        bearer = account.bootstrap
        assert sum(key.live for key in account.keys) == 7
        (tmp_path / "status.json").write_text(rotator.run("status", "--json").out)
        exports = {"GATEWAY": gateway.url, "APIMALL_API_KEY": bearer.plaintext, "no_proxy": "127.0.0.1"}
        done = typed(revoke, directory=tmp_path, **exports)
        assert (done.returncode, done.stderr) == (0, "")
        assert {key.id for key in account.keys if key.live} == {bearer.id, theirs.id}
        again = typed(revoke, directory=tmp_path, **{**exports, "APIMALL_API_KEY": theirs.plaintext[::-1]})
        assert again.stderr.count("is left") == 5, "one that is not revoked is named"

        administrator = Administrator(vault_server, tmp_path)
        assert administrator.set_up("approle").returncode == 0
        administrator.read(f"secret/metadata/{BACKEND}")
        exports = {"VAULT_ADDR": vault_server.address, "VAULT_TOKEN": vault_server.token.reveal()}
        assert "# or auth/approle/role/rotator" in remove
        done = typed(remove.replace("kubernetes", "approle"), directory=tmp_path, **exports)
        assert (done.returncode, done.stderr) == (0, "")
        left = typed("vault policy list; vault kv list secret/", directory=tmp_path, **exports)
        assert "rotator\n" not in left.stdout.partition("Keys")[0]
        for path in (f"secret/metadata/{BACKEND}", "secret/metadata/rotator/installation"):
            gone = typed(f"vault read {path}", directory=tmp_path, **exports)
            assert (gone.returncode != 0, f"No value found at {path}" in gone.stderr) == (True, True)
        roles = typed("vault list auth/approle/role", directory=tmp_path, **exports)
        assert roles.returncode != 0
