"""`ROTATOR_LONG=1` makes the fuzzing tests run many more examples."""

import os
from collections.abc import Callable, Mapping

LONG = bool(os.environ.get("ROTATOR_LONG"))


def examples(default: int, long: int | None = None) -> int:
    """How many examples a test draws: `default`, or `long` (twenty times as many) in a long run."""
    return (20 * default if long is None else long) if LONG else default


Figure = Callable[[str], None]
"""Tells a figure that stands in the run's summary: the fixture `figure`."""
Tally = Callable[[Mapping[str, int]], None]
"""Tells counts that are added up there: the fixture `tally`."""
