"""What is in deploy/, and how the tests run it and the tools that go with it."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.processes import Process
from tests.program import ROOT, Finished, Program

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
