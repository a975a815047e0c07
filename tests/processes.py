"""The program as a process of its own that starts in milliseconds: forked from a server that has imported it."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import multiprocessing.forkserver  # isort: skip

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["rotator.commands.run", "rotator.commands.root", "rotator.show.pass_table"])
BOUND = 60.0
"""Seconds after which a process that has not ended is a failure."""


class Process:
    """One run of the program. What it prints goes to files in `directory`, which outlive it."""

    def __init__(self, directory: Path, arguments: list[str], environ: Mapping[str, str]) -> None:
        self.out, self.err = directory / "stdout", directory / "stderr"
        self._process: BaseProcess = _CONTEXT.Process(
            target=_run, args=(arguments, dict(environ), str(self.out), str(self.err)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: it executes nothing more."""
        self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Return the exit code; negative for a signal."""
        self._process.join(BOUND)
        code = self._process.exitcode
        if code is None:
            self.kill()
            raise AssertionError(f"did not end within {BOUND} s")
        return code


def _run(arguments: list[str], environ: dict[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environ)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
    sys.argv = ["rotator", *arguments]
    from rotator.__main__ import main
    from rotator.printing import streams

    try:
        main()
    finally:
        streams.end()  # a forked process calls no atexit
