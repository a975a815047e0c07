"""When something falls due: a key by its period or `rotation_schedule`, a pass by `schedule`. Pure.

Cron is read here, strictly and with every fault named, and handed to cronsim as plain lists. cronsim walks the
calendar without a zone, because in one it would fire twice in the hour that comes twice when clocks go back.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from cronsim import CronSim

from rotator.rules.times import short

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LAST_DAY: Final = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))
_PART = re.compile(
    r"(?:(?P<all>\*)|(?P<first>[0-9]{1,2}|[A-Z]{3})(?:-(?P<last>[0-9]{1,2}|[A-Z]{3}))?)(?:/(?P<step>[0-9]{1,2}))?"
)
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HORIZON: Final = 9000
"""A year that no rotation can have; beyond the calendar's end cronsim only fails."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_SURVEY_FROM = datetime(2027, 1, 1, tzinfo=UTC)
_SURVEY_UNTIL = datetime(2029, 1, 1, tzinfo=UTC)
_SURVEY_FIRINGS: Final = 1000


class Cadence(ABC):
    """When a managed key falls due. As a string it says by what."""

    window: timedelta | None = None
    """How long after it fell due a rotation may begin; None for no bound."""

    @abstractmethod
    def due_at(self, rotated_at: datetime) -> datetime:
        """The first moment, in UTC, at which a key that was rotated at `rotated_at` is due."""

    @property
    @abstractmethod
    def shortest(self) -> timedelta:
        """The shortest interval between two rotations."""

    def window_open(self, now: datetime) -> bool:
        """Whether it fell due less than `window` ago. True where there is no window."""
        return self.window is None or self.due_at(now - self.window) <= now

    def window_ends(self, now: datetime) -> datetime | None:
        """When the window that is open now closes. None where it is closed, or where there is none."""
        if self.window is None or not self.window_open(now):
            return None
        firing = self.due_at(now - self.window)
        while (later := self.due_at(firing)) <= now:
            firing = later
        return firing + self.window


@dataclass(frozen=True)
class Period(Cadence):
    """`rotation_period`: due a fixed time after the last rotation, at any hour."""

    every: timedelta
    early: timedelta = timedelta(0)
    """`spread`: how much earlier this key falls due than others of the same period."""

    def due_at(self, rotated_at: datetime) -> datetime:
        """Return `every` after `rotated_at`, less this key's share of the spread."""
        return rotated_at + self.every - self.early

    @property
    def shortest(self) -> timedelta:
        """The period, less this key's share of the spread."""
        return self.every - self.early

    def __str__(self) -> str:
        return f"period {short(self.every)}" + (f" (spread {short(self.early)})" if self.early else "")


@dataclass(frozen=True)
class CronSchedule(Cadence):
    """A cron expression in a time zone: the `Cadence` of `rotation_schedule`, and a `PassSchedule`.

    A firing inside the hour that clocks skip happens when that hour would have ended; a firing inside the
    hour that comes twice happens the first time only. Raises ValueError, with a message for the operator,
    for an expression or a time zone that is none.
    """

    expression: str
    """Five fields as in crontab(5): minute, hour, day of month, month, day of week."""
    timezone: str = "UTC"
    window: timedelta | None = None
    """How long after a firing a rotation may still run; None for no bound."""

    def __post_init__(self) -> None:
        check_expression(self.expression)
        check_timezone(self.timezone)

    def due_at(self, rotated_at: datetime) -> datetime:
        """Return the first firing after `rotated_at`, in UTC."""
        if rotated_at.year >= _HORIZON:
            return _NEVER
        zone = ZoneInfo(self.timezone)
        # A wall-clock time that only pretends to be UTC, as those are that cronsim yields.
        wall = max(rotated_at, _EPOCH).astimezone(zone).replace(tzinfo=UTC)
        firings = (_on_the_clock(firing, zone) for firing in CronSim(_lists(self.expression), wall))
        return next(firing for firing in firings if firing > rotated_at)

    def __str__(self) -> str:
        return f"schedule {self.expression} {self.timezone}"

    @property
    def shortest(self) -> timedelta:
        """The shortest distance between two firings of the two years from 2027, one of them a leap year.

        The years are fixed so that a config that loaded once loads again. At most the first thousand
        firings are looked at: what fires oftener shows its shortest distance long before.
        """
        return _shortest(self.expression, self.timezone)


