"""A server on loopback that answers as it is told to: for answers that no contract allows."""

import io
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Answering = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(how: Answering) -> Iterator[str]:
    """Serve, one request a connection, and yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            # The request is over; how it is answered may depend on its body.
            self.rfile = io.BytesIO(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.close_connection = True
            how(self)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def end_headers(self) -> None:
            self.send_header("Connection", "close")  # else the next request may meet a connection that goes
            super().end_headers()

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(
    status: int, body: object = None, *, raw: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answering:
    content = json.dumps(body).encode() if raw is None else raw

    def how(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        if status // 100 == 3:
            handler.send_header("Location", "https://elsewhere.invalid/")
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return how


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def truncated(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")
