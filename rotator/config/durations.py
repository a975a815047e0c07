"""Durations as Vault writes them: `90s`, `15m`, `24h`, `30d`, `1h30m`, or a bare number of seconds."""

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = r"^(?:[0-9]{1,9}|(?=[0-9])(?:[0-9]{1,9}d)?(?:[0-9]{1,9}h)?(?:[0-9]{1,9}m)?(?:[0-9]{1,9}s)?)$"
LONGEST: Final = timedelta(days=3650)
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse(value: object) -> timedelta:
    """Return the duration, which may be zero.

    Raises ValueError, with a message for the operator that does not repeat the value.
    """
    if isinstance(value, float) or (isinstance(value, str) and "." in value):
        raise ValueError("has a fraction; write whole units, such as 1h30m for one and a half hours")
    seconds = value if isinstance(value, int) and not isinstance(value, bool) else _seconds(value)
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError(f"is out of range; write a duration of at most {show(LONGEST)}")
    return timedelta(seconds=seconds)


def show(duration: timedelta) -> str:
    """Write a duration of whole seconds as `parse` reads it."""
    rest = int(duration.total_seconds())
    text = ""
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _seconds(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
        raise ValueError("is not a duration; write whole numbers with units: 90s, 15m, 24h, 30d or 1h30m")
    if value.isdecimal():
        return int(value)
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"([0-9]+)([dhms])", value))
