"""A checkout of the project in a place of its own, where `make` finds the tools but not the network."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.deployed import VENV
from tests.program import ROOT
from tests.world import loopback_only_environment

_BASH: Final = shutil.which("bash") or "bash"
WHEELS: Final = VENV.parent / "wheels"
"""Of the program's libraries and of OpenBao, as the lock has them."""
_NOT_OF_IT: Final = shutil.ignore_patterns(
    ".?*_cache", ".git", ".hypothesis", ".venv", "__pycache__", "dist", "mutants"
)


def checkout(directory: Path) -> Path:
    """Copy the checkout, as it is now, with the environment that the tests run in."""
    shutil.copytree(ROOT, directory, ignore=_NOT_OF_IT)
    (directory / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (directory / ".venv" / name).symlink_to(VENV.parent / name)
    for stamp in ("demo", "ready"):
        (directory / ".venv" / stamp).touch()
    return directory


def offline(*path: Path, **more: str) -> dict[str, str]:
    """An environment in which every tool that asks the network fails, and pip and uv install from WHEELS."""
    nowhere = "http://127.0.0.1:9"
    return {
        **{
            name: value
            for name, value in loopback_only_environment().items()
            if name[:4] not in ("PIP_", "UV_T")
        },
        "PATH": os.pathsep.join((*map(str, path), os.environ["PATH"])),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere),
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(WHEELS),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",
        **more,
    }


def bash(
    script: str, cwd: Path, environ: Mapping[str, str], *, umask: int = -1
) -> subprocess.CompletedProcess[str]:
    """Run lines of the docs as a person would who types them, but stop at the first that fails."""
    return subprocess.run(
        [_BASH, "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        umask=umask,
    )


def ran(script: str, cwd: Path, environ: Mapping[str, str], *, umask: int = -1) -> str:
    """What it printed; it must have gone well."""
    done = bash(script, cwd, environ, umask=umask)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(page: str, heading: str) -> list[str]:
    """The blocks of commands below a heading."""
    text = (ROOT / page).read_text()
    section = text.split(f"# {heading}\n", 1)[1].split("\n## ")[0]
    return [block.split("\n```")[0] for block in section.split("\n```\n")[1::2]]
