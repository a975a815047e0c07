"""The units of deploy/systemd: systemd reads them without complaint, and what they set fits the program."""

import re
import subprocess
from pathlib import Path

import pytest

from rotator.config import AppRoleAuth, Config, load
from rotator.rules.times import parse_duration
from tests.deployed import DEPLOY, VENV, debian_tool, longest_stop

UNITS = DEPLOY / "systemd"
SERVICES = ("rotator.service", "rotator-once.service")
EXPOSURE = 15
"""The greatest that is let pass, in tenths; systemd's scale ends at 10."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = debian_tool("systemd-analyze", "systemd")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def settings(unit: str) -> list[tuple[str, str]]:
    """Each setting of the unit with its value, in order; some come more than once."""
    lines = (UNITS / unit).read_text().splitlines()
    return [
        (name, text)
        for name, equals, text in (line.partition("=") for line in lines if line[:1] != "#")
        if equals
    ]


def values(unit: str, name: str) -> list[str]:
    return [text for setting, text in settings(unit) if setting == name]


def configured(unit: str, directory: Path) -> Config:
    """The config as the unit's process loads it, with its credentials in `directory`."""
    (directory / "rotator.yaml").write_text(
        "vault: {address: 'https://v.example', auth: {method: approle, role_id: {value: r}}}\n"
        "keys: [{name: Mine, path: a/mine}]\n"
    )
    environ = dict(text.replace("%d", str(directory)).split("=", 1) for text in values(unit, "Environment"))
    assert environ.pop("ROTATOR_CONFIG") == "/etc/rotator/rotator.yaml"
    return load(directory / "rotator.yaml", environ)


def test_systemd_understands_them(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/rotator/bin", str(VENV))
        (tmp_path / unit.name).write_text(text)
    units = [
        str(tmp_path / unit) for unit in ("rotator.service", "rotator-once.timer", "rotator-once.service")
    ]
    done = analyze("verify", "--man=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES)
class TestService:
    def test_little_is_exposed(self, unit: str) -> None:
        done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(UNITS / unit))
        assert done.returncode == 0, done.stdout

    def test_it_is_not_swapped_out(self, unit: str) -> None:
        assert values(unit, "MemorySwapMax") == ["0"]

    def test_its_credentials_are_where_the_program_looks(self, unit: str, tmp_path: Path) -> None:
        config = configured(unit, tmp_path)
        given = {text.partition(":")[0] for text in values(unit, "LoadCredential")}
        auth = config.vault.auth
        assert isinstance(auth, AppRoleAuth)
        assert given == {"api-key", "vault-secret-id"}
        assert config.gateway.api_key.file == str(tmp_path / "api-key")
        assert auth.secret_id.file == str(tmp_path / "vault-secret-id")

    def test_it_may_finish_a_rotation_when_it_is_stopped(self, unit: str, tmp_path: Path) -> None:
        [given] = values(unit, "TimeoutStopSec")
        assert parse_duration(given.removesuffix("in")) > longest_stop(configured(unit, tmp_path).timing)


def test_the_services_differ_in_their_mode_alone() -> None:
    modes = r"Type|Exec\w+|Restart\w*|TimeoutStartSec|WantedBy"
    daemon, once = (
        [pair for pair in settings(unit) if not re.fullmatch(modes, pair[0])] for unit in SERVICES
    )
    assert daemon == once
    assert values("rotator-once.service", "ExecStart")[0].split()[1:] == ["--once", "--log-format=json"]
