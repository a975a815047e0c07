"""A reverse proxy on loopback, so that a test can stand between the program and Vault at request granularity.

It takes the same faults as the sandbox's gateway, by the whole path. `hook` is called before a request is
forwarded, and after it was answered, before that is passed on. It may wait, kill, or raise ConnectionError: then
the connection is cut there.
"""

import http.client
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

from rotator.sandbox.faults import Faults, Phase, apply
from rotator.sandbox.replies import Breakage, Reply

Hook = Callable[[str, str, Phase], None]
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards to `target`, an http address."""

    def __init__(self, target: str) -> None:
        self.faults = Faults()
        self.hook: Hook | None = None
        self.watch: Callable[[str, str, int], None] | None = None
        """Told method, path and status of each request that was answered, even if its answer is then cut."""
        self._target = urlsplit(target)
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        take = partial(self.faults.take, method, path)
        self._call_hook(method, path, Phase.BEFORE)
        try:
            reply = apply(take(Phase.BEFORE), None, time.sleep)
            if reply is None:
                reply = self._forward(method, path, headers, body)
                if self.watch:
                    self.watch(method, path, reply.status)
                reply = apply(take(Phase.AFTER), reply, time.sleep) or reply
        finally:
            self._call_hook(method, path, Phase.AFTER)
        return reply

    def _call_hook(self, method: str, path: str, phase: Phase) -> None:
        if self.hook:
            self.hook(method, path, phase)

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        connection = http.client.HTTPConnection(str(self._target.hostname), self._target.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        finally:
            connection.close()

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name != "Connection"}
                reply = proxy.answer(self.command, self.path, headers, body)
                if reply.broken:
                    return self._break(reply.broken)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.close_connection = self.close_connection or reply.sent is not None
                self.wfile.write(reply.body[: reply.sent])
                return None

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def _break(self, how: Breakage) -> None:
                self.close_connection = True
                if how is Breakage.RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    self.connection.close()

            def log_message(self, *_: object) -> None: ...

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A cut is what the hook asked for; the socket is closed so that the client sees it at once."""
        if isinstance(request, socket.socket):
            request.close()
