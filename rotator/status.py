"""What is known of the long-running mode from outside. Values only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rotator.errors import RotatorError
from rotator.result import PassResult

KEPT: Final = 20
"""So many passes are remembered."""


@dataclass(frozen=True)
class PassRecord:
    """One pass that has ended, by the local clock."""

    run_id: str
    """Empty when it ended before it could observe."""
    began: datetime
    ended: datetime
    result: PassResult | None
    error: RotatorError | None
    """What kept it from observing."""


@dataclass(frozen=True)
class Snapshot:
    """How the long-running mode is at one moment of the local clock."""

    started: datetime
    now: datetime
    alive: bool
    """Whether further passes will come."""
    overdue: bool
    """Whether the next one should have begun by now."""
    ready: bool
    why_not_ready: str | None
    passes: tuple[PassRecord, ...]
    """The newest first."""
    next_pass: datetime | None
