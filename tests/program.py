"""The program as its users run it: a process, with its options, its environment and its exit code."""

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.world import ANY_CLOCK, loopback_only_environment

ROOT = Path(__file__).parent.parent
BACKEND, REPORTING = "apimall/production-backend", "apimall/reporting"
LEAK = ("--rotate-now", "--revoke-old-now", "--key", "Production backend")
KEYS = [
    {"name": "Production backend", "path": BACKEND, "rotation_period": "7d"},
    {"name": "Reporting", "path": REPORTING, "field": "APIMALL_API_KEY"},
]


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.err.splitlines()]


@dataclass
class Program:
    """A config in a directory, and the environment that goes with it."""

    directory: Path
    config: dict[str, Any]
    environ: dict[str, str] = field(repr=False)
    runs: list[Finished] = field(default_factory=list)

    def command(self, *options: str) -> list[str]:
        path = self.directory / "rotator.yaml"
        path.write_text(yaml.safe_dump(self.config))
        return [sys.executable, "-m", "rotator", "--config", str(path), *options]

    def run(
        self, *options: str, environ: Mapping[str, str] | None = None, given: str | bytes = b""
    ) -> Finished:
        """Run it without a terminal; `given` is its standard input."""
        done = subprocess.run(
            self.command(*options),
            env={**self.environ, **(environ or {})},
            cwd=ROOT,
            input=given.encode() if isinstance(given, str) else given,
            capture_output=True,
            timeout=60,
            check=False,
            start_new_session=True,
        )
        self.runs.append(Finished(done.returncode, done.stdout.decode(), done.stderr.decode()))
        return self.runs[-1]

    def on_a_terminal(
        self, *options: str, answer: str = "", environ: Mapping[str, str] | None = None
    ) -> Finished:
        """Run it on a terminal of its own, and answer what it asks; `out` is all that is shown there."""
        ours, its = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", *self.command(*options)],  # so that Ctrl-C is typed to it
            env={**self.environ, **(environ or {})},
            cwd=ROOT,
            stdin=its,
            stdout=its,
            stderr=its,
        )
        os.close(its)
        shown = b""
        with suppress(OSError):  # it has closed its end
            while True:
                # What is typed just before the program reads may be lost: as a person would, type it again.
                while b"?" in shown and not select.select([ours], [], [], 0.5)[0]:
                    os.write(ours, answer.encode())
                if not (chunk := os.read(ours, 1 << 16)):
                    break
                shown += chunk
        os.close(ours)
        self.runs.append(Finished(process.wait(60), shown.decode(), ""))
        return self.runs[-1]

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*options),
            env=self.environ,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def program(directory: Path, gateway: GatewayServer, vault: VaultServer, mount: str) -> Program:
    home = directory / "home"
    home.mkdir()
    return Program(
        directory,
        {
            "gateway": {"url": gateway.url},
            "vault": {"address": vault.address, "mount": mount},
            "keys": [dict(key) for key in KEYS],
            "clock_tolerance": ANY_CLOCK,  # the sandbox's is not this machine's
        },
        {
            **loopback_only_environment(),
            "HOME": str(home),
            "APIMALL_API_KEY": gateway.account.bootstrap.plaintext,
            "VAULT_TOKEN": vault.token.reveal(),
        },
    )


def secret(vault: VaultServer, mount: str, path: str) -> dict[str, Any]:
    return dict(vault.api("GET", f"{mount}/data/{path}")["data"]["data"])
