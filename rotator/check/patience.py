"""Looking again until all is well, for pipelines: at first after a second, then after twice as long each time."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rotator.check.findings import Found, well

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 10.0
"""Seconds between the end of one look and the beginning of the next."""


class Time(NamedTuple):
    """How time passes: a test's own way of it needs none."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Looked(NamedTuple):
    """The last look, and how many there were."""

    found: Sequence[Found]
    looks: int


def until_well(look: Callable[[], Sequence[Found]], seconds: float, time: Time) -> Looked:
    """Look, and look again while something is bad and the `seconds` are not over. The last look is at their end."""
    ends, pause, looks = time.clock() + seconds, FIRST_PAUSE, 1
    found = look()
    while not well(found) and (left := ends - time.clock()) > 0:
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
        found, looks = look(), looks + 1
    return Looked(found, looks)
