"""What the signs of the time lines mean. Pure."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from rotator.service.web.timeline import TimeLine


class Sign(NamedTuple):
    """A way to fill a bar, or the shape of a mark."""

    name: str
    words: str
    is_bar: bool


BARS: Final = {
    "current": "current",
    "ahead": "time left",
    "frozen": "frozen",
    "past": "until superseded",
    "grace": "in grace",
    "orphan": "orphan",
    "waits": "due, waits",
    "late": "overdue",
    "dead": "refused",
    "window": "window",
}
MARKS: Final = {
    "next": "next rotation",
    "opens": "next, in a window",
    "goes": "is revoked",
    "stays": "stays",
    "held": "held",
    "stopped": "stopped",
    "unknown": "unknown",
    "failed": "failed, overdue",
    "refused": "refused, missing",
}


def legend(lines: Iterable[TimeLine]) -> list[Sign]:
    """Return the signs that these pictures have, always in the same order."""
    lanes = [lane for line in lines for lane in line.lanes]
    bars = {bar.kind for lane in lanes for bar in lane.bars}
    marks = {mark.shape for lane in lanes for mark in lane.marks}
    return [
        *(Sign(name, words, is_bar=True) for name, words in BARS.items() if name in bars),
        *(Sign(name, words, is_bar=False) for name, words in MARKS.items() if name in marks),
    ]
