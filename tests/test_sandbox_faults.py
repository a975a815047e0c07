"""The gateway's faults: each one seen from outside."""

import json
import threading
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from rotator.sandbox.faults import (
    ALWAYS,
    GARBAGE,
    Action,
    Body,
    Cut,
    Delay,
    Drip,
    Fault,
    Faults,
    Phase,
    Status,
    Truncate,
    data_with,
    data_without,
    huge_body,
)
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.replies import Breakage
from rotator.sandbox.server import GatewayServer


def send(gateway: GatewayServer, method: str, path: str, body: object = None) -> tuple[HTTPResponse, bytes]:
    """Send one request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    headers = {
        "Authorization": f"Bearer {gateway.account.bootstrap.plaintext}",
        "Content-Type": "application/json",
    }
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def create(gateway: GatewayServer) -> tuple[HTTPResponse, bytes]:
    return send(gateway, "POST", "/api/v1/keys", {"title": "t"})


def created(gateway: GatewayServer) -> int:
    return len(gateway.account.keys) - 1


@pytest.mark.parametrize(("at", "made"), [(Phase.BEFORE, 0), (Phase.AFTER, 1)])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
def test_a_status_comes_before_or_after_the_effect(
    gateway: GatewayServer, status: int, at: Phase, made: int
) -> None:
    gateway.faults.add(Fault("POST /keys", Status(status), at=at))
    answer, body = create(gateway)
    envelope = json.loads(body)
    assert answer.status == status
    assert envelope["success"] is False
    assert envelope["request_id"] == gateway.requests[0].request_id
    assert gateway.requests[0].status == status
    assert created(gateway) == made
    assert create(gateway)[0].status == 200


def test_a_status_can_say_when_to_come_again(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("POST /keys", Status(429, retry_after="7")))
    assert create(gateway)[0].headers["Retry-After"] == "7"


@pytest.mark.parametrize(("at", "made"), [(Phase.BEFORE, 0), (Phase.AFTER, 1)])
@pytest.mark.parametrize(
    ("how", "seen"),
    [(Breakage.RESET, ConnectionResetError), (Breakage.CLOSE, RemoteDisconnected)],
)
def test_a_connection_is_cut_before_or_after_the_effect(
    gateway: GatewayServer, how: Breakage, seen: type[Exception], at: Phase, made: int
) -> None:
    gateway.faults.add(Fault("POST /keys", Cut(how), at=at))
    with pytest.raises(ConnectionResetError) as caught:
        create(gateway)
    assert caught.type is seen
    assert gateway.requests[0].status is None
    assert created(gateway) == made


def test_a_body_is_truncated(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("POST /keys", Truncate(10), at=Phase.AFTER))
    with pytest.raises(IncompleteRead) as caught:
        create(gateway)
    assert len(caught.value.partial) == 10
    assert caught.value.expected
    assert created(gateway) == 1


def test_a_delay_lets_the_request_go_on(gateway: GatewayServer) -> None:
    for at in Phase:
        gateway.faults.add(Fault("POST /keys", Delay(0.001), at=at))
    assert create(gateway)[0].status == 200
    assert gateway.faults.pending == ()


@pytest.mark.parametrize(("at", "made"), [(Phase.BEFORE, 0), (Phase.AFTER, 1)])
def test_a_delay_ends_when_the_server_stops(gateway: GatewayServer, at: Phase, made: int) -> None:
    gateway.stop()
    before = set(threading.enumerate())
    gateway.start()
    waiting = threading.Event()
    gateway.faults.add(Fault("POST /keys", (_tell(waiting), Delay(3600)), at=at))
    failures: list[Exception] = []
    client = threading.Thread(target=_collect, args=(gateway, failures))
    client.start()
    assert waiting.wait(20)
    gateway.stop()
    client.join()
    assert set(threading.enumerate()) == before
    assert [type(failure) for failure in failures] == [RemoteDisconnected]
    assert created(gateway) == made


def _tell(event: threading.Event) -> Action:
    def action(_: object) -> None:
        event.set()

    return action


def _collect(gateway: GatewayServer, failures: list[Exception]) -> None:
    try:
        create(gateway)
    except (HTTPException, OSError) as failure:
        failures.append(failure)


def test_a_body_drips(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("GET /keys", Drip(0.00001), at=Phase.AFTER))
    assert json.loads(send(gateway, "GET", "/api/v1/keys")[1])["success"] is True


def test_a_drip_is_byte_by_byte_and_ends_when_the_server_stops(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("GET /keys", Drip(0.2), at=Phase.AFTER))  # half a minute for the whole body
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    bearer = f"Bearer {gateway.account.bootstrap.plaintext}"
    connection.request("GET", "/api/v1/keys", headers={"Authorization": bearer})
    answer = connection.getresponse()
    assert answer.read(1) == b"{"
    gateway.stop()
    with pytest.raises(IncompleteRead):
        answer.read()
    connection.close()


def test_actions_follow_each_other(gateway: GatewayServer) -> None:
    actions = (Delay(0.001), data_with(id="x"), data_without("title"), Truncate(500))
    gateway.faults.add(Fault("POST /keys", actions, at=Phase.AFTER))
    data = json.loads(create(gateway)[1])["data"]
    assert (data["id"], "title" in data) == ("x", False)


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_breaks_the_contract_of_a_create(gateway: GatewayServer, name: str) -> None:
    gateway.faults.add(Fault("POST /keys", GARBAGE[name], at=Phase.AFTER))
    answer, body = create(gateway)
    assert answer.status == 200
    assert not _keeps_the_contract(answer, body)
    assert created(gateway) == 1
    assert _keeps_the_contract(*create(gateway))


def _keeps_the_contract(answer: HTTPResponse, body: bytes) -> bool:
    try:
        envelope = json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    data = envelope.get("data") if isinstance(envelope, dict) else None
    return (
        "Content-Encoding" not in answer.headers
        and isinstance(data, dict)
        and envelope["success"] is True
        and type(data.get("id")) is int
        and 0 < data["id"] < 2**63
        and str(data.get("api_key")).startswith("sk-")
        and data["created_at"].endswith("Z")
    )


@pytest.mark.parametrize("page_size", [None, 10])
def test_each_item_of_a_list_is_changed(gateway: GatewayServer, page_size: int | None) -> None:
    gateway.account.create("second")
    gateway.account.quirks = Quirks(page_size=page_size)
    gateway.faults.add(Fault("GET /keys", data_with(status="active"), at=Phase.AFTER))
    data = json.loads(send(gateway, "GET", "/api/v1/keys")[1])["data"]
    items = data if page_size is None else data["items"]
    assert [(item["id"], item["status"]) for item in items] == [(1, "active"), (2, "active")]


def test_an_error_has_no_data_to_change(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("GET /nowhere", data_with(id=1), at=Phase.AFTER))
    assert "data" not in json.loads(send(gateway, "GET", "/api/v1/nowhere")[1])


def test_a_body_can_be_huge(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("* *", huge_body(3_000_000)))
    assert len(json.loads(send(gateway, "GET", "/api/v1/keys")[1])["data"]) == 3_000_000


def test_a_body_comes_with_its_status_and_headers(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("* *", Body(b"<h1>Bad gateway</h1>", 502, {"Content-Type": "text/html"})))
    answer, body = send(gateway, "GET", "/api/v1/keys")
    assert (answer.status, answer.headers["Content-Type"], body) == (
        502,
        "text/html",
        b"<h1>Bad gateway</h1>",
    )
    assert gateway.requests[0].request_id is None


@pytest.mark.parametrize(
    ("on", "hits"),
    [
        ("DELETE /keys/*", True),
        ("DELETE /keys/?", True),
        ("* *", True),
        ("DELETE /keys", False),
        ("GET /keys/*", False),
        ("DELETE /keys/8", False),
    ],
)
def test_a_fault_matches_method_and_path(on: str, hits: bool) -> None:
    assert Fault(on, Status(500)).hits("DELETE", "/keys/7", Phase.BEFORE) is hits
    assert not Fault(on, Status(500)).hits("DELETE", "/keys/7", Phase.AFTER)


def test_faults_are_used_up_in_order() -> None:
    faults = Faults()
    first, second = Fault("GET *", Status(500), times=2), Fault("GET /keys", Status(502))
    always = Fault("* *", Status(503), times=ALWAYS)
    faults.add(first, second, always)
    taken = [faults.take("GET", "/keys", Phase.BEFORE) for _ in range(5)]
    assert taken == [(Status(500),), (Status(500),), (Status(502),), (Status(503),), (Status(503),)]
    assert faults.pending == (always,)
    faults.clear()
    assert faults.take("GET", "/keys", Phase.BEFORE) == ()


def test_pending_says_what_is_left() -> None:
    faults = Faults()
    faults.add(Fault("* *", Status(500), times=3))
    faults.take("GET", "/keys", Phase.BEFORE)
    assert faults.pending == (Fault("* *", Status(500), times=2),)


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (lambda: Fault("/keys", Status(500)), "a method and a path"),
        (lambda: Fault("GET /keys", Status(500), times=0), "at least 1"),
        (lambda: Fault("GET /keys", Truncate()), "after"),
        (lambda: Fault("GET /keys", (Delay(1), data_with(id=1))), "after"),
        (lambda: Status(200), "400 to 599"),
        (lambda: Delay(-1), "0 to 3600"),
        (lambda: Drip(float("nan")), "0 to 3600"),
        (lambda: Truncate(-1), "0 bytes or more"),
    ],
)
def test_what_could_never_happen_is_refused(make: Any, cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        make()
