"""Who else asks the HTTP server, and under which name: probes are answered, and strangers' pages are not."""

import os
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from threading import Event, Semaphore
from threading import enumerate as enumerate_threads

import pytest

from rotator.service.web import Web
from tests.served import PATHS, Served
from tests.shown import of_each_state


@pytest.fixture
def many_files() -> Iterator[None]:
    """The test holds both ends of its connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


NOTHING, DRIPPING, PIPELINE = (
    b"",
    b"GET / HTTP/1.1\r\nHost: a",
    b"GET /metrics HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n" * 9,
)


class TestVisitors:
    """Whoever else is there, and whatever they do or do not do, probes are answered."""

    @pytest.mark.usefixtures("many_files")
    @pytest.mark.parametrize("count", [127, 500, 2000])
    @pytest.mark.parametrize(
        "said", [NOTHING, DRIPPING, PIPELINE], ids=["nothing", "dripping", "never reads"]
    )
    def test_many_connections_that_stay(self, served: Served, count: int, said: bytes) -> None:
        with ExitStack() as stack:
            visitors = [stack.enter_context(served.connection()) for _ in range(count)]
            for visitor in visitors:
                with suppress(ConnectionError):  # it was let go
                    visitor.sendall(said)
            for path in ("/healthz", "/readyz", "/"):
                assert served.ask(path)[0].status == 200
            with suppress(ConnectionError):
                assert visitors[0].recv(1 << 20) == b"" or said is PIPELINE, "the oldest was let go"

    def test_those_that_never_read_a_long_answer(self) -> None:
        """Their sockets are never ready to be written to, so they must be ended without that."""
        long = b"# " + b"x" * 30_000
        with Web(("127.0.0.1", 0), lambda: of_each_state(3), lambda: long) as web, ExitStack() as stack:
            served = Served(web)
            web._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            for _ in range(150):
                visitor = stack.enter_context(served.connection(buffer=2048))
                visitor.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert visitor.recv(1) == b"H"  # the answer has been made
            for path in ("/healthz", "/readyz"):
                assert served.ask(path)[0].status == 200
            assert len(web._server.active_channels) <= 64 + 2

    def test_pages_that_are_being_made(self) -> None:
        """All that makes them is held up, and more loads wait than there are connections."""
        made, go = Semaphore(0), Event()

        def slow() -> bytes:
            made.release()
            go.wait()
            return b""

        with Web(("127.0.0.1", 0), lambda: of_each_state(3), slow) as web, ExitStack() as stack:
            served = Served(web)
            for _ in range(300):
                visitor = stack.enter_context(served.connection())
                visitor.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(4):
                made.acquire()
            try:
                for path in ("/healthz", "/readyz"):
                    assert served.ask(path)[0].status == 200
            finally:
                go.set()

    @pytest.mark.parametrize("path", ["/", "/status.json"])
    def test_what_takes_long_is_made_by_turns(self, served: Served, path: str) -> None:
        """All at once, a probe would wait for its turn to compute among them."""
        with ThreadPoolExecutor(4) as loads:
            with served.web._app._turn:
                loading = [loads.submit(served.ask, path) for _ in range(4)]
                for probe in ("/healthz", "/readyz"):
                    assert served.ask(probe)[0].status == 200
                assert not any(load.done() for load in loading)
            assert [load.result()[0].status for load in loading] == [200] * 4

    def test_what_is_no_request_is_said_to_be_none(self, served: Served) -> None:
        assert served.raw(b"nonsense\r\n\r\n").split()[1] == b"400"

    def test_its_threads_end(self, served: Served) -> None:
        threads = [thread for thread in enumerate_threads() if thread.name.startswith("waitress")]
        assert len(threads) == 4 + 1
        served.web.stop()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()

    def test_a_file_beyond_the_1024th(self, many_files: None) -> None:
        with ExitStack() as stack:
            for _ in range(1100):
                stack.enter_context(open(os.devnull))
            served = Served()
            with served.web:
                assert served.ask("/healthz")[0].status == 200


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST:9464",
            "localhost.:80",
            "rotator.localhost",
            "127.0.0.1",
            "10.0.0.5:9464",
            "[::1]",
            "[fd00::5]:9464",
            socket.gethostname(),
            f"{socket.gethostname().upper()}:9464",
            "rotator.rotator.svc:9464",
            "Rotator.Rotator.SVC",
        ],
    )
    def test_it_answers_to_its_names(self, host: str) -> None:
        served = Served(names=["rotator.rotator.svc"])
        with served.web:
            for path in PATHS:
                assert served.ask(path, Host=host)[0].status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "anything",
            "evil.example",
            "localhost.evil.example",
            "evil-localhost",
            "127.0.0.1.evil.example",
            "127.0.0.1, evil.example",
            "127.1",
            "10.0.0.5:x",
            "::1",
            "[10.0.0.5]",
            "user@localhost",
            "localhost/evil",
            "sub.rotator.rotator.svc",
            "rotator.rotator",
            "",
        ],
    )
    def test_it_says_nothing_to_another(self, host: str) -> None:
        served = Served(names=["rotator.rotator.svc"])
        with served.web:
            for path in [*PATHS, "/nothing"]:
                for method in ("GET", "POST"):
                    answer, text = served.ask(path, method, Host=host)
                    assert (answer.status, text) == (421, "this name is not in http.names\n")

    def test_the_host_in_the_request_line_counts(self, served: Served) -> None:
        asked = b"GET http://%s/status.json HTTP/1.1\r\nHost: %s\r\n\r\n"
        assert served.raw(asked % (b"evil.example", b"127.0.0.1")).startswith(b"HTTP/1.1 421")
        assert served.raw(asked % (b"127.0.0.1", b"evil.example")).startswith(b"HTTP/1.1 200")

    def test_two_hosts_are_none(self, served: Served) -> None:
        asked = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"
        assert served.raw(asked).split()[1] in (b"400", b"421")

    def test_who_names_none_is_no_browser(self, served: Served) -> None:
        assert served.raw(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")
