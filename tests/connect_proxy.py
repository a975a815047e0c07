"""A forward proxy on loopback: it opens the way to a server, or says why not."""

import socket
import ssl
from contextlib import suppress
from threading import Event, Thread
from typing import Self


class ConnectProxy:
    """Answers CONNECT with `status`, and joins both sides where that is 200. With None it answers nothing."""

    def __init__(self, status: int | None = 200, *, tls: ssl.SSLContext | None = None) -> None:
        self.status, self._tls = status, tls
        self.asked: list[str] = []
        """The head of each request."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = Event()

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, self._client(connection) as client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.asked.append(head.decode())
            if self.status is None:
                self._over.wait()
                return
            client.sendall(f"HTTP/1.1 {self.status} Words of the proxy\r\n\r\n".encode())
            if self.status == 200:
                host, _, port = head.split()[1].decode().rpartition(":")
                with socket.create_connection((host.strip("[]"), int(port))) as server:
                    Thread(target=_copy, args=(server, client), daemon=True).start()
                    _copy(client, server)

    def _client(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
