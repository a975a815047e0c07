"""What is in deploy/, and how the tests run it and the tools that go with it."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest

from rotator.sandbox.vault import VaultServer
from tests.processes import BOUND, Process
from tests.program import BACKEND, REPORTING, ROOT, Finished, Program

DEPLOY = ROOT / "deploy"


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
    for path in (BACKEND, REPORTING, "rotator/installation"):
        vault.api("DELETE", f"secret/metadata/{path}")


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline, f"not within {BOUND} s"
        time.sleep(0.01)
