import ssl
import threading
from datetime import timedelta
from pathlib import Path

import httpcore
import pytest

from rotator.clients.connections import exchanging
from rotator.clients.exchange import Request, Server, Trust, raise_for_tls
from rotator.clients.within import TooSlow, within
from rotator.errors import Rejected, Transient, cause


def test_it_returns_or_raises_what_the_exchange_does() -> None:
    assert within("GET /x", 5, lambda: 7, cure="") == 7
    with pytest.raises(ZeroDivisionError):
        within("GET /x", 5, lambda: 1 // 0, cure="")


def test_an_exchange_that_takes_too_long_is_left_behind() -> None:
    over = threading.Event()
    with pytest.raises(TooSlow, match=r"GET /x: the answer was not complete within 0\.01 s") as raised:
        within("GET /x", 0.01, over.wait, cure="check it")
    over.set()
    assert raised.value.ambiguous


def test_where_no_thread_can_be_had_to_look_a_name_up_the_request_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoThread:
        def __init__(self, **_: object) -> None: ...

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("rotator.clients.within.Thread", NoThread)
    server = Server("http://localhost:1", timeout=timedelta(seconds=1), limit=1, cure="")
    with pytest.raises(Transient, match=r"^GET /x: this machine allows no further thread; raise") as raised:
        server.exchange(Request("GET", "/x"), {})
    assert not raised.value.ambiguous


def test_a_certificate_that_is_not_trusted_is_final() -> None:
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "self-signed certificate"
    wrapped = ConnectionError(untrusted)
    with pytest.raises(Rejected, match="https://v: the server's certificate is not trusted: self-signed"):
        raise_for_tls("GET /x", wrapped, "https://v")
    raise_for_tls("GET /x", ConnectionError("something else"), "https://v")


def test_an_error_is_ambiguous_if_the_request_may_have_been_sent() -> None:
    """A broken record may come in place of the answer to a write that was executed."""
    server = Server("http://v", timeout=timedelta(seconds=1), limit=1, cure="")
    mac = ssl.SSLError(1, "bad record mac")
    mac.reason = "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
    broken = httpcore.ReadError("x")
    broken.__cause__ = mac
    for sent in (True, False):
        with exchanging("GET /x", 60) as exchange:
            exchange.sent = sent
            named = server._named(broken, exchange, beyond=False)
        assert isinstance(named, Transient)
        assert named.ambiguous is sent


def test_certificates_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    pem = tmp_path / "none.pem"
    pem.write_text("no certificate")
    for trust in (Trust(ca_cert=str(pem)), Trust(client_cert=(str(pem), str(pem)))):
        with pytest.raises(Rejected, match="cannot be loaded"):
            Server("https://v", timeout=timedelta(seconds=1), limit=1, cure="", trust=trust)


def test_a_cause_is_named_by_the_system_or_by_its_type() -> None:
    outer = RuntimeError("holds a header")
    outer.__cause__ = ConnectionRefusedError(111, "Connection refused")
    assert cause(outer) == "Connection refused"
    assert cause(RuntimeError("holds a header")) == "RuntimeError"
