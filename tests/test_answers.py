"""What is read of any answer can be shown, logged and sent again."""

import gzip
import json
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotator.clients.answers import (
    MAX_DEPTH,
    MAX_UNPACKED,
    Answer,
    read_json,
    write_json,
)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"01", "the body is not JSON"),
        (b'["\xe9"]', "the body is not JSON"),
        (b"[" * 101 + b"]" * 101, f"deeper than {MAX_DEPTH} levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, f"deeper than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_wrong_with_a_body_is_named(content: bytes, fault: str) -> None:
    value, wrong = read_json(content)
    assert value is None
    assert fault in (wrong or "")


@pytest.mark.parametrize("value", [None, 2**53, -7, True, ["\ud800"], json.loads("[" * 99 + "]" * 99)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_any_other_json_is_read_as_it_is(value: object, encoding: str) -> None:
    assert read_json(json.dumps(value).encode(encoding)) == (value, None)


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


@given(
    st.recursive(NUMBERS, lambda inner: st.lists(inner, min_size=1).map(lambda all_: f"[{','.join(all_)}]"))
)
@example("1.10")
@example("-0")
@example("1E400")
@example("1" * 5000)
@example('{"a":[1.0,{"b":[]}],"\\u00fc":{}}')
def test_a_number_is_written_by_the_letters_that_were_read(text: str) -> None:
    value, fault = read_json(text.encode())
    assert fault is None
    assert write_json(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": object()}])
def test_what_json_does_not_have_is_not_written(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_json(value)


class TestCompressed:
    """Nothing compressed is asked for. What comes all the same may hold a plaintext."""

    BODY = b'{"success": true}'

    @pytest.mark.parametrize(
        ("encoding", "content"),
        [
            ("gzip", gzip.compress(BODY, mtime=0)),
            ("X-GZIP", gzip.compress(BODY, mtime=0)),
            ("deflate", zlib.compress(BODY)),
            ("identity", BODY),
            ("gzip, deflate", zlib.compress(gzip.compress(BODY, mtime=0))),
            ("deflate", zlib.compress(BODY)[2:-4]),
            ("gzip", gzip.compress(BODY[:5], mtime=0) + gzip.compress(BODY[5:], mtime=0)),
            ("", gzip.compress(BODY, mtime=0)),
            ("gzip", BODY),
            ("UTF-8", BODY),
        ],
    )
    def test_it_is_unpacked(self, encoding: str, content: bytes) -> None:
        assert Answer("GET /", 200, {"Content-Encoding": encoding}, content).body == {"success": True}

    @pytest.mark.parametrize(
        ("encoding", "content"),
        [
            ("gzip", gzip.compress(BODY, mtime=0)[:-9]),
            ("br", b"\x0b\x02\x80{}\x03"),
            ("gzip, gzip, gzip, gzip", BODY),
            ("gzip", gzip.compress(b" " * (MAX_UNPACKED + 1), mtime=0)),
        ],
    )
    def test_what_cannot_be_or_has_no_bound_is_refused(self, encoding: str, content: bytes) -> None:
        assert Answer("GET /", 200, {"Content-Encoding": encoding}, content).fault
