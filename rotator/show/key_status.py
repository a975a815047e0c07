"""How each managed key stands: for `rotator status`, the page, its JSON and the metrics.

Pure. Times of keys are the gateway's clock; times of passes are this machine's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from rotator.errors import RotatorError
from rotator.passes.result import Action, KeyResult, Outcome
from rotator.rules.model import Key
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Victim
from rotator.rules.times import short, time_to_json
from rotator.show.snapshot import PassRecord, Snapshot


class KeyState(StrEnum):
    """A managed key in one word."""

    OK = "ok"
    DUE = "due"
    """The next pass rotates it."""
    OVERDUE = "overdue"
    """It has been due for longer than OVERDUE_AFTER."""
    MISSING = "missing"
    """No pass has made it yet, or its secret is gone; the next one makes it."""
    REVOKED = "revoked"
    """The gateway refuses it; the next pass rotates it."""
    HELD = "held"
    """It is due, and waits; the key works."""
    FAILED = "failed"
    STOPPED = "stopped"
    NOT_REACHED = "not reached"
    UNKNOWN = "unknown"


OVERDUE_AFTER: Final = timedelta(hours=1)
"""So long may be due what only passes do, before a look between them calls it overdue."""
_GONE: Final = {Reason.MISSING, Reason.REVOKED}
"""Why programs are without a key that works."""


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
    overdue: bool
    """A pass had to revoke it, and it is still there; where no pass is known of, OVERDUE_AFTER has passed."""


@dataclass(frozen=True)
class KeyStatus:
    """One managed key. What only a read of its secret tells is as of the last pass that could read it."""

    name: str
    path: str
    state: KeyState
    why: str | None
    known: bool
    """Whether a pass could read its secret."""
    key_id: int | None
    rotated_at: datetime | None
    age: timedelta | None
    due_at: datetime | None
    period_share: float | None
    """The age as a share of the time between rotations: 0 for a new key, 1 for one that is due."""
    superseded: tuple[OtherKey, ...]
    orphans: tuple[OtherKey, ...]
    warnings: tuple[str, ...]
    errors: tuple[RotatorError, ...]

    @property
    def age_of_period(self) -> str | None:
        """`2d 3h of 7d`; the period is from one rotation to the next."""
        if self.age is None:
            return None
        period = f" of {short(self.due_at - self.rotated_at)}" if self.due_at and self.rotated_at else ""
        return short(self.age) + period

    @property
    def others(self) -> tuple[OtherKey, ...]:
        """Every live key beside the current one: the orphans, then the superseded ones."""
        return *self.orphans, *self.superseded

    @property
    def overdue(self) -> int:
        """Revocations that are overdue."""
        return sum(other.overdue for other in self.others)

    def to_json(self) -> dict[str, Any]:
        """An item of `keys` in `rotator status --json` and in `/status.json`."""
        return {
            "name": self.name,
            "path": self.path,
            "state": self.state,
            "why": self.why,
            "key_id": self.key_id,
            "rotated_at": time_to_json(self.rotated_at),
            "age_seconds": int(self.age.total_seconds()) if self.age is not None else None,
            "due_at": time_to_json(self.due_at),
            "superseded": [_other_to_json(other) for other in self.superseded],
            "orphans": [_other_to_json(other) for other in self.orphans],
            "warnings": list(self.warnings),
            "errors": [error.to_json() for error in self.errors],
        }


def key_statuses(snapshot: Snapshot) -> tuple[KeyStatus, ...]:
    """Return how each managed key of the newest result stands, in the order of the config."""
    if snapshot.latest is None:
        return ()
    seen: dict[str, tuple[KeyResult, datetime]] = {}
    for result in reversed([record.result for record in snapshot.passes if record.result]):
        seen |= {key.key.name: (key, result.now) for key in result.keys if key.plan}
    now = snapshot.gateway_now
    return tuple(_status(key, *seen.get(key.key.name, (key, now)), now) for key in snapshot.latest.keys)


def key_status(seen: KeyResult, now: datetime) -> KeyStatus:
    """Return how one managed key stands that was looked at `now`."""
    return _status(seen, seen, now, now)


def foreign_keys(snapshot: Snapshot) -> tuple[Key, ...]:
    """Return the live keys with titles of our convention that the config cannot claim, as last seen."""
    return snapshot.latest.foreign if snapshot.latest else ()


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot for programs. Titles are left out: what a person wrote there is not known to be fit to show."""
    refused = snapshot.passes[0].refused if snapshot.passes else None
    return {
        "now": time_to_json(snapshot.now),
        "gateway_now": time_to_json(snapshot.gateway_now),
        "started": time_to_json(snapshot.started),
        "alive": snapshot.alive,
        "overdue": snapshot.overdue,
        "ready": snapshot.ready,
        "why_not_ready": snapshot.why_not_ready,
        "next_pass": time_to_json(snapshot.next_pass),
        "reload_failed": snapshot.reload_failed,
        "error": refused.to_json() if refused else None,
        "keys": [status.to_json() for status in key_statuses(snapshot)],
        "foreign": [key.id for key in foreign_keys(snapshot)],
        "passes": [_pass_to_json(record) for record in snapshot.passes],
    }


