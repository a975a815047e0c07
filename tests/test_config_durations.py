"""Durations as Vault writes them."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.rules.times import LONGEST, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("1h30m", 5_400),
        ("1d12h5m6s", 129_906),
        ("0s", 0),
        ("0", 0),
        (0, 0),
        ("3650d", 315_360_000),
    ],
)
def test_read(text: object, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("1.5h", "1h30m"),
        (1.5, "1h30m"),
        (float("nan"), "1h30m"),
        (True, "whole numbers with units"),
        (None, "whole numbers with units"),
        ([], "whole numbers with units"),
        ("", "whole numbers with units"),
        ("h", "whole numbers with units"),
        ("30m1h", "whole numbers with units"),
        ("5w", "whole numbers with units"),
        ("5 m", "whole numbers with units"),
        ("-5m", "whole numbers with units"),
        ("5m\n", "whole numbers with units"),
        ("٣d", "whole numbers with units"),
        ("3651d", "at most 3650d"),
        (-1, "a number without a unit"),
        (30, "30 has no unit; write 30d, 30h, 30m or 30s$"),
        ("90", "90 has no unit; write 90d, 90h, 90m or 90s$"),
        (123456789, "is a number without a unit; write one, such as"),
        ("999999999d", "at most 3650d"),
    ],
)
def test_refused_with_a_cure(text: object, cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        parse_duration(text)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, int(LONGEST.total_seconds())))
def test_what_is_shown_reads_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration
