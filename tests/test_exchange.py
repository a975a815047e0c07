import ssl
import threading

import pytest

from rotator.errors import Rejected
from rotator.exchange import TooSlow, cause, raise_for_tls, read_bounded, within


def test_it_returns_or_raises_what_the_exchange_does() -> None:
    assert within("GET /x", 5, lambda: 7, cure="") == 7
    with pytest.raises(ZeroDivisionError):
        within("GET /x", 5, lambda: 1 // 0, cure="")


def test_an_exchange_that_takes_too_long_is_left_behind() -> None:
    over = threading.Event()
    with pytest.raises(TooSlow, match=r"GET /x: no whole answer within 0\.01 s") as raised:
        within("GET /x", 0.01, over.wait, cure="check it")
    over.set()
    assert raised.value.ambiguous


def test_a_body_ends_in_time_even_where_nobody_waits_for_it() -> None:
    endless = iter(lambda: b" ", None)
    assert set(read_bounded("GET /x", endless, limit=10**9, seconds=0.01)) == {ord(" ")}


def test_a_certificate_that_is_not_trusted_is_final() -> None:
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "self-signed certificate"
    wrapped = ConnectionError(untrusted)
    with pytest.raises(Rejected, match="https://v: the server's certificate is not trusted: self-signed"):
        raise_for_tls("GET /x", wrapped, "https://v")
    raise_for_tls("GET /x", ConnectionError("something else"), "https://v")


def test_a_cause_is_named_by_the_system_or_by_its_type() -> None:
    outer = RuntimeError("holds a header")
    outer.__cause__ = ConnectionRefusedError(111, "Connection refused")
    assert cause(outer) == "Connection refused"
    assert cause(RuntimeError("holds a header")) == "RuntimeError"