@dataclass(frozen=True)
class Every:
    """A pass `interval` after the last, and at random up to `jitter` later."""

    interval: timedelta
    jitter: timedelta


PassSchedule: TypeAlias = Every | CronSchedule
"""When the long-running mode makes a pass."""


def check_expression(expression: str) -> None:
    """Raise ValueError, with a message that does not repeat the expression, when it is no cron expression."""
    _lists(expression)


def check_timezone(name: str) -> None:
    """Raise ValueError when the time zone database has no such name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("is not a known time zone; write a name such as UTC or Europe/Berlin") from None


@lru_cache
def _shortest(expression: str, timezone: str) -> timedelta:
    schedule = CronSchedule(expression, timezone)
    firings = islice(_firings(schedule), _SURVEY_FIRINGS)
    return min(later - earlier for earlier, later in pairwise(firings))


def _firings(schedule: CronSchedule) -> Iterator[datetime]:
    """Yield two firings at least, then those before the survey's end."""
    yield (at := schedule.due_at(_SURVEY_FROM))
    yield (at := schedule.due_at(at))
    while at < _SURVEY_UNTIL:
        yield (at := schedule.due_at(at))


def _on_the_clock(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment at which the clocks of `zone` first show `wall`, or pass over it."""
    while True:
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=UTC, fold=0) == wall:
            return moment
        wall += _MINUTE


@lru_cache
def _lists(expression: str) -> str:
    """Return the same expression with plain lists in place of all else. Raises ValueError for one that is none."""
    fields = expression.upper().split()
    if len(fields) != 5:
        raise ValueError(
            'is not a cron expression; write five fields, "minute hour day-of-month month day-of-week", '
            'such as "0 3 * * SUN"'
        )
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError(
            "restricts both the day of month and the day of week, and cron would fire on either; "
            "write `*` for one of them"
        )
    minutes = _expand("minute", fields[0], 0, 59)
    hours = _expand("hour", fields[1], 0, 23)
    days = _expand("day-of-month", fields[2], 1, 31)
    months = _expand("month", fields[3], 1, 12, _MONTHS)
    weekdays = {day % 7 for day in _expand("day-of-week", fields[4], 0, 7, _DAYS)}
    if min(days) > max(_LAST_DAY[month] for month in months):
        raise ValueError("never fires: none of its months has such a day; write a day that they have")
    lists = [",".join(map(str, sorted(values))) for values in (minutes, hours, days, months, weekdays)]
    for number in (2, 4):  # a star says that the other one of the two fields decides
        lists[number] = "*" if fields[number] == "*" else lists[number]
    return " ".join(lists)


def _expand(field: str, text: str, low: int, high: int, names: tuple[str, ...] = ()) -> set[int]:
    return {value for part in text.split(",") for value in _expand_part(field, part, low, high, names)}


def _expand_part(field: str, part: str, low: int, high: int, names: tuple[str, ...]) -> range:
    found = _PART.fullmatch(part)
    if not found:
        raise ValueError(f"has a {field} field that cron does not know; write {_allowed(low, high, names)}")
    top = high - 1 if names is _DAYS else high  # 7 is only another name of Sunday
    step = int(found["step"] or 1)
    first = low if found["all"] else _value(field, found["first"], low, high, names)
    last = first if found["first"] and not found["step"] else top
    if found["last"]:
        last = _value(field, found["last"], low, high, names)
        if found["last"] == "SUN" and first > last:
            last = 7
    if first > last:
        raise ValueError(f"has a {field} range that runs backwards; write it as two ranges")
    if not 0 < step <= top - low:
        raise ValueError(f"has a {field} step out of range; write a step from 1 to {top - low}")
    return range(first, last + 1, step)


def _value(field: str, text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + low
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"has a {field} out of range; write {_allowed(low, high, names)}")
    return int(text)


def _allowed(low: int, high: int, names: tuple[str, ...]) -> str:
    by_name = f" or {names[0]} to {names[-1]}" if names else ""
    return f"numbers from {low} to {high}{by_name}, `*`, ranges, lists and steps"
