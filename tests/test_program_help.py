"""Help, and completion in a real shell: as a process, with no server behind it."""

import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml

from rotator.commands.root import cli
from tests.program import ROOT
from tests.world import loopback_only_environment

COMMANDS = sorted(cli.list_commands(click.Context(cli)))


def environ() -> dict[str, str]:
    """As a shell has it: the program in its path, and no credential."""
    found = loopback_only_environment()
    return {**found, "COLUMNS": "80", "PATH": f"{sysconfig.get_path('scripts')}:{found['PATH']}"}


def run(*words: str, **variables: str) -> str:
    done = subprocess.run(
        ["rotator", *words],
        env=environ() | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def config(path: Path, *names: str) -> Path:
    path.write_text(yaml.safe_dump({"keys": [{"name": name, "path": name.lower()} for name in names]}))
    return path


@pytest.fixture(scope="module")
def script() -> str:
    return run("completion", "bash")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits_a_screen_and_leads_with_an_example(command: str) -> None:
    lines = run(command, "--help").splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    examples = [n for n, line in enumerate(lines) if line.startswith(("    rotator", "    eval"))]
    assert lines.index("Options:") > examples[0] > 0


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_where_help_names_the_exit_codes_it_names_the_one_of_a_server_that_cannot_be_reached(
    command: str,
) -> None:
    text = " ".join(run(*command.split(), "--help").split())
    _, named, codes = text.partition("Exit codes: ")
    if named and command != "check":  # it looks at the servers, and one that it cannot reach is what it found
        assert re.search(r"; 3 (a server|Vault or the gateway) could not be reached or refused us", codes)


ASK = """
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_rotator_completion rotator
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
class TestCompletionInBash:
    @pytest.fixture
    def completed(self, tmp_path: Path, script: str) -> "Completed":
        names = "Production backend", "Production api", "Reporting"
        return Completed(script, config(tmp_path / "rotator.yaml", *names))

    @pytest.mark.parametrize(
        ("words", "completions"),
        [
            (["st"], ["status"]),
            (["explain", "Prod"], [r"Production\ backend", r"Production\ api"]),
            (["explain", r"Production\ b"], [r"Production\ backend"]),
            (["explain", '"Prod'], ["Production backend", "Production api"]),
            (["explain", "'Production b"], ["Production backend"]),
            (["--once", "--key", "Rep"], ["Reporting"]),
            (["rollback", "--key", "R"], ["Reporting"]),
            (["explain", "Q"], [""]),
            (["explain", "--js"], ["--json"]),
        ],
    )
    def test_commands_options_and_names(
        self, completed: "Completed", words: list[str], completions: list[str]
    ) -> None:
        assert completed(*words) == completions

    def test_what_is_inserted_is_one_word(self, completed: "Completed") -> None:
        (inserted,) = completed("explain", "Production\\ b")
        done = subprocess.run(["bash", "-c", f"printf '<%s>' {inserted}"], capture_output=True, text=True)
        assert done.stdout == "<Production backend>"

    def test_of_the_config_that_is_named(self, completed: "Completed", tmp_path: Path) -> None:
        other = config(tmp_path / "other.yaml", "Elsewhere")
        for words in (["explain", "--config", str(other), ""], ["--config", str(other), "--key", ""]):
            assert completed(*words) == ["Elsewhere"]

    @pytest.mark.parametrize(
        "content", [None, "", "keys: 7", "keys: [7, {name: 8}, {name: a*b}]", "{", "- a"]
    )
    def test_quietly_nothing_of_a_config_that_has_none(
        self, completed: "Completed", tmp_path: Path, content: str | None
    ) -> None:
        other = tmp_path / "other.yaml"
        if content is not None:
            other.write_text(content)
        assert completed("explain", "--config", str(other), "") == [""]


@dataclass(frozen=True)
class Completed:
    """What bash would insert at the end of `rotator` and these words; nothing else is printed."""

    script: str
    config: Path

    def __call__(self, *words: str) -> list[str]:
        done = subprocess.run(
            ["bash", "--norc", "-c", self.script + ASK, "bash", "rotator", *words],
            env=environ() | {"ROTATOR_CONFIG": str(self.config)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()


@pytest.mark.parametrize("value", ["", "junk", "1", "bash", "bash_x", "tcsh_complete"])
def test_a_variable_that_no_shell_sets_so_stops_nothing(value: str) -> None:
    assert run("--version", _ROTATOR_COMPLETE=value).startswith("rotator,")


@pytest.mark.parametrize(("shell", "says"), [("zsh", "#compdef rotator"), ("fish", "complete --no-files")])
def test_scripts_of_other_shells(shell: str, says: str) -> None:
    text = run("completion", shell)
    assert says in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True, timeout=30)


def test_the_docs_have_a_line_for_each_command() -> None:
    named = re.findall(r"^\| `rotator ([a-z]+)", (ROOT / "docs/commands.md").read_text(), re.MULTILINE)
    assert sorted(named) == COMMANDS
