"""The account's gateway over real HTTP on loopback: the contract, kept strictly, and faults on request.

Order of a request: hook and faults before the effect; rate limit and bearer; the effect; faults after it and
hook; the answer. People and other processes steer it below `/sandbox`, by JSON and without a key.
"""

import re
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from rotator.errors import RotatorError
from rotator.sandbox.contract import Request, answer
from rotator.sandbox.control import control
from rotator.sandbox.dates import http_date
from rotator.sandbox.faults import Faults, Phase, Wait, apply
from rotator.sandbox.ledger import Ledger
from rotator.sandbox.replies import Breakage, Reply, error

BASE = "/api/v1"
MAX_BODY = 65_536
_POLL = 0.005
_STOP_WITHIN = 5.0
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?")
_SIZE = re.compile(r"[0-9]{1,9}")
_RESET = struct.pack("ii", 1, 0)
"""`struct linger`: on, with a wait of 0 s; closing then resets the connection."""

Hook = Callable[[str, str, Phase], None]
"""Called with method, path below the base URL and phase; the request goes on when it returns."""


@dataclass(frozen=True)
class Exchange:
    """One line of the gateway's log. `bearer` is the key's id, even if it does not authenticate (any more).

    `path` is below the base URL and without the query; `status` is None when the connection was cut.
    """

    method: str
    path: str
    status: int | None
    request_id: str | None
    bearer: int | None


class GatewayServer:
    """Serves an account until it is stopped; started again, it keeps its port.

    `faults`, `hook` and `account.quirks` may be changed at any time.
    """

    def __init__(self, account: Ledger | None = None, port: int = 0, *, hook: Hook | None = None) -> None:
        self.account = account or Ledger()
        self.faults = Faults()
        self.hook = hook
        self.port = port
        self._log: list[Exchange] = []
        self._http: _HttpServer | None = None

    @property
    def url(self) -> str:
        """The API's base URL. Its port is known from `start` on."""
        return f"http://127.0.0.1:{self.port}{BASE}"

    @property
    def control_url(self) -> str:
        """Where people and other processes steer it. Its port is known from `start` on."""
        return f"http://127.0.0.1:{self.port}/sandbox"

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """Those below the base URL, in the order of their answers."""
        return tuple(self._log)

    def start(self) -> Self:
        """Serve from now on. Raises RotatorError when the port cannot be had."""
        try:
            self._http = _HttpServer(self)
        except (OSError, OverflowError) as failure:
            raise RotatorError(
                f"port {self.port} of 127.0.0.1 cannot be used: {failure}",
                cure="choose another one, or 0 for any that is free",
            ) from None
        self.port = self._http.server_port
        return self

    def stop(self) -> None:
        """Close every connection and end every delay; no request is served when this returns."""
        if self._http:
            self._http.stop()
            self._http = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, request: Request, wait: Wait) -> Reply:
        """Answer a request, faults included. Raises ConnectionError when the server stops meanwhile."""
        if not _LOOPBACK.fullmatch(request.headers.get("Host", "")):
            return error(403, "Not a gateway host")
        if request.path.startswith("/sandbox/"):
            return control(self.account, self.faults, _below("/sandbox", request))
        if not request.path.startswith(BASE + "/"):
            return error(404)
        request = _below(BASE, request)
        key = self.account.find(request.token)
        self._call_hook(request, Phase.BEFORE)
        reply = self._answer(request, wait)
        status = None if reply.broken else reply.status
        line = Exchange(request.method, request.path, status, reply.request_id, key.id if key else None)
        self._log.append(line)
        self._call_hook(request, Phase.AFTER)
        return reply

    def _answer(self, request: Request, wait: Wait) -> Reply:
        take = partial(self.faults.take, request.method, request.path)
        if reply := apply(take(Phase.BEFORE), None, wait):
            return reply
        reply = answer(self.account, request)
        return apply(take(Phase.AFTER), reply, wait) or reply

    def _call_hook(self, request: Request, phase: Phase) -> None:
        if self.hook:
            self.hook(request.method, request.path, phase)


def _below(base: str, request: Request) -> Request:
    return replace(request, path=request.path.removeprefix(base))


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True  # a hook that never returns must not hold the process
    request_queue_size = 128

    def __init__(self, gateway: GatewayServer) -> None:
        self._stopping = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", gateway.port), partial(_Handler, gateway))
        self._serving = threading.Thread(target=self.serve_forever, args=(_POLL,), daemon=True)
        self._serving.start()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)  # without the base class's look-up of the host's name
        self.server_name, self.server_port = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        worker = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._lock:
            self._open[request] = worker
        worker.start()

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may leave at any time
            super().handle_error(request, client_address)

    def wait(self, seconds: float) -> None:
        """Wait, or raise ConnectionError as soon as the server stops."""
        if self._stopping.wait(seconds):
            raise ConnectionAbortedError("the server stops")

    def stop(self) -> None:
        self._stopping.set()
        self.shutdown()
        self.server_close()
        self._serving.join()
        with self._lock:
            left = dict(self._open)
        for connection, worker in left.items():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            worker.join(_STOP_WITHIN)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def __init__(self, gateway: GatewayServer, *args: Any) -> None:
        self._gateway = gateway
        super().__init__(*args)

    def log_message(self, *_: object) -> None:
        """Be quiet: the log is `GatewayServer.requests`."""

    def version_string(self) -> str:
        return "sandbox"

    def handle_request(self) -> None:
        size = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not _SIZE.fullmatch(size) or int(size) > MAX_BODY:
            message = f"A body must have a Content-Length of at most {MAX_BODY}"
            return self._send(error(400, message, {"Connection": "close"}))
        body = self.rfile.read(int(size))
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, parse_qs(query), self.headers, body)
        return self._send(self._gateway.answer(request, self.server.wait))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815

    def _send(self, reply: Reply) -> None:
        if reply.broken:
            return self._break(reply.broken)
        self.send_response_only(reply.status)
        self.send_header("Server", self.version_string())
        for date in self._dates(reply):
            self.send_header("Date", date)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.sent is not None:
            self.close_connection = True
        body = reply.body[: reply.sent]
        step = 1 if reply.pause else max(len(body), 1)
        for start in range(0, len(body), step):
            self.server.wait(reply.pause)
            self.wfile.write(body[start : start + step])
        return None

    def _dates(self, reply: Reply) -> tuple[str, ...]:
        now = self._gateway.account.clock.now()
        return reply.dates(now) if reply.dates else (http_date(now),)

    def _break(self, how: Breakage) -> None:
        self.close_connection = True
        if how is Breakage.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.close()  # now, or the server would first end it in order
