"""What is known of the long-running mode from outside. Values only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rotator.errors import RotatorError
from rotator.passes.result import PassResult
from rotator.show.about import NOTHING, About

KEPT: Final = 20
"""So many passes are remembered."""
PASS_OVERDUE_AFTER: Final = timedelta(minutes=1)
"""A pass that has not begun so long after its time is overdue."""
HUNG: Final = timedelta(hours=1)
"""A pass that goes on for so long may never end: each of its requests is bounded, but not all that it needs is."""


@dataclass(frozen=True)
class PassRecord:
    """One pass that has ended, by the local clock."""

    run_id: str
    """Empty for one that ended before it had any."""
    began: datetime
    ended: datetime
    result: PassResult | None
    error: RotatorError | None
    """What ended it before it came to a result."""

    @property
    def converged(self) -> bool:
        """Whether it came to a result, and nothing in it failed, was refused or was stopped."""
        return self.result is not None and self.result.converged

    @property
    def refused(self) -> RotatorError | None:
        """Why the whole account was given up, at the start or in the middle."""
        return self.error or (self.result.refused if self.result else None)


@dataclass(frozen=True)
class Snapshot:
    """How the long-running mode is at one moment of the local clock."""

    started: datetime
    now: datetime
    alive: bool
    """Whether further passes will come."""
    running_since: datetime | None
    """When the pass began that is being made; None between passes."""
    passes: tuple[PassRecord, ...]
    """The newest first."""
    next_pass: datetime | None
    reload_failed: bool = False
    """Whether the config that is in use is not the one that it was last asked to load."""
    reload_faults: tuple[str, ...] = ()
    """What is wrong with that config, one line each, with its place."""
    about: About = NOTHING

    @property
    def overdue(self) -> bool:
        """Whether the next pass should have begun by now."""
        if self.running_since or self.next_pass is None:
            return False
        return self.now > self.next_pass + PASS_OVERDUE_AFTER

    @property
    def hung(self) -> bool:
        """Whether the pass that is being made should have ended by now."""
        return self.running_since is not None and self.now > self.running_since + HUNG

    @property
    def why_not_ready(self) -> str | None:
        """None when it is ready: further passes come in time, and the last one came to a result."""
        if not self.alive:
            return "the schedule does not go on"
        if self.hung:
            return "the pass that is being made does not end"
        if not self.passes:
            return "no pass has ended yet"
        if self.overdue:
            return "the next pass is overdue"
        return str(self.passes[0].error) if self.passes[0].error else None

    @property
    def ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        return self.why_not_ready is None

    @property
    def latest(self) -> PassResult | None:
        """The newest result; a pass that ended in an error has none."""
        return next((record.result for record in self.passes if record.result), None)

    @property
    def installation(self) -> str | None:
        """The identity, as the newest result has it."""
        return self.latest.installation if self.latest else None

    @property
    def gateway_now(self) -> datetime:
        """The gateway's clock: as the newest result read it, moved on by what has passed since."""
        for record in self.passes:
            if record.result:
                return record.result.now + max(timedelta(), self.now - record.began)
        return self.now
