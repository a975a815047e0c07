"""A server of the page and of what monitoring asks for, and a client of it."""

import socket
from collections.abc import Collection
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse

from rotator.service.metrics import Metrics
from rotator.service.web import Web
from rotator.show.snapshot import Snapshot
from tests.shown import of_each_state

PATHS = ["/", "/operations", "/status.json", "/metrics", "/healthz", "/readyz"]


class Served:
    """A server, and the snapshot that it shows next."""

    def __init__(self, web: Web | None = None, names: Collection[str] = ()) -> None:
        self.now: Snapshot = of_each_state(8)
        metrics = Metrics()
        metrics.follow(lambda: self.now)
        self.web = web or Web(("127.0.0.1", 0), lambda: self.now, metrics.exposition, names)

    def connection(self, buffer: int | None = None) -> socket.socket:
        """Connect, with a small `buffer` for what is read where one is given."""
        connection = socket.socket()
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", self.web.port))
        return connection

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
        connection = HTTPConnection("127.0.0.1", self.web.port, timeout=10)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text

    def raw(self, sent: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.web.port), timeout=10) as connection:
            connection.sendall(sent)
            with suppress(ConnectionResetError):  # it closes before it has read all of what is too big
                return b"".join(iter(lambda: connection.recv(65_536), b""))
            return b""
