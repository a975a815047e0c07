"""Connections are kept, bounded, and never make one request two."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import h11
import httpcore
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from rotator.clients import connections
from rotator.clients.connections import message_length
from rotator.clients.exchange import Request, Server, Trust
from rotator.clients.within import TooSlow
from rotator.errors import Transient
from tests.certificates import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
POST = Request("POST", "/keys", body={"title": "t"})
GET = Request("GET", "/keys")

Peer = Callable[[socket.socket, int], None]
"""Handles one connection, given its number from 0."""


@contextmanager
def listening(peer: Peer, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """Serve connections by hand; yield the URL, and what was read on each."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    workers: list[threading.Thread] = []

    def handle(connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection:
            wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
            with wrapped:
                peer(wrapped, number)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                seen.append(b"")
                worker = threading.Thread(target=handle, args=(connection, len(seen) - 1), daemon=True)
                workers.append(worker)
                worker.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for worker in workers:
            worker.join(5)


def read_request(connection: socket.socket, seen: list[bytes], number: int) -> bool:
    """Read one request; whether one came."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
        more = connection.recv(65536)
        if not more:
            return False
        data += more
        seen[number] += more
    return True


def _length(data: bytes) -> int:
    head = data.partition(b"\r\n\r\n")[0].lower()
    found = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    return int(found[0].split(b":")[1]) if found else 0


def server(url: str, *, seconds: float = 5, most: int = 4, trust: Trust | None = None) -> Server:
    return Server(
        url, timeout=timedelta(seconds=seconds), limit=10_000, cure="", connections=most, trust=trust
    )


class Says:
    """Answers each request of a connection with these bytes."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.seen = answers, [b""] * 1000

    def __call__(self, connection: socket.socket, number: int) -> None:
        while read_request(connection, self.seen, number):
            answer = self.answers[min(number, len(self.answers) - 1)]
            connection.sendall(answer)


@pytest.mark.parametrize("encrypted", [False, True])
def test_any_number_of_calls_needs_few_connections(encrypted: bool, tmp_path: Path) -> None:
    tls, trust = None, None
    if encrypted:
        authority = Authority(tmp_path)
        certificate, key = authority.issue("127.0.0.1", x509.IPAddress(ip_address("127.0.0.1")))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        trust = Trust(ca_cert=str(authority.cert))
    with listening(Says(OK), tls) as (url, seen):
        subject = server(url, most=4, trust=trust)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: subject.exchange(GET, {}).content, range(200)))
        subject.close()
    assert answers == [b"{}"] * 200
    assert 1 <= len(seen) <= 4


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]",
        OK + b"x",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n" + OK,
    ],
    ids=["another answer", "a byte", "after chunks", "after trailers"],
)
def test_what_comes_after_an_answer_is_not_taken_for_the_next_one(answer: bytes) -> None:
    with listening(Says(answer, OK)) as (url, seen):
        subject = server(url)
        assert [subject.exchange(POST, {}).content for _ in range(2)] == [b"{}", b"{}"]
        subject.close()
    assert len(seen) == 2


def test_threads_never_get_each_others_answers() -> None:
    """Each answer comes twice. The pool hands out a connection that became idle after it had looked at it."""
    seen = [b""] * 2000

    def peer(connection: socket.socket, number: int) -> None:
        while read_request(connection, seen, number):
            body = seen[number].rpartition(b"\r\n\r\n")[2]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) * 2)

    with listening(peer) as (url, _):
        subject = server(url, most=8)

        def ask(number: int) -> bool:
            body = b"%d" % number
            return subject.exchange(Request("POST", "/keys", body=body), {}).content == body

        with ThreadPoolExecutor(12) as pool:
            assert all(pool.map(ask, range(1500)))
        subject.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nnonsense\r\n",
    ],
    ids=["too long a length", "no last chunk", "a broken chunk"],
)
@pytest.mark.parametrize("closes", [True, False])
def test_a_whole_text_is_not_thrown_away_for_its_framing(answer: bytes, closes: bool) -> None:
    says = Says(answer)

    def peer(connection: socket.socket, number: int) -> None:
        read_request(connection, says.seen, number)
        connection.sendall(answer)
        if not closes:
            read_request(connection, says.seen, number)

    with listening(peer) as (url, seen):
        subject = server(url, seconds=0.3)
        assert [subject.exchange(POST, {}).content for _ in range(2)] == [b"{}", b"{}"]
        subject.close()
    assert len(seen) == 2


