"""The other keys of a managed key: its live superseded keys and orphans, and which of them should be gone. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.passes.result import KeyResult, Outcome
from rotator.rules.revocations import Kept, Revocation, Victim, going, the_current
from rotator.rules.times import time_to_json

OVERDUE_AFTER: Final = timedelta(hours=1)
"""So long may be due what only passes do, before a look between them calls it overdue."""


@dataclass(frozen=True)
class OtherKey:
    """A live key of a managed key that is not the current one."""

    kind: Victim
    id: int
    since: datetime | None
    """When it was superseded; when it was created, for an orphan. None where its grace was ended."""
    goes_at: datetime | None
    """None for one that stays, or whose grace was ended."""
    stays: str
    """Why it lives on when its time is over; empty for one that goes."""
    unconfirmed: tuple[str, ...]
    """The consumers that keep it alive, because they have not confirmed a later key."""
    overdue: bool
    """A pass had to revoke it, and it is still there; where no pass is known of, OVERDUE_AFTER has passed."""
    created_at: datetime | None = None
    """When the gateway's list says that it was created; None where it is not listed."""
    kept: str = ""
    """Why it lives on for now, where no time says until when: it may be the last key that works."""

    def fate(self, now: datetime) -> str:
        """When it goes or why it stays, in the same words everywhere."""
        return self.kept or going(self.goes_at, now, stays=self.stays, overdue=self.overdue)

    def to_json(self) -> dict[str, Any]:
        """An item of `superseded` and `orphans` in `rotator status --json` and in `/status.json`."""
        return {
            "key_id": self.id,
            "since": time_to_json(self.since),
            "revoke_at": time_to_json(self.goes_at),
            "stays": self.stays or None,
            "unconfirmed": list(self.unconfirmed),
            "overdue": self.overdue,
        }


def others_of(seen: KeyResult, seen_at: datetime) -> tuple[OtherKey, ...]:
    """The keys that a pass left alive; what a look would revoke is alive, too."""
    looked = seen.outcome is Outcome.PLANNED
    overdue_at = seen_at - OVERDUE_AFTER if looked else seen_at
    return tuple(
        OtherKey(
            kind=other.victim,
            id=other.key_id,
            since=other.known_since,
            goes_at=other.goes_at,
            stays=other.stays,
            unconfirmed=other.unconfirmed,
            overdue=_overdue(seen, other, overdue_at),
            created_at=other.created_at,
            kept=_kept(other, seen),
        )
        for other in (seen.others if looked else seen.left)
    )


def _kept(other: Revocation, seen: KeyResult) -> str:
    """A rotation of the same pass has given it a successor: then the next pass revokes it when it is time."""
    if other.kept is not Kept.WITHOUT_SUCCESSOR or not seen.unrotated:
        return ""
    if seen.key_id is None:
        return "still works, and is kept until there is a new key"
    return f"still works, and is kept because {the_current(seen.key_id)} does not"


def _overdue(seen: KeyResult, other: Revocation, overdue_at: datetime) -> bool:
    """What an operator ended the grace of has leaked: while it lives it is late, without any patience."""
    if other.stays or (other.kept is Kept.WITHOUT_SUCCESSOR and not other.leaked):
        return False
    # A grace that was ended was so since the rotation, at the earliest.
    return other.leaked or (other.goes_at or seen.rotated_at or overdue_at) <= overdue_at
