"""The sandbox's gateway as a server: its log, its hook, and how it starts and stops."""

import socket
import struct
import threading
from http.client import RemoteDisconnected

import pytest

from rotator.errors import RotatorError
from rotator.sandbox.faults import Phase
from rotator.sandbox.server import Exchange, GatewayServer
from tests.plain_client import Client


def test_the_log_names_the_bearer_and_never_a_plaintext(gateway: GatewayServer, call: Client) -> None:
    ids = [call("GET", "/keys?page=1").json["request_id"]]
    gateway.account.revoke(1)
    ids.append(call("DELETE", "/keys/9").json["request_id"])
    ids.append(call("GET", "/keys", Authorization="").json["request_id"])
    assert gateway.requests == (
        Exchange("GET", "/keys", 200, ids[0], 1),
        Exchange("DELETE", "/keys/9", 401, ids[1], 1),
        Exchange("GET", "/keys", 401, ids[2], None),
    )
    assert gateway.account.bootstrap.plaintext not in repr(gateway.requests)


def test_the_hook_sees_each_request_around_its_effect(gateway: GatewayServer, call: Client) -> None:
    seen: list[tuple[str, str, Phase, int]] = []
    gateway.hook = lambda *request: seen.append((*request, len(gateway.account.keys)))
    call("POST", "/keys", {"title": "t"})
    assert seen == [("POST", "/keys", Phase.BEFORE, 1), ("POST", "/keys", Phase.AFTER, 2)]


def test_the_hook_holds_one_request_while_others_go_on(gateway: GatewayServer, call: Client) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str, phase: Phase) -> None:
        if (method, phase) == ("POST", Phase.AFTER):
            arrived.set()
            assert go_on.wait(20)

    gateway.hook = hold
    other = Client(gateway)
    held = threading.Thread(target=other, args=("POST", "/keys", {"title": "held"}))
    held.start()
    assert arrived.wait(20)
    assert [key["title"] for key in call("GET", "/keys").data] == ["bootstrap", "held"]
    go_on.set()
    held.join()
    other.connection.close()
    assert [exchange.method for exchange in gateway.requests] == ["POST", "GET"]


def test_a_hook_s_error_is_not_hidden(
    gateway: GatewayServer, call: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    gateway.hook = fail
    with pytest.raises(RemoteDisconnected):
        call("GET", "/keys")
    gateway.stop()
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_it_is_quiet_when_clients_leave(gateway: GatewayServer, capfd: pytest.CaptureFixture[str]) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        arrived.set()
        assert go_on.wait(20)

    gateway.hook = hold
    with socket.create_connection(("127.0.0.1", gateway.port)) as leaving:
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaving.sendall(b"GET /api/v1/keys HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert arrived.wait(20)
    go_on.set()
    gateway.stop()
    assert len(gateway.requests) == 1
    assert capfd.readouterr() == ("", "")


def test_stopping_ends_kept_connections_and_threads(gateway: GatewayServer) -> None:
    gateway.stop()
    before = set(threading.enumerate())
    gateway.start()
    client = Client(gateway)
    client("GET", "/keys")
    gateway.stop()
    gateway.stop()
    assert set(threading.enumerate()) == before
    with pytest.raises((ConnectionError, RemoteDisconnected)):
        client("GET", "/keys")
    client.connection.close()


def test_it_comes_back_on_its_port_with_its_account(gateway: GatewayServer, call: Client) -> None:
    url = gateway.url
    call("POST", "/keys", {"title": "kept"})
    call.connection.close()
    gateway.stop()
    gateway.start()
    assert gateway.url == url
    assert len(call("GET", "/keys").data) == 2


@pytest.mark.parametrize("taken", [True, False])
def test_a_port_that_cannot_be_had_is_an_error_with_a_cure(gateway: GatewayServer, taken: bool) -> None:
    with pytest.raises(RotatorError, match=r"cannot be used.*choose another one"):
        GatewayServer(port=gateway.port if taken else 65_536).start()