def test_a_part_of_a_text_is_no_answer() -> None:
    with listening(Says(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": ')) as (url, _):
        subject = server(url, seconds=0.3)
        with pytest.raises(Transient):
            subject.exchange(POST, {})
        subject.close()


class TestOneWriteIsSentOnce:
    def test_the_peer_closes_after_it_has_read_it(self) -> None:
        peer = Says(OK)

        def once(connection: socket.socket, number: int) -> None:
            read_request(connection, peer.seen, number)
            if number == 0:
                connection.sendall(OK)
                read_request(connection, peer.seen, number)

        with listening(once) as (url, seen):
            subject = server(url)
            subject.exchange(GET, {})
            with pytest.raises(Transient) as raised:
                subject.exchange(POST, {})
            subject.close()
            assert raised.value.ambiguous
            assert len(seen) == 1
        assert sum(read.count(b"POST") for read in peer.seen) == 1

    def test_the_peer_closes_when_it_has_read_a_part(self) -> None:
        peer = Says(OK)
        read: list[bytes] = []

        def half(connection: socket.socket, number: int) -> None:
            read_request(connection, peer.seen, number)
            connection.sendall(OK)
            read.append(connection.recv(4))

        with listening(half) as (url, seen):
            subject = server(url)
            subject.exchange(GET, {})
            with pytest.raises(Transient) as raised:
                subject.exchange(POST, {})
            subject.close()
            assert raised.value.ambiguous
            assert len(seen) == 1
        assert read == [b"POST"]

    def test_the_peer_has_closed_before(self) -> None:
        """Overnight: nothing was sent on the old connection, and the write goes well on a new one."""
        peer = Says(OK)
        closed = threading.Event()

        def one(connection: socket.socket, number: int) -> None:
            read_request(connection, peer.seen, number)
            connection.sendall(OK)
            connection.shutdown(socket.SHUT_RDWR)
            closed.set()

        with listening(one) as (url, seen):
            subject = server(url)
            for _ in range(3):
                assert subject.exchange(POST, {}).content == b"{}"
                assert closed.wait(5)
                closed.clear()
            subject.close()
            assert len(seen) == 3
        assert [read.count(b"POST") for read in peer.seen[:3]] == [1, 1, 1]

    def test_nobody_listens(self) -> None:
        with pytest.raises(Transient) as raised:
            server("http://127.0.0.1:1").exchange(POST, {})
        assert not raised.value.ambiguous


def dripping(first: bytes) -> Peer:
    """Say this, then a byte in time, for ever."""

    def peer(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(first)
        while True:
            time.sleep(0.02)
            connection.sendall(b"x")

    return peer


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
    ids=["a status line", "a header", "a body"],
)
def test_what_drips_ends_in_time_and_costs_its_connection_alone(first: bytes) -> None:
    threads = threading.active_count()
    with listening(dripping(first)) as (url, seen):
        subject = server(url, seconds=0.3, most=1)
        for _ in range(2):
            with pytest.raises(TooSlow) as raised:
                subject.exchange(POST, {})
            assert raised.value.ambiguous
        assert len(seen) == 2
        ours = [thread for thread in threading.enumerate() if thread.name == "exchange"]
        assert ours == []
        subject.close()
    assert threading.active_count() == threads


def test_a_reader_that_is_slow_gets_one_bound_for_all_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore gives each part that the system takes the whole time anew."""
    now, taken = [0.0], [0]
    monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Slow(httpcore.NetworkStream):
        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            now[0] += len(buffer) / 16_384  # a second for so much
            taken[0] += len(buffer)

    with connections.exchanging("GET /x", 3), pytest.raises(httpcore.WriteTimeout):
        connections._Stream(Slow()).write(b"x" * 4_000_000)
    assert taken[0] <= 4 * 16_384


def test_a_connection_that_was_idle_for_long_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_IDLE", 0.0)
    with listening(Says(OK)) as (url, seen):
        subject = server(url)
        for _ in range(3):
            subject.exchange(GET, {})
        subject.close()
        assert len(seen) == 3


BODIES = st.binary(max_size=30)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer that h11 understands, or one that it may not."""
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * draw(st.integers(0, 2))
    status = draw(st.sampled_from([b"200 OK", b"204 No Content", b"404 Not Found", b"304 Not Modified"]))
    body = draw(BODIES)
    head = b"HTTP/1.1 " + status + b"\r\nDate: now\r\n"
    match draw(st.sampled_from(["length", "chunks", "trailers", "neither"])):
        case "length":
            framed = b"Content-Length: %d\r\n\r\n" % len(body) + body
        case "chunks":
            framed = b"Transfer-Encoding: chunked\r\n\r\n" + _chunks(draw, body) + b"0\r\n\r\n"
        case "trailers":
            framed = b"Transfer-Encoding: chunked\r\n\r\n" + _chunks(draw, body) + b"0\r\nA: b\r\n\r\n"
        case _:
            framed = b"\r\n" + body
    return interim + head + framed


def _chunks(draw: st.DrawFn, body: bytes) -> bytes:
    step = draw(st.integers(1, 10))
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


@given(answers(), st.binary(max_size=5))
def test_where_an_answer_ends_is_where_h11_says(answer: bytes, more: bytes) -> None:
    ends = message_length(answer + more)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer + more)
    try:
        while (event := client.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.EndOfMessage):
                assert ends in (None, len(answer + more) - len(client.trailing_data[0]))
                return
    except h11.RemoteProtocolError:
        return
    assert ends is None or ends > len(answer + more)
