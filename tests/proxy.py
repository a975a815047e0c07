"""A reverse proxy on loopback, so that a test can stand between the program and Vault at request granularity.

`hook` is called before a request is forwarded, and after it was answered, before that is passed on. It may
wait, kill, or raise ConnectionError: then the connection is cut there. A hook that waits before the request
until the client has gone makes a write land late.
"""

import http.client
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

from rotator.sandbox.faults import Phase

Hook = Callable[[str, str, Phase], None]


class Proxy:
    """Forwards to `target`, an http address."""

    def __init__(self, target: str) -> None:
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

    def call_hook(self, method: str, path: str, phase: Phase) -> None:
        if self.hook:
            self.hook(method, path, phase)

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(str(self._target.hostname), self._target.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.call_hook(self.command, self.path, Phase.BEFORE)
                headers = {name: value for name, value in self.headers.items() if name != "Connection"}
                status, content = proxy.forward(self.command, self.path, headers, body)
                if proxy.watch:
                    proxy.watch(self.command, self.path, status)
                proxy.call_hook(self.command, self.path, Phase.AFTER)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A cut is what the hook asked for; the socket is reset so that the client sees it at once."""
        if isinstance(request, socket.socket):
            request.close()
