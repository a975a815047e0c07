"""What is in deploy/ and in the Dockerfile, and how the tests run it and the tools that go with it."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from rotator.rules.model import Timing
from rotator.sandbox.vault import VaultServer
from tests.processes import BOUND, Process
from tests.program import BACKEND, REPORTING, ROOT, Finished, Program

DEPLOY = ROOT / "deploy"
VENV = Path(sys.executable).parent
"""Where the tools from PyPI are."""


def run(rotator: Program, *options: str) -> Finished:
    """Run the program as `Program.run` does, in a process that starts in milliseconds."""
    directory = Path(mkdtemp(dir=rotator.directory))
    process = Process(directory, rotator.command(*options)[3:], rotator.environ)
    code = process.wait()
    rotator.runs.append(Finished(code, process.out.read_text(), process.err.read_text()))
    return rotator.runs[-1]


def debian_tool(name: str, package: str) -> str:
    """Return the path of a tool that Debian has. Where it is missing, skip the test, or fail in CI."""
    found = shutil.which(name)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"there is no {name}: apt-get install {package}")
    assert found, f"there is no {name}"
    return found


def forget(vault: VaultServer) -> None:
    """Let the mount and the paths of the example config be as if the program had never run."""
    claims = [f"rotator/claims/{path}" for path in (BACKEND, REPORTING)]
    acks = [f"rotator/acks/{BACKEND}/{consumer}" for consumer in ("web", "web-0", "web-1", "batch")]
    for path in (BACKEND, REPORTING, "rotator/installation", *claims, *acks):
        vault.api("DELETE", f"secret/metadata/{path}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each with its arguments, in order."""
    text = "".join(
        line for line in (ROOT / "Dockerfile").read_text().splitlines(keepends=True) if line[0] != "#"
    )
    lines = text.replace("\\\n", " ").splitlines()
    parts = [line.partition(" ") for line in lines if line.strip()]
    return [(name, arguments.strip()) for name, _, arguments in parts]


def final_stage() -> dict[str, list[str]]:
    """The Dockerfile's instructions that make the image, each with all its arguments."""
    found: dict[str, list[str]] = {}
    for name, arguments in instructions():
        if name == "FROM":
            found.clear()
        found.setdefault(name, []).append(arguments)
    return found


def longest_stop(timing: Timing) -> timedelta:
    """How long the program may take to stop: a new key is proved and stored, and the notices are sent."""
    return timing.verify_deadline + timing.store_deadline + timedelta(seconds=10)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline, f"not within {BOUND} s"
        time.sleep(0.01)
