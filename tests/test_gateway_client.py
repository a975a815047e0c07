"""The gateway client over real HTTP, against the contract and against what breaks it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest

from rotator.clients.gateway.bearer import Bearer, usable
from rotator.clients.gateway.client import MAX_ANSWER_BYTES, Gateway
from rotator.clients.gateway.clock import GatewayClock
from rotator.clients.governor import HURRY, Governor
from rotator.errors import BrokenContract, Denied, Limited, Rejected, RotatorError, Transient
from rotator.passes.stopping import Stopped
from rotator.redaction import Secret
from rotator.sandbox.faults import (
    ALWAYS,
    GARBAGE,
    Body,
    Cut,
    Drip,
    Fault,
    Phase,
    Status,
    Truncate,
    data_with,
)
from rotator.sandbox.ledger import Quirks, RateLimit, RetryAfter
from rotator.sandbox.server import GatewayServer
from tests.facts import DAY
from tests.serving import reply, serving
from tests.warrants import warrant
from tests.world import QUICK, new_server

BEARER = "sk-" + "b" * 48
ANY = timedelta(days=3650)
EMPTY = {"success": True, "data": [], "request_id": "req_1"}


@contextmanager
def client(
    url: str,
    bearer: str = BEARER,
    *,
    timeout: float = 5,
    sleep: Callable[[float], None] = lambda _: None,
    governor: Governor | None = None,
) -> Iterator[Gateway]:
    gateway = Gateway(
        url,
        Bearer([lambda: usable(bearer)]),
        timeout=timedelta(seconds=timeout),
        policy=QUICK,
        sleep=sleep,
        clock=GatewayClock(ANY),
        governor=governor,
    )
    yield gateway


def _stop(_seconds: float) -> None:
    raise Stopped


@pytest.fixture
def server() -> Iterator[GatewayServer]:
    with new_server() as running:
        yield running


@pytest.fixture
def gateway(server: GatewayServer) -> Iterator[Gateway]:
    with client(server.url, server.account.bootstrap.plaintext) as made:
        yield made


class TestTheContract:
    def test_create_list_authenticate_revoke(self, server: GatewayServer, gateway: Gateway) -> None:
        created = gateway.create("a title")
        assert gateway.authenticates(created.plaintext).works
        assert [(key.id, key.title, key.live) for key in gateway.list_keys().keys] == [
            (1, "bootstrap", True),
            (created.id, "a title", True),
        ]
        gateway.revoke(warrant(created.id))
        assert not gateway.authenticates(created.plaintext).works
        assert [key.live for key in gateway.list_keys().keys] == [True, False]
        assert created.plaintext.reveal() == server.account.keys[1].plaintext

    @pytest.mark.parametrize("page_size", [1, 2, 5, 6, 100])
    def test_every_page_is_fetched(self, server: GatewayServer, gateway: Gateway, page_size: int) -> None:
        for n in range(5):
            server.account.create(f"key {n}")
        server.account.quirks = Quirks(page_size=page_size)
        assert [key.id for key in gateway.list_keys().keys] == [1, 2, 3, 4, 5, 6]

    def test_a_server_that_ignores_the_page_is_no_endless_list(self, server: GatewayServer) -> None:
        items = {"items": [_row(1), _row(2)]}
        with serving(reply(200, {**EMPTY, "data": items})) as url, client(url) as gateway:
            assert len(gateway.list_keys().keys) == 2

    @pytest.mark.parametrize(
        ("limit", "match"), [("MAX_PAGES", "over 3 pages"), ("MAX_LIST_BYTES", "over 3 bytes")]
    )
    def test_a_list_without_end_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, limit: str, match: str
    ) -> None:
        monkeypatch.setattr(f"rotator.clients.gateway.client.{limit}", 3)
        count = iter(range(1, 100))

        def more(handler: BaseHTTPRequestHandler) -> None:
            reply(200, {**EMPTY, "data": {"items": [_row(next(count))]}})(handler)

        with serving(more) as url, client(url) as gateway, pytest.raises(BrokenContract, match=match):
            gateway.list_keys()

    def test_a_failed_page_is_repeated_and_not_the_whole_list(
        self, server: GatewayServer, gateway: Gateway
    ) -> None:
        server.account.create("second")
        server.account.quirks = Quirks(page_size=1)
        gateway.list_keys()
        before = len(server.requests)
        server.faults.add(Fault("GET /keys", Status(500)))
        server.faults.add(Fault("GET /keys", Status(429, retry_after="0")))
        assert len(gateway.list_keys().keys) == 2
        assert len(server.requests) - before == 5

    def test_time_is_the_gateways_and_runs_on(self, server: GatewayServer, gateway: Gateway) -> None:
        assert gateway.list_keys().now == pytest.approx(DAY, abs=timedelta(seconds=5))
        server.account.clock.advance(timedelta(days=30))
        gateway.list_keys()
        assert timedelta() <= gateway.now() - (DAY + timedelta(days=30)) < timedelta(minutes=5)

    def test_ids_of_19_digits(self, server: GatewayServer, gateway: Gateway) -> None:
        big = 2**63 - 1
        server.faults.add(Fault("POST /keys", data_with(id=big), at=Phase.AFTER))
        assert gateway.create("a title").id == big
        server.faults.add(Fault("GET /keys", data_with(id=big), at=Phase.AFTER))
        assert {key.id for key in gateway.list_keys().keys} == {big}

    @pytest.mark.parametrize("status", [400, 403, 404, 409, 410])
    def test_a_revoke_that_is_repeated_and_refused_is_done_where_the_list_says_so(
        self, server: GatewayServer, gateway: Gateway, status: int
    ) -> None:
        created = gateway.create("a title")
        server.faults.add(Fault("DELETE /keys/*", Status(502), at=Phase.AFTER))
        server.faults.add(Fault("DELETE /keys/*", Status(status), at=Phase.AFTER, times=ALWAYS))
        gateway.revoke(warrant(created.id))

    def test_a_revoke_is_idempotent(self, gateway: Gateway) -> None:
        created = gateway.create("a title")
        gateway.revoke(warrant(created.id))
        gateway.revoke(warrant(created.id))
        gateway.revoke(warrant(999))

    def test_the_bearer_cannot_revoke_itself(self, gateway: Gateway) -> None:
        with pytest.raises(Rejected, match="you cannot revoke the currently used key") as raised:
            gateway.revoke(warrant(1))
        assert raised.value.request_id

    def test_an_error_carries_the_gateways_code_message_and_request_id(
        self, server: GatewayServer, gateway: Gateway
    ) -> None:
        with pytest.raises(Rejected, match=r"POST /keys: 400 \(invalid_request: Invalid title\)") as raised:
            gateway.create("")
        assert raised.value.request_id == server.requests[-1].request_id

    def test_a_refused_bearer_is_denied(self, server: GatewayServer) -> None:
        with client(server.url) as gateway, pytest.raises(Denied, match="401"):
            gateway.list_keys()

    @pytest.mark.parametrize("value", ["", "a b", "sk-\n", "schlüssel"])
    def test_what_cannot_be_sent_does_not_authenticate(
        self, server: GatewayServer, gateway: Gateway, value: str
    ) -> None:
        assert not gateway.authenticates(Secret(value)).works
        assert server.requests == ()


class TestWhatMayBeRepeated:
    @pytest.mark.parametrize(
        ("do", "ambiguous"),
        [
            (Status(429), False),
            (Status(500), True),
            (Status(502), True),
            (Cut(), True),
            (Truncate(5), True),
            (Drip(0.3), True),
        ],
    )
    def test_create_says_whether_it_may_have_happened(
        self, server: GatewayServer, do: object, ambiguous: bool
    ) -> None:
        server.faults.add(Fault("POST /keys", do, at=Phase.AFTER))  # type: ignore[arg-type]
        with client(server.url, server.account.bootstrap.plaintext, timeout=0.5) as gateway:
            with pytest.raises(Transient) as raised:
                gateway.create("a title")
        assert raised.value.ambiguous is ambiguous

    def test_no_connection_is_not_ambiguous(self) -> None:
        with new_server() as gone:
            url = gone.url
        with client(url) as gateway, pytest.raises(Transient, match="Connection refused") as raised:
            gateway.create("a title")
        assert not raised.value.ambiguous

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("7", 7),
            ("Sun, 01 Nov 2026 00:00:30 GMT", 30),
            ("Sat, 31 Oct 2026 00:00:00 GMT", 0),
            ("soon", None),
        ],
    )
    def test_retry_after_in_both_forms(
        self, server: GatewayServer, gateway: Gateway, header: str, seconds: float | None
    ) -> None:
        server.faults.add(Fault("POST /keys", Status(429, retry_after=header)))
        with pytest.raises(Transient) as raised:
            gateway.create("a title")
        assert raised.value.retry_after == seconds

    def test_a_look_after_a_revocation_is_given_up_as_early(
        self, server: GatewayServer, gateway: Gateway
    ) -> None:
        """The list is asked again where it lags. It is not also asked again for each time that it fails."""
        gateway.revoke(warrant(server.account.create("old").id))
        server.faults.add(Fault("GET /keys", Status(503), times=ALWAYS))
        before = len(server.requests)
        with pytest.raises(Transient):
            gateway.unrevoked()
        assert len(server.requests) - before == QUICK.attempts

    def test_reads_and_revokes_are_repeated_and_then_given_up(
        self, server: GatewayServer, gateway: Gateway
    ) -> None:
        server.faults.add(Fault("GET /keys", Cut(), times=3))
        assert gateway.list_keys().keys
        server.faults.add(Fault("GET /keys", Status(503), times=ALWAYS))
        before = len(server.requests)
        with pytest.raises(Transient):
            gateway.list_keys()
        assert len(server.requests) - before == QUICK.attempts


STILL_A_KEY = {"id is text", "success is false", "success is text", "time without offset"}
"""Garbage around a plaintext."""


class TestWhatBreaksTheContract:
    @pytest.mark.parametrize("name", [name for name in GARBAGE if name not in STILL_A_KEY])
    def test_garbage_for_a_created_key_is_named_and_never_shown(
        self, server: GatewayServer, gateway: Gateway, name: str
    ) -> None:
        server.faults.add(Fault("POST /keys", GARBAGE[name], at=Phase.AFTER))
        with pytest.raises(BrokenContract, match="POST /keys: the answer breaks the contract: ") as raised:
            gateway.create("a title")
        assert server.account.keys[1].plaintext[8:40] not in repr(raised.value) + str(raised.value)
        assert "Welcome" not in str(raised.value)
        assert "if a key was made all the same, a pass revokes it after" in str(raised.value.cure)

    def test_the_field_and_the_request_id_are_named(self, server: GatewayServer, gateway: Gateway) -> None:
        server.faults.add(Fault("GET /keys", GARBAGE["id is text"], at=Phase.AFTER))
        with pytest.raises(BrokenContract, match=r"data\.0\.id is not an integer") as raised:
            gateway.list_keys()
        assert raised.value.request_id == server.requests[-1].request_id

    def test_many_faults_are_counted(self, server: GatewayServer, gateway: Gateway) -> None:
        server.faults.add(Fault("GET /keys", Body(b'{"success": true, "data": [{}]}')))
        with pytest.raises(BrokenContract, match=r"\(and 2 more\)"):
            gateway.list_keys()

    @pytest.mark.parametrize("data", ["[{}, {}, {}]", '{"items": [{}, {}, {}]}'])
    def test_of_many_wrong_rows_the_first_is_enough(
        self, server: GatewayServer, gateway: Gateway, data: str
    ) -> None:
        server.faults.add(Fault("GET /keys", Body(b'{"success": true, "data": %s}' % data.encode())))
        with pytest.raises(BrokenContract, match=r"data\..*0\.id is missing.*\(and 2 more\)"):
            gateway.list_keys()

    def test_an_answer_that_is_too_large(self, server: GatewayServer, gateway: Gateway) -> None:
        server.faults.add(Fault("GET /keys", Body(b" " * (MAX_ANSWER_BYTES + 1))))
        with pytest.raises(BrokenContract, match=f"over {MAX_ANSWER_BYTES} bytes"):
            gateway.list_keys()

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_other_statuses_are_not_followed_nor_believed(self, status: int) -> None:
        with serving(reply(status, raw=b"")) as url, client(url) as gateway:
            with pytest.raises(BrokenContract, match=f"status {status} is not in the contract"):
                gateway.list_keys()

    @pytest.mark.parametrize("status", [201, 204])
    def test_a_success_without_the_contracts_body_is_none(self, status: int) -> None:
        with serving(reply(status, raw=b"")) as url, client(url) as gateway:
            with pytest.raises(BrokenContract, match="the body is not JSON"):
                gateway.list_keys()

    @pytest.mark.parametrize("status", [200, 201, 203])
    def test_any_2xx_with_it_is_one(self, status: int) -> None:
        with serving(reply(status, EMPTY)) as url, client(url) as gateway:
            assert gateway.list_keys().keys == ()

    def test_a_wrong_path_is_the_urls_fault(self, server: GatewayServer) -> None:
        with client(server.url.removesuffix("/v1")) as gateway:
            with pytest.raises(Rejected, match=r"GET /keys: 404.*it must be the API's base URL"):
                gateway.list_keys()

    def test_a_stop_is_heeded_between_two_pages(self, server: GatewayServer, gateway: Gateway) -> None:
        server.account.quirks = Quirks(page_size=1)
        for number in range(3):
            server.account.create(f"K{number}")
        assert len(gateway.list_keys().keys) == 4
        before = len(server.requests)
        with client(server.url, server.account.bootstrap.plaintext, sleep=_stop) as stopped:
            with pytest.raises(Stopped):
                stopped.list_keys()
        assert len(server.requests) == before + 1

    def test_who_is_hurried_is_not_held_up_by_a_limit_for_long(self, server: GatewayServer) -> None:
        """As between create and store, after a request to stop."""
        server.account.quirks = Quirks(rate_limit=RateLimit(0, timedelta(days=1), RetryAfter.SECONDS))
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        governor = Governor(8, sleep, clock=lambda: now[0], hurried=lambda: True)
        bearer = server.account.bootstrap.plaintext
        with client(server.url, bearer, sleep=sleep, governor=governor) as hurried:
            with pytest.raises(Limited):
                hurried.list_keys()
        assert len(server.requests) == QUICK.attempts
        assert now[0] <= QUICK.attempts * (HURRY + 1)

    def test_a_limit_on_creates_alone_is_told_from_one_on_all(
        self, server: GatewayServer, gateway: Gateway
    ) -> None:
        server.faults.add(Fault("POST /keys", Status(429, retry_after="0"), times=ALWAYS))
        now = [0.0]
        gateway.governor = Governor(8, lambda seconds: now.append(now.pop() + seconds), clock=lambda: now[0])
        for _ in range(10):
            gateway.list_keys()
            with pytest.raises(Limited):
                gateway.create("K")
        assert gateway.governor._paces.is_limited_by_itself("POST")

    def test_a_redirect_does_not_get_the_bearer(self, server: GatewayServer) -> None:
        def redirect(handler: BaseHTTPRequestHandler) -> None:
            reply(307, headers={"Location": server.url + "/keys"})(handler)

        with serving(redirect) as url, client(url) as gateway, pytest.raises(BrokenContract):
            gateway.list_keys()
        assert server.requests == ()

    def test_without_a_date_the_time_is_in_doubt(self) -> None:
        def dateless(handler: BaseHTTPRequestHandler) -> None:
            handler.date_time_string = lambda *_: "today"  # type: ignore[method-assign]
            reply(200, EMPTY)(handler)

        with serving(dateless) as url, client(url) as gateway:
            assert abs(gateway.list_keys().now - datetime.now(UTC)) < timedelta(minutes=5)
            assert "no single Date" in str(gateway.clock.doubt)

    @pytest.mark.parametrize("request_id", ["x" * 129, "a\nb", "", 5, None])
    def test_a_request_id_that_is_none_is_left_out(self, request_id: object) -> None:
        body = {"success": False, "error": {"code": 5}, "request_id": request_id}
        with serving(reply(400, body)) as url, client(url) as gateway, pytest.raises(Rejected) as raised:
            gateway.list_keys()
        assert raised.value.request_id is None


FIRST, SECOND = "1" * 20, "2" * 20
"""Not of one letter: what is a secret once is redacted from all that this process shows later."""


class TestTheBearer:
    def test_the_first_source_that_has_one_wins(self) -> None:
        sources = [lambda: None, lambda: usable(f" {FIRST} "), lambda: usable(SECOND)]
        assert Bearer(sources).current() == Secret(FIRST)

    def test_no_source_has_one(self) -> None:
        with pytest.raises(Rejected, match="put one where"):
            Bearer([lambda: None]).current()

    def test_what_is_no_key_is_refused_without_showing_it(self) -> None:
        with pytest.raises(RotatorError, match="store the key alone") as raised:
            usable("two words")
        assert "two" not in str(raised.value)

    def test_a_refresh_reads_again_only_what_was_refused(self) -> None:
        values = iter([FIRST, SECOND, "3" * 20])
        bearer = Bearer([lambda: usable(next(values))])
        first = bearer.current()
        assert bearer.refresh(first)
        assert bearer.current() == Secret(SECOND)
        assert bearer.refresh(first)
        assert bearer.current() == Secret(SECOND)

    def test_a_refresh_that_finds_the_same_is_none(self) -> None:
        bearer = Bearer([lambda: usable(FIRST)])
        assert not bearer.refresh(bearer.current())

    def test_it_knows_where_it_was_read(self) -> None:
        bearer = Bearer([lambda: None, lambda: usable(FIRST, "gateway.api_key.env KEY")])
        bearer.current()
        assert bearer.place() == "gateway.api_key.env KEY"


def _row(id_: int) -> dict[str, object]:
    created = datetime(2037, 11, 1, tzinfo=UTC).isoformat()
    return {"id": id_, "title": "t", "status": "created", "created_at": created, "key_preview": "sk-..."}
