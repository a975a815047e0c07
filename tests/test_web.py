"""What is served, over real HTTP."""

import gzip
import json
import re
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from threading import Thread
from urllib.request import Request, urlopen

import pytest

from rotator.errors import ConfigError
from rotator.passes.result import KeyResult, Outcome
from rotator.redaction import Secret
from rotator.sandbox.faults import Fault, Phase, Rewrite
from rotator.service.web import Web
from rotator.show.snapshot import Snapshot
from tests.facts import at, managed
from tests.leaks import leaks
from tests.promises import Promises
from tests.scenes import ALL_SCENES, Scene
from tests.served import PATHS, Served
from tests.shown import REFUSED, of_each_state, one, passed, snapshot, together
from tests.world import World


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/operations", "text/html; charset=utf-8"),
        ("/status.json", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/readyz", "text/plain; charset=utf-8"),
    ],
)
def test_each_path(served: Served, path: str, kind: str) -> None:
    answer, text = served.ask(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert text
    head, nothing = served.ask(path, "HEAD")
    assert (head.status, nothing) == (200, "")
    assert int(head.headers["Content-Length"]) == len(text.encode())
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control"):
        assert answer.headers[name] == head.headers[name]
        assert answer.headers[name]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP ; q=0.5", True),
        ("gzip;q=1.0, identity; q=0.5", True),
        ("", False),
        ("br", False),
        ("xgzip", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
    ],
)
def test_it_is_packed_for_who_takes_it_so(served: Served, accepted: str, packed: bool) -> None:
    served.now = of_each_state(500)
    url = f"http://127.0.0.1:{served.web.port}/"
    with urlopen(Request(url, headers={"Accept-Encoding": accepted})) as answer:
        assert (answer.headers["Content-Encoding"] == "gzip") is packed
        assert answer.headers["Vary"] == "Accept-Encoding"
        content = answer.read()
    assert int(answer.headers["Content-Length"]) == len(content)
    assert (gzip.decompress(content) if packed else content).decode() == served.ask("/")[1]
    assert (len(content) < 80_000) is packed
    with urlopen(Request(f"{url}healthz", headers={"Accept-Encoding": accepted})) as small:
        assert small.headers["Content-Encoding"] is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_but_reading(served: Served, method: str) -> None:
    answer, _ = served.ask("/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/page.css",
        "/templates/page.html",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/status.json/",
        "/a%00",
    ],
)
def test_there_is_no_other_path(served: Served, path: str) -> None:
    assert served.raw(f"GET {path} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 404")


def test_the_host_that_is_asked_for_is_nowhere_in_the_answer(served: Served) -> None:
    for path in PATHS:
        answer, text = served.ask(path, Host="evil.example", **{"X-Forwarded-Host": "evil.example"})
        assert "evil" not in f"{answer.headers} {text}"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", b"413"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: strange\r\n\r\n", b"501"),
    ],
)
def test_what_is_too_big_or_no_request_is_refused(served: Served, sent: bytes, status: bytes) -> None:
    assert served.raw(sent).split()[1:2] in ([status], [])
    assert served.ask("/healthz")[0].status == 200


def test_connections_that_say_nothing_do_not_hold_up_the_others(served: Served) -> None:
    idle = [socket.create_connection(("127.0.0.1", served.web.port)) for _ in range(20)]
    for connection in idle:
        connection.sendall(b"GET / HTTP/1.1\r\n")
    assert served.ask("/healthz")[0].status == 200
    served.web.stop()
    for connection in idle:
        assert connection.recv(1) == b"", "closed by the server's end"
        connection.close()


def test_one_answer_for_each_connection(served: Served) -> None:
    """A client that asks on and on and does not read would hold the threads that answer."""
    for version in ("1.0\r\nConnection: keep-alive", "1.1", "1.1\r\nConnection: keep-alive"):
        answers = served.raw(f"GET /healthz HTTP/{version}\r\n\r\n".encode() * 3)
        assert answers.count(b"alive\n") == 1
        assert b"Connection: close" in answers


