"""`rotator sandbox`: the real program, as a person would run it, against two real servers on this machine.

An empty Vault, a first rotation, a month, a second one, the grace period, and the old keys are gone. After
each step the outcome is verified from outside, by the gateway's ledger and by calls with the plaintexts that
Vault hands out, never by what the program says of itself.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

import click

from rotator import SIGNALS
from rotator.errors import RotatorError
from rotator.lines import in_lines, width_of
from rotator.redaction import redact
from rotator.sandbox.ledger import AccountKey
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.switches import SWITCHES, command
from rotator.sandbox.vault import VaultServer, find_binary

_PIPE_WIDTH: Final = 100
GATEWAY_PORT: Final = 8210
VAULT_PORT: Final = 8200
PATHS: Final = {"Production backend": "apimall/production-backend", "Reporting": "apimall/reporting"}
Server = TypeVar("Server", GatewayServer, VaultServer)
_CONFIG: Final = """\
gateway:
  url: {gateway}
vault:
  address: {vault}
keys:
  - name: Production backend
    path: apimall/production-backend
  - name: Reporting
    path: apimall/reporting
"""


def run(*, keep: bool) -> int:
    """Tell the story; return the exit code: 0 only if every step was verified."""
    for number in (signal.SIGTERM, signal.SIGINT):  # so that both servers go in either case
        signal.signal(number, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # before there are children, which inherit the mask
    try:
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="rotator-sandbox-"))
            gateway = _start(lambda port: GatewayServer(port=port), GATEWAY_PORT if keep else 0)
            stack.callback(gateway.stop)
            vault = _start(lambda port: VaultServer(port=port), VAULT_PORT if keep else 0)
            stack.callback(vault.stop)
            story = _Story(gateway, vault, Path(directory))
            verified = story.tell()
            if keep:
                story.wait_for_visitors()
    except RotatorError as error:
        click.secho(redact(f"✗ {error}"), fg="red", err=True)
        return 1
    except KeyboardInterrupt:
        click.echo("\nstopped; both servers are gone")
        return 0 if keep else 1
    return 0 if verified else 1


def _start(server: Callable[[int], Server], port: int) -> Server:
    """Start it at `port`, which config/rotator.yaml names, or at a free one if that is taken."""
    try:
        return server(port).start()
    except RotatorError:
        if port == 0:
            raise
    return server(0).start()


@dataclass(frozen=True)
class _Current:
    """What a consumer finds at one path, and what it can do with it."""

    key: AccountKey | None
    """The key in the gateway's ledger whose plaintext it is."""
    works: bool


