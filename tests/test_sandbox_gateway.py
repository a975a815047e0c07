"""The sandbox's gateway keeps the contract: each rule, seen through a plain HTTP client."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from rotator.sandbox.ledger import Clock, Lag, Ledger, Quirks, RateLimit, RetryAfter
from rotator.sandbox.server import MAX_BODY, GatewayServer
from tests.plain_client import Answer, Client

START = datetime(2026, 11, 21, 9, 50, tzinfo=UTC)
REQUEST_ID = r"req_[0-9A-HJKMNP-TV-Z]{26}"


@pytest.fixture
def gateway() -> Iterator[GatewayServer]:
    with GatewayServer(Ledger(Clock(START, frozen=True))) as running:
        yield running


def refusal(answer: Answer) -> tuple[int, str, str]:
    assert answer.json["success"] is False
    assert re.fullmatch(REQUEST_ID, answer.json["request_id"])
    return answer.status, answer.json["error"]["code"], answer.json["error"]["message"]


def test_create_answers_the_plaintext_and_it_works(gateway: GatewayServer, call: Client) -> None:
    answer = call("POST", "/keys", {"title": "Production backend"})
    key = gateway.account.keys[1]
    assert answer.status == 200
    assert answer.json == {
        "success": True,
        "data": {
            "id": 2,
            "title": "Production backend",
            "status": "created",
            "created_at": "2026-11-21T09:50:00.000Z",
            "api_key": key.plaintext,
        },
        "request_id": answer.json["request_id"],
    }
    assert re.fullmatch(REQUEST_ID, answer.json["request_id"])
    assert key.created_by == 1
    assert call("GET", "/account/balances", Authorization=f"bearer {key.plaintext}").status == 200


def test_the_list_masks_and_shows_revoked_keys(gateway: GatewayServer, call: Client) -> None:
    key = gateway.account.create("Reporting")
    gateway.account.revoke(key.id)
    answer = call("GET", "/keys?page=7")
    assert answer.data[1] == {
        "id": 2,
        "title": "Reporting",
        "status": "revoked",
        "created_at": "2026-11-21T09:50:00.000Z",
        "key_preview": f"{key.plaintext[:7]}...{key.plaintext[-4:]}",
    }
    assert key.plaintext not in json.dumps(answer.json)
    gateway.account.quirks = Quirks(lists_revoked=False)
    assert [listed["id"] for listed in call("GET", "/keys").data] == [1]


def test_balances_are_small(call: Client) -> None:
    assert set(call("GET", "/account/balances").data) == {"credits", "api_credits"}


def test_revoke_ends_a_key_once(gateway: GatewayServer, call: Client) -> None:
    key = gateway.account.create("Reporting")
    assert call("DELETE", "/keys/2").data == {"id": 2, "status": "revoked"}
    assert gateway.account.keys[1].revoked_by == 1
    assert refusal(call("DELETE", "/keys/2"))[:2] == (404, "not_found")
    refused = call("GET", "/keys", Authorization=f"Bearer {key.plaintext}")
    assert refusal(refused) == (401, "unauthorized", "Unauthorized")


def test_the_bearer_cannot_revoke_itself(gateway: GatewayServer, call: Client) -> None:
    status, code, message = refusal(call("DELETE", "/keys/1"))
    assert (status, code) == (400, "invalid_request")
    assert message == "you cannot revoke the currently used key from the same request context"
    assert gateway.account.keys[0].live


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer sk-unknown", "Basic abc", "sk-unknown"])
def test_a_bearer_is_required(gateway: GatewayServer, call: Client, authorization: str) -> None:
    for method, path in (("POST", "/keys"), ("GET", "/keys"), ("DELETE", "/keys/1"), ("GET", "/nowhere")):
        answer = call(method, path, {"title": "t"}, Authorization=authorization)
        assert refusal(answer) == (401, "unauthorized", "Unauthorized")
    assert [key.live for key in gateway.account.keys] == [True]


def test_only_the_bearer_scheme_is_taken(gateway: GatewayServer, call: Client) -> None:
    for scheme, status in (("Basic", 401), ("BEARER", 200)):
        authorization = f"{scheme} {gateway.account.bootstrap.plaintext}"
        assert call("GET", "/keys", Authorization=authorization).status == status


@pytest.mark.parametrize("body", [{}, {"title": None}, {"title": 5}, {"title": ""}, {"title": "t" * 256}])
def test_a_title_is_a_string_of_1_to_255(gateway: GatewayServer, call: Client, body: object) -> None:
    assert refusal(call("POST", "/keys", body)) == (400, "invalid_request", "Invalid title")
    assert len(gateway.account.keys) == 1


def test_the_longest_title_is_taken(call: Client) -> None:
    assert call("POST", "/keys", {"title": "t" * 255}).status == 200


@pytest.mark.parametrize(
    "body", [b"", b"title=t", b'["title"]', b'"title"', b"{", b"\xff", pytest.param(b"[" * 60_000, id="deep")]
)
def test_only_json_objects_are_taken(call: Client, body: bytes) -> None:
    assert refusal(call("POST", "/keys", body))[:2] == (400, "invalid_request")


def test_json_must_be_called_json(call: Client) -> None:
    for media_type, status in (("text/plain", 400), ("Application/JSON; charset=utf-8", 200)):
        assert call("POST", "/keys", {"title": "t"}, Content_Type=media_type).status == status


@pytest.mark.parametrize("path", ["/", "/keys/", "/keys/x", "/keys/-1", "/keys/1/x", "/webhooks", "/keysx"])
def test_unknown_paths_are_not_found(call: Client, path: str) -> None:
    assert refusal(call("GET", path))[:2] == (404, "not_found")


def test_nothing_is_served_beside_the_base_url(gateway: GatewayServer, call: Client) -> None:
    for path in ("/keys", "/api/v1", "/api/v2/keys", "/"):
        call.connection.request("GET", path, headers=call.headers)
        answer = call.connection.getresponse()
        assert json.loads(answer.read())["error"]["code"] == "not_found"
    assert gateway.requests == ()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/keys", "GET, POST"),
        ("PUT", "/keys", "GET, POST"),
        ("GET", "/keys/1", "DELETE"),
        ("PATCH", "/keys/1", "DELETE"),
        ("POST", "/account/balances", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(call: Client, method: str, path: str, allowed: str) -> None:
    answer = call(method, path)
    assert refusal(answer)[:2] == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


def test_another_host_is_forbidden(gateway: GatewayServer, call: Client) -> None:
    for host, status in (
        ("gateway.example", 403),
        ("127.0.0.1.example", 403),
        ("localhost:1", 200),
        ("[::1]:1", 200),
    ):
        assert call("GET", "/keys", Host=host).status == status


def test_every_answer_carries_the_account_s_time(gateway: GatewayServer, call: Client) -> None:
    gateway.account.clock.advance(timedelta(days=30))
    expected = format_datetime(START + timedelta(days=30), usegmt=True)
    assert call("GET", "/keys").headers["Date"] == expected
    assert call("GET", "/keys", Authorization="").headers["Date"] == expected
    assert call("POST", "/keys", {"title": "t"}).data["created_at"] == "2026-12-21T09:50:00.000Z"


def test_a_connection_is_kept_alive(call: Client) -> None:
    call("GET", "/keys")
    kept = call.connection.sock
    call("POST", "/keys", {}, Authorization="")
    assert call.connection.sock is kept is not None


@pytest.mark.parametrize("headers", [{"Content-Length": str(MAX_BODY + 1)}, {"Transfer-Encoding": "chunked"}])
def test_a_body_of_unknown_or_great_length_is_refused(call: Client, headers: dict[str, str]) -> None:
    call.connection.putrequest("POST", "/api/v1/keys")
    for name, value in headers.items():
        call.connection.putheader(name, value)
    call.connection.endheaders()
    answer = call.connection.getresponse()
    assert (answer.status, answer.will_close) == (400, True)
    assert json.loads(answer.read())["error"]["code"] == "invalid_request"


def test_pages_are_cut_to_size(gateway: GatewayServer, call: Client) -> None:
    for number in range(4):
        gateway.account.create(str(number))
    gateway.account.quirks = Quirks(page_size=2)

    def page(query: str) -> tuple[list[int], int, int]:
        data = call("GET", f"/keys{query}").data
        return [item["id"] for item in data["items"]], data["page"], data["limit"]

    assert page("") == ([1, 2], 1, 2)
    assert page("?page=3&limit=100") == ([5], 3, 2)
    assert page("?page=4") == ([], 4, 2)
    assert page("?page=2&limit=1") == ([2], 2, 1)
    for query in ("?page=0", "?page=x", "?limit=0", "?page=1e3"):
        assert refusal(call("GET", f"/keys{query}"))[:2] == (400, "invalid_request")


def test_a_new_key_may_be_refused_and_unlisted_for_a_while(gateway: GatewayServer, call: Client) -> None:
    gateway.account.quirks = Quirks(propagation=Lag(requests=1), list_lag=Lag(requests=1))
    created = call("POST", "/keys", {"title": "t"}).data
    bearer = f"Bearer {created['api_key']}"
    statuses = [call("GET", "/account/balances", Authorization=bearer).status for _ in range(2)]
    assert statuses == [401, 200]
    assert [len(call("GET", "/keys").data) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("how", "expected"),
    [(None, None), (RetryAfter.SECONDS, "45"), (RetryAfter.DATE, "Sat, 21 Nov 2026 09:51:00 GMT")],
)
def test_the_rate_is_limited(
    gateway: GatewayServer, call: Client, how: RetryAfter | None, expected: str | None
) -> None:
    gateway.account.quirks = Quirks(rate_limit=RateLimit(1, timedelta(minutes=1), how))
    assert call("GET", "/keys").status == 200
    gateway.account.clock.advance(timedelta(seconds=15.4))
    limited = call("POST", "/keys", {"title": "t"})
    assert refusal(limited) == (429, "rate_limited", "Rate limit exceeded")
    assert limited.headers.get("Retry-After") == expected
    assert len(gateway.account.keys) == 1
    gateway.account.clock.advance(timedelta(seconds=45))
    assert call("GET", "/keys").status == 200
