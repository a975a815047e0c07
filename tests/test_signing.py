"""Signatures, held against the specification's own vector and its own library."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from rotator.clients.webhook_signature import parse_secrets, signature
from rotator.redaction import Secret
from tests.long import examples

VECTOR = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def written(key: bytes) -> str:
    return f"whsec_{b64encode(key).decode()}"


def test_the_vector_of_the_libraries() -> None:
    signed = signature(
        parse_secrets(VECTOR), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@settings(max_examples=examples(20))
@given(st.binary(min_size=24, max_size=64), st.integers(0, 2**33), st.text(st.characters(codec="utf-8")))
def test_the_library_signs_alike(key: bytes, timestamp: int, body: str) -> None:
    (secret,) = parse_secrets(f" {written(key)}\n")
    theirs = Webhook(secret.reveal()).sign("id-1", datetime.fromtimestamp(timestamp, UTC), body)
    assert signature([secret], "id-1", timestamp, body.encode()) == theirs


def test_each_secret_signs() -> None:
    both = f"{written(b'1' * 24)} {written(b'2' * 64).rstrip('=')}"
    one, two = parse_secrets(both)
    joined = signature([one, two], "id-1", 1, b"{}")
    assert joined == f"{signature([one], 'id-1', 1, b'{}')} {signature([two], 'id-1', 1, b'{}')}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "whsec_",
        written(b"1" * 23),
        written(b"1" * 65),
        VECTOR.removeprefix("whsec_"),
        VECTOR.replace("whsec_", "whsk_"),
        VECTOR[:-1] + "!",
        VECTOR + "A",
        VECTOR + "!!!!",
        f"{VECTOR} {VECTOR[:20]}",
        VECTOR.replace("MfKQ", "Mf\u00e4Q"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="write whsec_ and the base64 of 24 to 64 random bytes") as refused:
        parse_secrets(text)
    assert VECTOR[6:18] not in str(refused.value)


def test_a_secret_does_not_print() -> None:
    assert VECTOR not in repr(parse_secrets(VECTOR))
    assert parse_secrets(VECTOR) == (Secret(VECTOR),)