class _Story:
    def __init__(self, gateway: GatewayServer, vault: VaultServer, directory: Path) -> None:
        self._gateway, self._vault, self._directory = gateway, vault, directory
        self._verified = True
        config = directory / "rotator.yaml"
        config.write_text(_CONFIG.format(gateway=gateway.url, vault=vault.address))
        self._exports = {
            "ROTATOR_CONFIG": str(config),
            # The gateway's clock is moved by hand. It is a variable for whichever config is tried here.
            "ROTATOR_CLOCK_TOLERANCE": "3650d",
            # So is this one: without it, a config of one's own would mean the real gateway.
            "ROTATOR_GATEWAY__URL": gateway.url,
            "VAULT_ADDR": vault.address,
            "VAULT_TOKEN": vault.token.reveal(),
            "APIMALL_API_KEY": gateway.account.bootstrap.plaintext,
        }

    def tell(self) -> bool:
        _say_in_lines(
            f"A gateway that keeps the contract is at {self._gateway.url} and a real Vault-API server is at "
            f"{self._vault.address}."
        )
        self._step("Vault is empty: what would a pass do?", "--dry-run", self._nothing_was_written)
        self._step("The first rotation", "--once", self._all_current)
        first = self._current()
        self._wait(timedelta(days=30), "A month passes: the second rotation")
        self._step(None, "--once", lambda: self._rotated_from(first))
        self._wait(timedelta(hours=24), "The grace period passes: the old keys go")
        self._step(None, "--once", lambda: self._gone(first))
        click.echo()
        if self._verified:
            click.secho("✓ every step was verified from outside", fg="green", bold=True)
        else:
            click.secho("✗ a step did not do what it should", fg="red", bold=True)
        return self._verified

    def wait_for_visitors(self) -> None:
        """Say what to export and to try, and stay until Ctrl-C."""
        env = self._directory / "env"
        env.touch(mode=0o600)
        env.write_text(
            "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self._exports.items())
            + f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"
        )
        control, vault = self._gateway.control_url, shlex.quote(str(find_binary()))
        _say(
            "Both servers stay up until Ctrl-C. Try these in another terminal. The first exports the addresses "
            "of the servers and credentials that work for them alone.",
            f". {shlex.quote(str(env))}",
            "rotator check",
            "rotator --dry-run",
            "rotator --rotate-now --key Reporting",
            "rotator status",
            "rotator explain Reporting",
            "rotator rollback Reporting",
            "rotator --rotate-now --revoke-old-now --key Reporting",
            f"curl {control}/clock -H 'Content-Type: application/json' -d '{{\"advance\": \"30d\"}}'",
            f"curl {control}/keys",
            "rotator --once",
        )
        _say(
            "The last one runs until you stop it, and has a page at http://127.0.0.1:9464/:",
            "ROTATOR_SCHEDULE__EVERY=30s rotator run",
        )
        _say("The gateway can also be told to answer against its contract:")
        for switch in SWITCHES:
            _say_in_lines(f"  – {switch.says}")  # noqa: RUF001
        _say(
            "The first of these shows how to turn on each of these faults, and how to find more; the second turns "
            "on one of them, and the others turn all of them off.",
            f"curl {control}/switches",
            command(control, SWITCHES[0], SWITCHES[0].bodies[0]),
            f"curl -X DELETE {control}/faults",
            f"curl -X DELETE {control}/quirks",
        )
        _say(
            "Vault can limit requests, too: the first of these allows three a second on the mount, and the second "
            "ends that.",
            f"{vault} write sys/quotas/rate-limit/demo path=secret/ rate=3",
            f"{vault} delete sys/quotas/rate-limit/demo",
        )
        Event().wait()

    def _wait(self, time: timedelta, heading: str) -> None:
        self._gateway.account.clock.advance(time)
        self._heading(heading)

    def _heading(self, text: str) -> None:
        click.secho(f"\n{text}", bold=True)

    def _step(self, heading: str | None, mode: str, verify: Callable[[], Iterator[tuple[bool, str]]]) -> None:
        if heading:
            self._heading(heading)
        click.secho(f"$ rotator {mode}", dim=True)
        done = subprocess.run(  # noqa: S603 - this very program
            [sys.executable, "-m", "rotator", mode],
            env={**_calm_environment(), **self._exports},
            capture_output=True,
            text=True,
            errors="replace",  # it prints as PYTHONIOENCODING says
            check=False,
        )
        click.echo(done.stdout, nl=False)
        checks = [(done.returncode == 0, f"it exited with {done.returncode}"), *verify()]
        for holds, what in checks:
            click.secho(f"{'✓' if holds else '✗'} {what}", fg="green" if holds else "red")
        if not all(holds for holds, _ in checks):
            self._verified = False
            click.echo(done.stderr, nl=False, err=True)

    def _nothing_was_written(self) -> Iterator[tuple[bool, str]]:
        yield len(self._gateway.account.keys) == 1, "the gateway has made no key"
        yield not any(current.key for current in self._current().values()), "Vault holds no secret"

    def _all_current(self) -> Iterator[tuple[bool, str]]:
        for name, current in self._current().items():
            id_ = current.key.id if current.key else "-"
            yield current.works, f"{name}: Vault holds key {id_}, and the gateway accepts it"
        live = [key for key in self._gateway.account.keys if key.live]
        yield len(live) == 1 + len(PATHS), f"{len(live)} keys live: one for each, and the bearer"

    def _rotated_from(self, first: dict[str, _Current]) -> Iterator[tuple[bool, str]]:
        for name, current in self._current().items():
            old = first[name].key
            yield current.works and current.key != old, f"{name}: Vault holds a new key, and it works"
            yield (
                bool(old and self._takes(old.plaintext)),
                f"{name}: the old key still works during its grace period",
            )

    def _gone(self, first: dict[str, _Current]) -> Iterator[tuple[bool, str]]:
        for name, before in first.items():
            old = before.key
            yield bool(old and not self._takes(old.plaintext)), f"{name}: the old key is refused with 401"
        yield from self._all_current()

    def _current(self) -> dict[str, _Current]:
        return {name: self._look_at(path) for name, path in PATHS.items()}

    def _look_at(self, path: str) -> _Current:
        try:
            plaintext = self._vault.api("GET", f"secret/data/{path}")["data"]["data"]["api_key"]
        except RotatorError as error:
            if error.status != 404:
                raise
            return _Current(None, works=False)
        return _Current(self._gateway.account.find(plaintext), self._takes(plaintext))

    def _takes(self, plaintext: str) -> bool:
        """Call the gateway over HTTP, as a consumer of the key would."""
        connection = HTTPConnection("127.0.0.1", self._gateway.port, timeout=10)
        connection.request(
            "GET", "/api/v1/account/balances", headers={"Authorization": f"Bearer {plaintext}"}
        )
        status = connection.getresponse().status
        connection.close()
        return status == 200


def _say(prose: str, *commands: str) -> None:
    """A paragraph, and below it commands to copy, each whole on a line."""
    click.echo()
    _say_in_lines(prose)
    if commands:
        click.echo()
    for line in commands:
        click.echo(f"  {line}")


def _say_in_lines(text: str) -> None:
    for line in in_lines(text, width_of(sys.stdout) or _PIPE_WIDTH):
        click.echo(line)


def _calm_environment() -> dict[str, str]:
    """Our environment, without what would lead the program elsewhere."""
    stray = ("ROTATOR_", "VAULT_", "BAO_", "APIMALL_")
    width = {"COLUMNS": str(os.get_terminal_size().columns)} if sys.stdout.isatty() else {}
    return {name: value for name, value in os.environ.items() if not name.startswith(stray)} | width