def test_readers_at_the_same_time(served: Served) -> None:
    statuses: list[int] = []
    readers = [Thread(target=lambda: statuses.append(served.ask("/")[0].status)) for _ in range(12)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert statuses == [200] * 12


def test_started_again_after_a_stop(served: Served) -> None:
    served.web.stop()
    served.web.stop()
    served.web.start()
    assert served.ask("/healthz")[0].status == 200


def test_an_address_that_is_taken_is_a_fault_of_the_config(served: Served) -> None:
    taken = Web(("127.0.0.1", served.web.port), lambda: served.now, lambda: b"")
    with pytest.raises(
        ConfigError, match=r"http\.listen: 127\.0\.0\.1 port \d+: Address already in use; write"
    ):
        taken.start()
    taken.stop()


def test_it_stops_whoever_else_wakes_the_thread_that_serves(served: Served) -> None:
    """Each answer does. So what ends the thread may be seen before its own call for attention."""
    server, thread = served.web._server, served.web._thread
    assert thread
    pull = server.trigger._physical_pull

    def late_pull() -> None:
        pull()
        thread.join()
        pull()

    server.trigger._physical_pull = late_pull
    served.web.stop()
    assert not thread.is_alive()


def test_over_ipv6() -> None:
    with Web(("::1", 0), lambda: of_each_state(3), lambda: b"") as web:
        connection = HTTPConnection("::1", web.port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"alive\n"
        connection.close()


class TestHealth:
    def test_it_is_dead_when_the_schedule_is(self, served: Served) -> None:
        assert served.ask("/healthz")[1] == "alive\n"
        served.now = replace(served.now, alive=False)
        assert served.ask("/healthz")[0].status == 503

    def test_it_is_alive_though_not_ready(self, served: Served) -> None:
        served.now = replace(served.now, passes=())
        assert served.ask("/healthz")[0].status == 200
        answer, text = served.ask("/readyz")
        assert (answer.status, text) == (503, "not ready: no pass has ended yet\n")

    def test_it_recovers_by_itself(self, served: Served) -> None:
        well = served.now = snapshot(passed(together(one(1)), at(30)))
        served.now = replace(well, next_pass=well.now - timedelta(seconds=61))
        answer, text = served.ask("/readyz")
        assert (answer.status, text) == (503, "not ready: the next pass is overdue\n")
        served.now = replace(served.now, running_since=well.now)
        assert served.ask("/readyz")[1] == "ready\n"
        served.now = replace(served.now, running_since=well.now - timedelta(minutes=61))
        answer, text = served.ask("/readyz")
        assert (answer.status, text) == (503, "not ready: the pass that is being made does not end\n")
        served.now = well
        assert served.ask("/readyz")[1] == "ready\n"

    def test_a_snapshot_that_cannot_be_had_is_an_error_without_words(self) -> None:
        def broken() -> Snapshot:
            raise RuntimeError("sk-0123456789abcdef0123456789abcdef")

        served = Served()
        with Web(("127.0.0.1", 0), broken, lambda: b"") as served.web:
            answer, text = served.ask("/healthz")
        assert answer.status == 500
        assert "sk-" not in text
        assert "Traceback" not in text


class TestPage:
    def names(self, text: str) -> list[str]:
        return re.findall(r'<span class="name">([^<]*)</span>', text)

    def test_every_key_with_its_state_in_words(self, served: Served) -> None:
        _, text = served.ask("/")
        assert self.names(text)[:3] == ["Batch", "Reporting", "Mobile clients (legacy-api)/eu"], (
            "what needs attention is first"
        )
        for word in ("1 failed", "1 revocation failed", "1 unknown", "1 stopped", "1 held", "1 due", "2 ok"):
            assert f"{word}</span>" in text
        assert str(REFUSED.request_id) in text
        assert "Cure: ask the gateway&#39;s support, and name the request_id" in text
        assert "superseded 7001 goes in 14h 20m" in text
        assert "orphan 5003 goes in 9m" in text
        assert "Vault answers 403" in text

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("q=REPORT", ["Reporting"]),
            ("q=failed", ["Batch", "Reporting"]),
            ("q=service-004", ["Batch"]),
            ("q=apimall+held", ["Mobile clients (legacy-api)/eu"]),
            ("q=nothing+like+it", []),
            ("q=%3Cscript%3E", []),
            ("sort=name&q=ok", ["Archive", "Production backend", "Search"]),
            ("sort=next&q=ok", ["Archive", "Production backend", "Search"]),
            ("sort=age&q=failed", ["Reporting", "Batch"]),
            ("sort=nonsense&q=failed", ["Batch", "Reporting"]),
            ("a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&q=Batch", None),
        ],
    )
    def test_search_and_sort_without_a_script(
        self, served: Served, query: str, names: list[str] | None
    ) -> None:
        found = self.names(served.ask(f"/?{query}")[1])
        assert len(found) == 8 if names is None else found == names

    @pytest.mark.parametrize(
        ("count", "query", "offered"),
        [(8, "", False), (9, "", False), (10, "", True), (8, "?q=Batch", True), (8, "?sort=name", True)],
    )
    def test_a_search_is_offered_where_there_is_enough_to_search_or_one_was_made(
        self, served: Served, count: int, query: str, offered: bool
    ) -> None:
        served.now = of_each_state(count)
        assert ('<div data-part="finds" hidden>' in served.ask(f"/{query}")[1]) is not offered

    @pytest.mark.parametrize(
        "query", ["q=%00%ff&sort=%00", "q=" + "a" * 8_000, "sort=__class__", "=&;&&", "q=%"]
    )
    def test_a_hostile_query_is_answered(self, served: Served, query: str) -> None:
        answer, text = served.ask(f"/?{query}")
        assert answer.status == 200
        assert text.endswith("</html>")

    def test_what_is_searched_for_is_shown_and_escaped(self, served: Served) -> None:
        _, text = served.ask("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=name")
        assert "<script>alert" not in text
        assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in text
        assert '<option value="name" selected>' in text
        assert "0 of 8 fit the search" in text

    def test_what_a_key_is_called_cannot_become_markup(self, served: Served) -> None:
        nasty = one(1, name='<img src=x onerror="alert(1)">', errors=(REFUSED,), outcome=Outcome.FAILED)
        served.now = snapshot(passed(together(nasty), at(30)))
        assert "<img" not in served.ask("/")[1]

    def test_before_the_first_pass(self, served: Served) -> None:
        served.now = snapshot(now=at(30))
        _, text = served.ask("/")
        assert "no pass yet" in text
        assert "Nothing is known before the first pass ends" in text
        assert "<strong>Not ready:</strong> no pass has ended yet" in text

    def test_while_a_pass_is_made_it_says_so(self, served: Served) -> None:
        assert ", next in 9m</p>" in served.ask("/")[1]
        served.now = replace(served.now, running_since=at(30))
        assert ", one is being made</p>" in served.ask("/")[1]

    def test_why_it_is_not_ready_is_said_once(self, served: Served) -> None:
        served.now = snapshot(passed(None, at(30), REFUSED))
        _, text = served.ask("/")
        assert "not ready</span>" in text
        assert text.count('class="banner"') == 1
        served.now = replace(served.now, alive=False)  # which is something else
        assert served.ask("/")[1].count('class="banner"') == 2

    def test_of_a_key_that_no_pass_could_read_nothing_is_claimed(self, served: Served) -> None:
        unread = KeyResult(replace(managed(), name="Unread"), Outcome.FAILED, errors=(REFUSED,))
        served.now = snapshot(passed(together(unread), at(30)))
        _, text = served.ask("/")
        assert text.count("not known") == 2
        assert "retrying in 9m" in text
        assert ">none<" not in text

    def test_more_keys_than_are_shown_are_found_by_searching(self, served: Served) -> None:
        served.now = of_each_state(510)
        _, text = served.ask("/")
        assert len(self.names(text)) == 500
        assert "The first 500 are shown" in text
        assert self.names(served.ask("/?q=Service+510")[1]) == ["Service 510"]

    def test_it_needs_nothing_from_elsewhere(self, served: Served) -> None:
        _, text = served.ask("/")
        assert not re.findall(r"(?:https?:)?//[a-z]", text)
        assert not re.findall(r'\s(?:style|on[a-z]+)="', text)


