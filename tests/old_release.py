"""Version 0.1.0 as a process, from the wheel of its time, so that what it leaves behind need not be imagined.

Its modules come from the wheel alone, what it needs of others from this environment. As in `tests.processes` it is
forked from a server that has imported it.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from tests.processes import BOUND, Process
from tests.world import loopback_only_environment

VERSION = "0.1.0"
WHEEL = Path(__file__).parent / "releases" / f"apimall_rotator-{VERSION}-py3-none-any.whl"
_SERVER = """
import json, os, sys
import rotator.__main__, rotator.cli, rotator.report, rotator.commands.leak, rotator.commands.passes
import rotator.commands.rollback

def told(run, pid):
    with open(run["told"], "w") as pipe:
        pipe.write(f"{pid}\\n")
        pipe.flush()
        pipe.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\\n")

def start(run):
    os.environ.clear()
    os.environ.update(run["environ"])
    for number, path in ((1, run["out"]), (2, run["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["rotator", *run["arguments"]]
    rotator.__main__.main()

def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

for line in sys.stdin:
    reap()
    run = json.loads(line)
    between = os.fork()  # it waits for the program, and says how it ended
    if between:
        continue
    if program := os.fork():
        told(run, program)
        os._exit(0)
    start(run)
    break
"""


@cache
def _home() -> TemporaryDirectory[str]:
    directory = TemporaryDirectory(prefix="rotator-old-")
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(directory.name)
    return directory


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ`, with the old release's modules before all others."""
    return {**environ, "PYTHONPATH": _home().name}


def call(*arguments: str) -> str:
    """Return what `python …` prints where the old release's modules are found first."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=_home().name,
        env=environment(loopback_only_environment()),
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=True,
    ).stdout


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        cwd=_home().name,
        env=environment(loopback_only_environment()),
        stdin=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


class OldProcess(Process):
    """One run of the old release."""

    def __init__(self, directory: Path, arguments: list[str], environ: Mapping[str, str]) -> None:
        self.out, self.err = directory / "stdout", directory / "stderr"
        told = Path(mkdtemp(dir=_home().name)) / "told"
        os.mkfifo(told)
        run = {
            "arguments": arguments,
            "environ": environment(environ),
            "out": str(self.out),
            "err": str(self.err),
            "told": str(told),
        }
        requests = _server().stdin
        assert requests
        requests.write(json.dumps(run) + "\n")
        requests.flush()
        self._told = told.open()
        self._pid = int(self._told.readline())

    @property
    def pid(self) -> int:
        return self._pid

    def wait(self) -> int:
        """Return the exit code; negative for a signal."""
        if not select.select([self._told], [], [], BOUND)[0]:
            self.kill()
            raise AssertionError(f"did not end within {BOUND} s")
        code = int(self._told.readline())
        self._told.close()
        return code
