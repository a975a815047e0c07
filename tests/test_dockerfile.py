"""The Dockerfile: linted, and held to what it repeats of the program."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rotator import __version__
from rotator.config import load
from rotator.service.metrics import Metrics
from rotator.service.web import Web
from rotator.show.snapshot import Snapshot
from tests.deployed import VENV, final_stage, instructions
from tests.program import ROOT
from tests.shown import of_each_state


def pairs(arguments: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for words in arguments for word in shlex.split(words))


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run(
        [VENV / "hadolint", "--no-color", "--failure-threshold=style", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_labels_agree_with_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = pairs(final_stage()["LABEL"])
    assert labels["org.opencontainers.image.version"] == project["version"] == __version__
    assert labels["org.opencontainers.image.description"] == project["description"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [
        words.split()[:-1] for name, words in instructions() if name == "COPY" and "--from" not in words
    ]
    assert {name for names in copied for name in names} == sent
    assert all((ROOT / name).exists() for name in sent)


def test_it_needs_no_name_and_no_rights() -> None:
    image = final_stage()
    [user] = image["USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), (
        "Kubernetes can tell only of a number that it is not root"
    )
    assert image["STOPSIGNAL"] == ["SIGTERM"]


def test_its_port_is_the_one_that_the_program_listens_on() -> None:
    environ = {
        name: value for name, value in pairs(final_stage()["ENV"]).items() if name.startswith("ROTATOR_")
    }
    config = load(ROOT / "config/minimal.yaml", {**environ, "VAULT_TOKEN": "t", "APIMALL_API_KEY": "k"})
    assert config.http.address == ("0.0.0.0", int(final_stage()["EXPOSE"][0]))


class TestHealthCheck:
    @pytest.fixture
    def now(self) -> list[Snapshot]:
        return [of_each_state(8)]

    @pytest.fixture
    def command(self, now: list[Snapshot]) -> Iterator[list[str]]:
        """The image's own command, but for the port."""
        [check] = final_stage()["HEALTHCHECK"]
        words = json.loads(check.partition("CMD ")[2])
        assert words[0] == "python"
        with Web(("127.0.0.1", 0), lambda: now[0], Metrics().exposition) as web:
            yield [
                sys.executable,
                *(word.replace(final_stage()["EXPOSE"][0], str(web.port)) for word in words[1:]),
            ]

    def test_it_succeeds_while_the_schedule_goes_on(self, command: list[str]) -> None:
        assert subprocess.run(command, check=False).returncode == 0

    def test_it_fails_when_the_schedule_has_ended(self, command: list[str], now: list[Snapshot]) -> None:
        now[0] = replace(now[0], alive=False)
        assert subprocess.run(command, check=False).returncode == 1

    def test_it_fails_when_nobody_answers(self, command: list[str]) -> None:
        command[-1] = re.sub(r"'127\.0\.0\.1', \d+", "'127.0.0.1', 1", command[-1])
        assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 1
