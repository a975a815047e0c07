"""What is written in a picture, where there is room for it. Pure; places are per cent of the picture's width."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

_PER_CHARACTER: Final = 1.8
"""Of a picture on a telephone, which is the narrowest one."""
_GAP: Final = 1.5
_HOURS: Final = timedelta(days=2)
_YEARS: Final = timedelta(days=300)


@dataclass(frozen=True)
class Label:
    """A text at a place; `anchor` says which part of it stands there."""

    text: str
    at: float
    y: int = 0
    """In pixels from the top, where not all stand in one line."""
    anchor: str = "middle"


def placed(wanted: Iterable[Label], left: float, right: float) -> tuple[Label, ...]:
    """Return the texts that have room between `left` and `right`; what comes first has the first choice."""
    taken: list[tuple[float, float]] = []
    labels = []
    for label in wanted:
        width = len(label.text) * _PER_CHARACTER
        begin = label.at - width / 2
        if begin < left:
            begin, label = left, replace(label, at=left, anchor="start")
        elif begin + width > right:
            begin, label = right - width, replace(label, at=right, anchor="end")
        if all(begin + width + _GAP <= other or other_end + _GAP <= begin for other, other_end in taken):
            taken.append((begin, begin + width))
            labels.append(label)
    return tuple(labels)


def day_or_hour(begin: datetime, end: datetime) -> Callable[[datetime], str]:
    """Return how moments are written on a scale from `begin` to `end`."""
    if end - begin < _HOURS:
        return lambda at: f"{day(at)} {at:%H:%M}"
    if end - begin < _YEARS:
        return day
    return lambda at: f"{at:%b %Y}"


def day(at: datetime) -> str:
    """Write a day without its year: `5 Dec`."""
    return f"{at.day} {at:%b}"
