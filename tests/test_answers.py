"""What is read of any answer can be shown, logged and sent again."""

import json

import pytest

from rotator.clients.answers import MAX_DEPTH, MAX_REQUEST_ID, read_json, request_id
from rotator.redaction import MAX_WORDS, Secret, words


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"NaN", "out of range"),
        (b"-Infinity", "out of range"),
        (b'{"a": 1e400}', "out of range"),
        (b"1" * 5000, "out of range"),
        (b"[" * 101 + b"]" * 101, f"deeper than {MAX_DEPTH} levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, f"deeper than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_wrong_with_a_body_is_named(content: bytes, fault: str) -> None:
    value, wrong = read_json(content)
    assert value is None
    assert fault in (wrong or "")


@pytest.mark.parametrize("value", [None, 2**70, -0.5, 1e308, ["\ud800"], json.loads("[" * 99 + "]" * 99)])
def test_any_other_json_is_read_as_it_is(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == (value, None)


@pytest.mark.parametrize("value", ["", "x" * (MAX_REQUEST_ID + 1), "a\nb", "é", 5, None, ["a"]])
def test_what_is_no_request_id_is_left_out(value: object) -> None:
    assert request_id(value) is None


def test_a_secret_is_no_request_id_and_no_word() -> None:
    secret = Secret("hvs." + "w0rd5" * 6)
    assert request_id("req_1") == "req_1"
    assert "w0rd5" not in (request_id(secret.reveal()) or "") + words(f"no {secret.reveal()}\n\x1b, please")


def test_words_are_few_and_a_secret_at_their_end_is_not_cut_in_two() -> None:
    secret = Secret("hvs." + "w0rd5" * 6).reveal()
    assert len(words("x " * 100_000)) == MAX_WORDS
    for start in range(20 * MAX_WORDS - 40, 20 * MAX_WORDS):
        assert "w0rd" not in words(f"{(secret * 100)[:start]} {secret}")
