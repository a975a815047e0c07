import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.rules.bookkeeping import Block, Rotation, fault_of_owner, read_block, read_plaintext
from rotator.rules.times import format_time, parse_time
from tests.facts import as_written, at, block, secret

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)
IDS = st.integers(1, 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def test_the_block_is_written_as_the_layout_says() -> None:
    created = datetime(2026, 11, 21, 9, 50, tzinfo=UTC)
    stored = created + timedelta(seconds=1)
    rotation = Rotation(13, "Backend [x]", created, stored, {12: stored})
    assert rotation.merged_into({"api_key": "p", "endpoint": "https://x"}, 3) == {
        "api_key": "p",
        "endpoint": "https://x",
        "rotation": {
            "version": 3,
            "key_id": 13,
            "title": "Backend [x]",
            "created_at": "2026-11-21T09:50:00.000Z",
            "rotated_at": "2026-11-21T09:50:01Z",
            "superseded": {"12": "2026-11-21T09:50:01Z"},
        },
    }


@given(
    st.builds(Rotation, IDS, st.text(), TIMES, TIMES, st.dictionaries(IDS, TIMES)),
    st.dictionaries(st.text(), JSON),
)
def test_what_is_written_reads_back_and_the_rest_is_kept(
    rotation: Rotation, others: dict[str, object]
) -> None:
    data = json.loads(json.dumps(rotation.merged_into(others, 1)))
    if rotation.key_id not in rotation.superseded:
        assert as_written(data) == rotation
    others.pop("rotation", None)
    data.pop("rotation")
    assert data == others


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ([1], "`rotation` is not an object"),
        ({"key_id": "x"}, "not a positive integer"),
        ({"key_id": True}, "not a positive integer"),
        ({"key_id": -1}, "not a positive integer"),
        ({"key_id": 1.5}, "not a positive integer"),
        ({"key_id": 10**30}, "not a positive integer"),
        ({"key_id": 2**63}, "not a positive integer"),
        ({"key_id": None}, "not a positive integer"),
        ({"title": 5}, "`title` is not a string"),
        ({"created_at": "yesterday"}, "`created_at` is not an ISO 8601 time"),
        ({"rotated_at": 5}, "`rotated_at` is not an ISO 8601 time"),
        ({"rotated_at": "2026-11-21T09:50:00"}, "`rotated_at` is not an ISO 8601 time"),
        ({"rotated_at": "0001-01-01T00:00:00+23:59"}, "`rotated_at` is not an ISO 8601 time"),
        ({"superseded": []}, "`superseded` is not an object"),
        ({"superseded": {"x": "2026-11-21T09:50:00Z"}}, "not a positive integer"),
        ({"superseded": {"5": 1}}, "`superseded` is not an ISO 8601 time"),
        ({"superseded": {"2": "2026-11-21T09:50:00Z"}}, "`superseded` names the current key"),
    ],
)
def test_an_odd_field_is_named_without_its_value_and_costs_that_field(change: object, fault: str) -> None:
    data = secret(block(2, superseded={1: at(3)}))
    data["rotation"] = {**data["rotation"], **change} if isinstance(change, dict) else change
    read = read_block(data)
    assert fault in "; ".join(read.faults)
    assert "yesterday" not in "; ".join(read.faults)
    assert as_written(data) is None
    if isinstance(change, dict):
        assert read.key_id == (None if "key_id" in change else 2)
        assert read.created_at == (None if "created_at" in change else at(0))
        assert read.rotated_at == (None if "rotated_at" in change else at(0))
        assert read.superseded == {1: at(3)} or "superseded" in change


def test_a_moment_that_was_a_guess_is_not_written_and_that_is_no_fault() -> None:
    data = block(2, superseded={1: at(3), 3: at(4)}).merged_into({}, 1, undated={1, 2})
    assert data["rotation"]["superseded"] == {"1": None, "3": "2026-11-05T00:00:00Z"}
    assert data["rotation"]["rotated_at"] is None
    read = read_block(data)
    assert (read.faults, read.rotated_at, read.superseded) == ((), None, {1: None, 3: at(4)})


def test_an_odd_entry_costs_that_entry() -> None:
    data = secret(block(2, superseded={1: at(3), 3: at(4)}))
    data["rotation"]["superseded"] |= {
        "3": "yesterday",
        "x": "2026-11-21T09:50:00Z",
        "2": "2026-11-21T09:50:00Z",
    }
    read = read_block(data)
    assert read.superseded == {1: at(3), 3: None}
    assert len(read.faults) == 3


def test_what_a_person_left_out_of_the_block_is_forgiven() -> None:
    written = block(2).merged_into({}, 1)["rotation"]
    needed = {field: written[field] for field in ("key_id", "created_at", "rotated_at")}
    assert as_written({"rotation": needed}) == replace(block(2), title="")


@given(JSON)
def test_any_block_reads_or_is_nonsense(value: object) -> None:
    read_block({"rotation": value})


def test_a_secret_without_a_block() -> None:
    assert read_block({"api_key": "x"}) == Block()
    assert read_block(None) == Block()
    assert read_block({"rotation": None}) == Block()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({}, None),
        ({"api_key": None, "rotation": None}, None),
        ({"api_key": "x", "rotation": {}}, None),
        ({"api_key": "x", "rotation": {"key_id": {}, "title": 5, "superseded": []}}, None),
        (
            {"rotation": {"superseded": False}},
            "the field rotation holds something that the rotator did not write",
        ),
        (
            {"rotation": {"key_id": 77, "policy": "yearly"}},
            "the field rotation holds something that the rotator did not write",
        ),
        ({"rotation": {"key_id": 7, "title": "", "version": 1, "note": "by hand"}}, None),
        ({"api_key": 5}, "the field api_key holds no text"),
        ({"api_key": {"value": "x"}}, "the field api_key holds no text"),
        ({"api_key": ["x"]}, "the field api_key holds no text"),
        ({"api_key": False}, "the field api_key holds no text"),
        ({"rotation": "30d"}, "the field rotation holds something that the rotator did not write"),
        ({"rotation": ["a"]}, "the field rotation holds something that the rotator did not write"),
        (
            {"rotation": {"every": "30d", "version": 2}},
            "the field rotation holds something that the rotator did not write",
        ),
    ],
)
def test_what_is_its_owners_is_known(data: dict[str, object], fault: str | None) -> None:
    seen, cure = fault_of_owner(data, "api_key") or (None, "")
    assert seen == fault
    # What cures the one field would harm the other.
    assert ("`field`" in cure, "`bookkeeping`" in cure) == (
        "no text" in (fault or ""),
        "rotator" in (fault or ""),
    )
    renamed = {{"rotation": "apimall"}.get(name, name): value for name, value in data.items()}
    seen, _ = fault_of_owner({"rotation": 7, **renamed}, "api_key", "apimall") or (None, "")
    assert seen == (fault and fault.replace("rotation", "apimall"))


@pytest.mark.parametrize(
    "data", [None, {}, {"api_key": ""}, {"api_key": None}, {"api_key": 5}, {"other": "x"}]
)
def test_no_plaintext(data: dict[str, object] | None) -> None:
    assert read_plaintext(data, "api_key") is None


def test_times_are_written_in_utc_and_read_from_any_offset() -> None:
    berlin = timezone(timedelta(hours=1))
    assert format_time(datetime(2026, 11, 1, 1, tzinfo=berlin)) == "2026-11-01T00:00:00Z"
    read = parse_time("2026-11-01T01:00:00+01:00")
    assert (read, read.tzinfo) == (at(0), UTC)
