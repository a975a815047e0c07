"""How durations, moments and numbers of things are said to a person. Pure."""

from datetime import datetime, timedelta


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


def when(at: datetime, now: datetime) -> str:
    """Say a moment to the minute, in UTC, and how far off it is."""
    return f"{at:%Y-%m-%d %H:%M}, {relative(at, now)}"


def count(number: int, what: str) -> str:
    """Say how many: `1 page`, `1,200 pages`."""
    return f"{number:,} {what}{'s' * (number != 1)}"
