"""When the keys of the whole account fall due, as a picture: a column for each day or week. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rotator.rules.times import count
from rotator.service.web.labels import Label, day, placed
from rotator.show.key_status import KeyStatus

_HEIGHT: Final = 56
"""Of the highest column, in pixels."""
BASE: Final = 14 + _HEIGHT
"""Where the columns stand; above the highest one is room for its number."""
_DATES: Final = BASE + 14
_LEAST: Final = 3
_LEFT: Final = 0.0
_RIGHT: Final = 100.0
_APART: Final = 1.5
"""How many columns' width what is due now takes, with the gap after it."""
_NOW: Final = -1
_FEW: Final = 2
"""A single key's time line says it all."""
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_SPANS: Final = ((_DAY, 7, 1), (_DAY, 14, 2), (_DAY, 35, 7), (_WEEK, 13, 2))
"""How wide a column is, how many there are, and every how many is dated: the first that holds all keys."""


@dataclass(frozen=True)
class Column:
    """How many fall due in one day or week; places are per cent of the width, heights pixels."""

    number: int
    x: float
    width: float
    height: int
    waits: bool = False
    """Whether it is of what is due now, which looks unlike the others."""

    @property
    def y(self) -> int:
        """Its upper end."""
        return BASE - self.height

    @property
    def middle(self) -> float:
        """Where its number and its date stand."""
        return round(self.x + self.width / 2, 2)


@dataclass(frozen=True)
class Forecast:
    """A picture of the coming time."""

    title: str
    words: str
    """All that it shows, for who does not see it."""
    said: str
    """How many fall due soon and how many later, for everybody."""
    columns: tuple[Column, ...]
    labels: tuple[Label, ...]
    """The numbers above the columns, and the days below."""


def forecast(keys: Iterable[KeyStatus], now: datetime) -> Forecast | None:
    """Return the picture of when each key is rotated next; None of less than two whose time is known."""
    times = [at for key in keys if (at := _next(key, now))]
    if len(times) < _FEW:
        return None
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    step, steps, every = next((span for span in _SPANS if max(times) < today + span[0] * span[1]), _SPANS[-1])
    days = Counter((at - today) // step if at > now else _NOW for at in times)
    begins = [today + step * number for number in range(steps)]
    columns = _columns([days[number] for number in range(steps)], days[_NOW])
    said = _said(times, now, begins[-1] + step)
    unit = "week of " if step is _WEEK else ""
    named = [f"{unit}{day(begin)}: {days[number]}" for number, begin in enumerate(begins) if days[number]]
    return Forecast(
        title=f"Next rotations in the coming {steps} {'weeks' if step is _WEEK else 'days'}",
        words=f"{'; '.join(([f'now: {days[_NOW]}'] if days[_NOW] else []) + named) or 'none'}.",
        said=said,
        columns=tuple(column for column in columns if column.number),
        labels=(*_numbers(columns), *_dates(columns[-steps::every], begins[::every], columns[0])),
    )


def _next(key: KeyStatus, now: datetime) -> datetime | None:
    waits = key.frozen_until or key.opens_at
    return key.next_at if waits or not key.unrotated else now


def _columns(numbers: Sequence[int], at_once: int) -> list[Column]:
    """What is due now has the first column, which stands apart from the others."""
    apart = _APART if at_once else 0.0
    width = 100 / (len(numbers) + apart)
    most = max(at_once, 1, *numbers)

    def column(number: int, place: float, *, waits: bool = False) -> Column:
        height = max(_LEAST, round(_HEIGHT * number / most)) if number else 0
        return Column(number, round((place + 0.1) * width, 2), round(width * 0.8, 2), height, waits)

    first = [column(at_once, 0, waits=True)] if at_once else []
    return first + [column(number, place + apart) for place, number in enumerate(numbers)]


def _numbers(columns: Sequence[Column]) -> tuple[Label, ...]:
    """Where the columns are narrow, the higher ones have theirs."""
    highest = sorted((column for column in columns if column.number), key=lambda column: -column.number)
    return placed(
        (Label(str(column.number), column.middle, column.y - 4) for column in highest), _LEFT, _RIGHT
    )


def _dates(columns: Sequence[Column], begins: Sequence[datetime], first: Column) -> tuple[Label, ...]:
    wanted = [Label("now", first.middle, _DATES)] if first.waits else []
    dated = zip(columns, begins, strict=True)
    wanted += [Label(day(begin), column.middle, _DATES) for column, begin in dated]
    return placed(wanted, _LEFT, _RIGHT)


def _said(times: Sequence[datetime], now: datetime, end: datetime) -> str:
    at_once = sum(at <= now for at in times)
    soon = sum(now < at <= now + _WEEK for at in times)
    later = sum(at >= end for at in times)
    said = [f"{at_once} now"] if at_once else []
    said.append(f"{soon or 'none'} within 7 days")
    said += [f"{later} after {day(end - _DAY)}"] if later else []
    return f"Of {count(len(times), 'key')}: {', '.join(said)}."
