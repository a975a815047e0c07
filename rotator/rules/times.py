"""Durations and moments: parsed, written for programs, and said to a person. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeGuard

PATTERN: Final = r"^(?:(?=[0-9])(?:[0-9]{1,9}d)?(?:[0-9]{1,9}h)?(?:[0-9]{1,9}m)?(?:[0-9]{1,9}s)?)$"
LONGEST: Final = timedelta(days=3650)
_ECHOED: Final = 1_000_000
"""A smaller number is repeated in a message: it is no secret."""
_FIRST, _LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""What others date outside of these counts as one of them, so that a duration can be added to any time."""
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse_duration(value: object) -> timedelta:
    """Return the duration, which may be zero.

    Raises ValueError, with a message for the operator that does not repeat the value.
    """
    if isinstance(value, float) or (isinstance(value, str) and "." in value):
        raise ValueError("has a fraction; write whole units, such as 1h30m for one and a half hours")
    if (isinstance(value, int) and not isinstance(value, bool)) or _is_bare(value):
        return _bare(int(value))
    seconds = _seconds(value)
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError(f"is out of range; write a duration of at most {format_duration(LONGEST)}")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration of whole seconds as `parse_duration` reads it."""
    rest = int(duration.total_seconds())
    text = ""
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _is_bare(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) is not None


def _bare(number: int) -> timedelta:
    """A number without a unit is a guess, and seconds for days a costly one. Nothing is nothing in every unit."""
    if number == 0:
        return timedelta(0)
    if not 0 < number < _ECHOED:
        raise ValueError("is a number without a unit; write one, such as 90s, 15m, 24h or 30d")
    raise ValueError(f"{number} has no unit; write {number}d, {number}h, {number}m or {number}s")


def _seconds(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
        raise ValueError("is not a duration; write whole numbers with units: 90s, 15m, 24h, 30d or 1h30m")
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"([0-9]+)([dhms])", value))


def format_time(at: datetime, timespec: str = "seconds") -> str:
    """Write a time as ISO 8601 in UTC, with `Z`. `timespec` is that of `datetime.isoformat`."""
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Parse ISO 8601 with an offset. Raises ValueError, without the text, for anything else."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return min(max(at.astimezone(UTC), _FIRST), _LAST)
    except (ValueError, OverflowError):
        pass
    raise ValueError("not an ISO 8601 time with an offset")


def time_to_json(at: datetime | None) -> str | None:
    """Write a time for JSON: ISO 8601 in UTC, to the second; None stays None."""
    return format_time(at) if at else None


def short(duration: timedelta) -> str:
    """Say a duration with its two largest units: `3d 4h`, `15m`, `2s`."""
    seconds = int(duration.total_seconds())
    for unit, size, below, below_size in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60)):
        # To the nearest of the smaller unit: a key made for 7d two seconds ago has 7d left.
        whole, part = divmod((seconds + below_size // 2) // below_size, size // below_size)
        if whole:
            return f"{whole}{unit} {part}{below}" if part else f"{whole}{unit}"
    return f"{seconds // 60}m" if seconds >= 60 else f"{seconds}s"


def until(at: datetime, now: datetime) -> str:
    """Say when it is `at`: `in 3d 4h`, or `now`."""
    return f"in {short(at - now)}" if at > now else "now"


def relative(at: datetime, now: datetime) -> str:
    """Say when it is or was `at`: `in 3d 4h`, `now`, `5m ago`."""
    return f"{short(now - at)} ago" if at + timedelta(minutes=1) <= now else until(at, now)


def moment(at: datetime) -> str:
    """Say a moment to the minute, in UTC, with its zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def when(at: datetime, now: datetime) -> str:
    """Say a moment, and how far off it is."""
    return f"{moment(at)}, {relative(at, now)}"


def when_in_column(at: datetime, now: datetime) -> str:
    """Say the same below a heading that names the zone."""
    return when(at, now).replace(" UTC", "")


def count(number: int, what: str) -> str:
    """Say how many: `1 page`, `1,200 pages`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def age(at: datetime, now: datetime) -> str:
    """Say how old something of `at` is: `5m old`, or `dated 5m ahead`."""
    return f"{short(now - at)} old" if at <= now else f"dated {short(at - now)} ahead"
