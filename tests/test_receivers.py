"""Thousands of receivers cost a process neither its file descriptors nor its memory."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Semaphore, Thread

import pytest

from rotator.clients.receiver import Receivers
from rotator.clients.webhook_signature import parse_secrets
from rotator.rules.model import Receiver
from tests.certificates import LOOPBACK, Authority
from tests.receiver import SECRET
from tests.traffic import BOUND


class Keeping(ThreadingHTTPServer):
    """Takes every event, and keeps each connection until the other side closes it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.closed = Semaphore(0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def finish(self) -> None:
        super().finish()
        assert isinstance(self.server, Keeping)
        self.server.closed.release()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def keeping(tls: ssl.SSLContext | None = None) -> Iterator[Keeping]:
    server = Keeping()
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receivers() -> Receivers:
    return Receivers(lambda _receiver: parse_secrets(SECRET))


def tell(receivers: Receivers, server: Keeping, scheme: str, number: int = 0) -> None:
    url = f"{scheme}://127.0.0.1:{server.server_port}/{number}"
    receivers.tell(Receiver("batch", url, "webhook.secret"), "id-1", b"{}")


def test_no_connection_is_kept(receivers: Receivers) -> None:
    with keeping() as server:
        for number in range(3):
            tell(receivers, server, "http", number)
        assert all(server.closed.acquire(timeout=BOUND) for _ in range(3))


def test_they_share_the_cas(receivers: Receivers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read once: each receiver's own would take a megabyte."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("receiver", LOOPBACK))
    with keeping(tls) as server:
        tell(receivers, server, "https", 1)
        authority.cert.unlink()
        tell(receivers, server, "https", 2)
