"""Times that others write: whatever they say, something can be added to them, and they can be said."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotator.rules.times import LONGEST, age, format_time, moment, parse_time, relative, until, when
from tests.facts import at

ZONES = st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))


@given(st.datetimes(timezones=ZONES))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime.min.replace(tzinfo=UTC))
def test_any_time_can_be_moved_and_said(written: datetime) -> None:
    try:
        read = parse_time(written.isoformat())
    except ValueError:  # in UTC there is no such year
        assert written.year in (1, 9999)
        return
    for moved in (read, read + LONGEST, read - LONGEST):
        for say in (age, relative, until, when):
            assert say(moved, at(0))
            assert say(at(0), moved)
        assert moment(moved)
    if 1000 < written.year < 8999:
        assert read == written


@pytest.mark.parametrize(
    ("text", "counts_as"),
    [
        ("9999-12-31T23:59:59Z", "9000-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "1000-01-01T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ],
)
def test_what_lies_outside_of_all_reason_counts_as_its_edge(text: str, counts_as: str) -> None:
    assert format_time(parse_time(text)) == counts_as