def test_what_it_says_is_what_the_json_says(served: Served) -> None:
    told = json.loads(served.ask("/status.json")[1])
    assert [key["name"] for key in told["keys"]][:2] == ["Production backend", "Reporting"]
    assert told["ready"] is True


@pytest.mark.parametrize("scene", ALL_SCENES)
def test_no_secret_and_no_preview_on_any_path(scene: Scene, world: World, served: Served) -> None:
    scene(world, Promises(world, world.store))
    world.server.faults.add(Fault("POST /keys", Rewrite(_as_an_error), at=Phase.AFTER, times=1))
    for _ in range(3):
        world.make_pass(forced=True)
        world.advance(1, minutes=16)
    served.now = snapshot(*(passed(result, result.now) for result in reversed(world.log)))
    shown = "".join(str(served.ask(path)) for path in PATHS)
    ledger = world.server.account.keys
    assert leaks(shown, [key.plaintext for key in ledger]) == []
    assert [key.id for key in ledger if key.preview in shown] == []


def _as_an_error(envelope: dict[str, object]) -> object:
    return {"success": False, "error": {"code": "internal_error", "message": str(envelope.get("data"))}}


def test_a_secret_in_an_error_is_redacted(served: Served) -> None:
    token = Secret("hvs.a-token-that-slipped-into-a-message")
    error = type(REFUSED)(f"403 for {token.reveal()}", cure=token.reveal())
    slipped = replace(one(1), errors=(error,))
    served.now = snapshot(passed(None, at(30), error), passed(together(slipped), at(30)))
    for path in PATHS:
        assert leaks(served.ask(path)[1], [token.reveal()]) == []


def test_what_the_reader_searches_for_is_shown_as_it_is(served: Served) -> None:
    """Redacted, it would tell whether ten characters are of a secret."""
    Secret("0123456789abcdef")
    assert 'name="q" value="0123456789"' in served.ask("/?q=0123456789")[1]


def test_a_single_pass_imports_none_of_it() -> None:
    """What it takes to start is waited for at each pass of a CronJob."""
    program = (
        "import sys, rotator.commands.run; "
        "print([name for name in ('rotator.service.web', 'rotator.service.metrics', 'jinja2', 'waitress', "
        "'prometheus_client') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
