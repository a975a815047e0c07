"""The sandbox's gateway as a server: its log, its hook, and how it starts and stops."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any

import pytest

from rotator.errors import RotatorError
from rotator.sandbox.faults import Phase
from rotator.sandbox.server import Exchange, GatewayServer


class Client:
    """One kept-alive connection with the bootstrap key as the bearer."""

    def __init__(self, server: GatewayServer) -> None:
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.headers = {
            "Authorization": f"Bearer {server.account.bootstrap.plaintext}",
            "Content-Type": "application/json",
        }

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        sent = {**self.headers, **headers}
        self.connection.request(method, f"/api/v1{path}", json.dumps(body), sent)
        return json.loads(self.connection.getresponse().read())


@pytest.fixture
def server() -> Iterator[GatewayServer]:
    with GatewayServer() as running:
        yield running


@pytest.fixture
def call(server: GatewayServer) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.connection.close()


def test_the_log_names_the_bearer_and_never_a_plaintext(server: GatewayServer, call: Client) -> None:
    ids = [call("GET", "/keys?page=1")["request_id"]]
    server.account.revoke(1)
    ids.append(call("DELETE", "/keys/9")["request_id"])
    ids.append(call("GET", "/keys", Authorization="")["request_id"])
    assert server.requests == (
        Exchange("GET", "/keys", 200, ids[0], 1),
        Exchange("DELETE", "/keys/9", 401, ids[1], 1),
        Exchange("GET", "/keys", 401, ids[2], None),
    )
    assert server.account.bootstrap.plaintext not in repr(server.requests)


def test_the_hook_sees_each_request_around_its_effect(server: GatewayServer, call: Client) -> None:
    seen: list[tuple[str, str, Phase, int]] = []
    server.hook = lambda *request: seen.append((*request, len(server.account.ledger)))
    call("POST", "/keys", {"title": "t"})
    assert seen == [("POST", "/keys", Phase.BEFORE, 1), ("POST", "/keys", Phase.AFTER, 2)]


def test_the_hook_holds_one_request_while_others_go_on(server: GatewayServer, call: Client) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str, phase: Phase) -> None:
        if (method, phase) == ("POST", Phase.AFTER):
            arrived.set()
            assert go_on.wait(20)

    server.hook = hold
    other = Client(server)
    held = threading.Thread(target=other, args=("POST", "/keys", {"title": "held"}))
    held.start()
    assert arrived.wait(20)
    assert [key["title"] for key in call("GET", "/keys")["data"]] == ["bootstrap", "held"]
    go_on.set()
    held.join()
    other.connection.close()
    assert [exchange.method for exchange in server.requests] == ["POST", "GET"]


def test_a_hook_s_error_is_not_hidden(
    server: GatewayServer, call: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    server.hook = fail
    with pytest.raises(RemoteDisconnected):
        call("GET", "/keys")
    server.stop()
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_it_is_quiet_when_clients_leave(server: GatewayServer, capfd: pytest.CaptureFixture[str]) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        arrived.set()
        assert go_on.wait(20)

    server.hook = hold
    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaving.sendall(b"GET /api/v1/keys HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert arrived.wait(20)
    go_on.set()
    server.stop()
    assert len(server.requests) == 1
    assert capfd.readouterr() == ("", "")


def test_stopping_ends_kept_connections_and_threads(server: GatewayServer) -> None:
    server.stop()
    before = set(threading.enumerate())
    server.start()
    client = Client(server)
    client("GET", "/keys")
    server.stop()
    server.stop()
    assert set(threading.enumerate()) == before
    with pytest.raises((ConnectionError, RemoteDisconnected)):
        client("GET", "/keys")
    client.connection.close()


def test_it_comes_back_on_its_port_with_its_account(server: GatewayServer, call: Client) -> None:
    url = server.url
    call("POST", "/keys", {"title": "kept"})
    call.connection.close()
    server.stop()
    server.start()
    assert server.url == url
    assert len(call("GET", "/keys")["data"]) == 2


@pytest.mark.parametrize("taken", [True, False])
def test_a_port_that_cannot_be_had_is_an_error_with_a_cure(server: GatewayServer, taken: bool) -> None:
    with pytest.raises(RotatorError, match=r"cannot be had.*choose another"):
        GatewayServer(port=server.port if taken else 65_536).start()