def _status(latest: KeyResult, seen: KeyResult, seen_at: datetime, now: datetime) -> KeyStatus:
    rotated_at, due_at = seen.rotated_at, seen.due_at
    age = max(timedelta(), now - rotated_at) if rotated_at else None
    others = _others(seen, seen_at)
    state = _state(latest, due_at, now)
    return KeyStatus(
        name=latest.key.name,
        path=latest.key.path,
        state=state,
        why=_why(latest, state),
        known=seen.plan is not None,
        key_id=seen.key_id,
        rotated_at=rotated_at,
        age=age,
        due_at=due_at,
        period_share=_share(rotated_at, due_at, now),
        superseded=tuple(other for other in others if other.kind is Victim.SUPERSEDED),
        orphans=tuple(other for other in others if other.kind is Victim.ORPHAN),
        warnings=latest.warnings,
        errors=latest.errors,
    )


def _state(key: KeyResult, due_at: datetime | None, now: datetime) -> KeyState:
    if key.failed:
        return KeyState.FAILED
    if key.outcome in (Outcome.STOPPED, Outcome.NOT_REACHED):
        return KeyState(key.outcome)
    if key.plan is None or key.outcome is Outcome.YIELDED:
        return KeyState.UNKNOWN
    held = key.action is Action.HOLD
    # Nor is a key well that is dead or late only because something holds its rotation back.
    if key.plan and key.plan.reason in _GONE and (held or key.outcome is Outcome.PLANNED):
        return KeyState(key.plan.reason)
    if due_at is not None and due_at + OVERDUE_AFTER <= now:
        return KeyState.OVERDUE
    if held:
        return KeyState.HELD
    planned = key.outcome is Outcome.PLANNED and key.action is Action.ROTATE
    return KeyState.DUE if planned or (due_at is not None and due_at <= now) else KeyState.OK


def _why(key: KeyResult, state: KeyState) -> str | None:
    if key.plan and key.plan.held:
        return f"{key.plan.reason}, but held back: {key.plan.held.text}"
    if key.outcome is Outcome.YIELDED:
        return "another rotator was first; the next pass sees its key"
    if state is KeyState.STOPPED:
        return "stopped before it was begun; the next pass does it"
    if state is KeyState.NOT_REACHED:
        return "pass_deadline was over before it had its turn; the next pass begins with it"
    if key.plan and key.plan.reason:
        done = key.outcome is Outcome.DONE
        return f"{'rotated' if done else 'to be rotated'}: {key.plan.reason}"
    return None


def _share(rotated_at: datetime | None, due_at: datetime | None, now: datetime) -> float | None:
    if rotated_at is None or due_at is None or due_at <= rotated_at:
        return None
    return min(1.0, max(0.0, (now - rotated_at) / (due_at - rotated_at)))


def _others(seen: KeyResult, seen_at: datetime) -> tuple[OtherKey, ...]:
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
            # A grace that was ended was so since the rotation, at the earliest.
            overdue=not other.stays and (other.goes_at or seen.rotated_at or seen_at) <= overdue_at,
        )
        for other in (seen.others if looked else seen.left)
    )


def _pass_to_json(record: PassRecord) -> dict[str, Any]:
    result, refused = record.result, record.refused
    return {
        "run_id": record.run_id,
        "began": time_to_json(record.began),
        "ended": time_to_json(record.ended),
        "converged": record.converged,
        "rotated": result.rotated if result else 0,
        "revoked": result.revoked if result else 0,
        "failed": result.failed if result else 0,
        "error": refused.to_json() if refused else None,
    }


def _other_to_json(other: OtherKey) -> dict[str, Any]:
    return {
        "key_id": other.id,
        "since": time_to_json(other.since),
        "revoke_at": time_to_json(other.goes_at),
        "stays": other.stays or None,
        "overdue": other.overdue,
    }
