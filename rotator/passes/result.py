"""What a pass did, or would do: values for the table, for `--json` and for the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from rotator.errors import RotatorError
from rotator.rules.bookkeeping import Rotation
from rotator.rules.decide import Hold, Plan, Revocation
from rotator.rules.facts import Facts
from rotator.rules.model import Key, ManagedKey
from rotator.rules.times import time_to_json


class Action(StrEnum):
    """What was decided for a managed key."""

    ROTATE = "rotate"
    ADOPT = "adopt"
    RECORD = "record"
    HOLD = "hold"
    NONE = "none"


class Outcome(StrEnum):
    """What came of it."""

    DONE = "done"
    PLANNED = "planned"
    """A dry run: it would be done."""
    YIELDED = "yielded"
    """Another rotator was first; its key stands and ours is revoked."""
    STOPPED = "stopped"
    """We were asked to stop before it was begun."""
    FAILED = "failed"


def held_back(facts: Facts, plan: Plan) -> tuple[RotatorError, ...]:
    """A key that is held back because something keeps failing has failed, too; say what keeps failing."""
    if plan.hold is not Hold.BACKING_OFF:
        return ()
    if facts.omitted and not facts.orphans:
        return (
            RotatorError(
                "held back: the gateway's list omits the current key, so it may omit others",
                cure="ask the gateway's support; or --rotate-now",
            ),
        )
    return (
        RotatorError(
            f"held back: {len(facts.orphans)} orphans and {len(plan.superseded)} superseded keys are live, and "
            "making more is not the cure",
            cure="they go in time; if not, look at why revoking or storing fails, or revoke them by hand",
        ),
    )


def action_of(plan: Plan) -> Action:
    if plan.rotates:
        return Action.ROTATE
    if plan.note:
        return Action(plan.note.value)
    return Action.HOLD if plan.hold else Action.NONE


@dataclass(frozen=True)
class KeyResult:
    """One managed key after a pass."""

    key: ManagedKey
    outcome: Outcome
    facts: Facts | None = None
    """None when its secret could not be read."""
    plan: Plan | None = None
    rotation: Rotation | None = None
    """Its bookkeeping as written in this pass."""
    revoked: tuple[Revocation, ...] = ()
    """Done, or planned in a dry run."""
    errors: tuple[RotatorError, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.errors) or self.outcome is Outcome.FAILED

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.plan.warnings if self.plan else ()

    @property
    def action(self) -> Action | None:
        return action_of(self.plan) if self.plan else None

    @property
    def key_id(self) -> int | None:
        if self.rotation:
            return self.rotation.key_id
        return self.facts.current.key_id if self.facts and self.facts.current else None

    @property
    def rotated_at(self) -> datetime | None:
        rotation = self.rotation or (
            self.facts.current.rotation if self.facts and self.facts.current else None
        )
        return rotation.rotated_at if rotation else None

    @property
    def due_at(self) -> datetime | None:
        return self.key.cadence.due_at(self.rotated_at) if self.rotated_at else None

    @property
    def superseded(self) -> Mapping[int, datetime | None]:
        """Live superseded keys, each with the moment at which it goes; None for one that is not ours to revoke."""
        since = self.rotation.superseded if self.rotation else self.plan.superseded if self.plan else {}
        gone = {revocation.key_id for revocation in self.revoked}
        return {
            id_: at + self.key.grace_period if self.facts and self.facts.may_revoke(id_) else None
            for id_, at in sorted(since.items())
            if id_ not in gone
        }

    @property
    def orphans(self) -> tuple[int, ...]:
        gone = {revocation.key_id for revocation in self.revoked}
        return tuple(key.id for key in self.facts.orphans if key.id not in gone) if self.facts else ()

    def to_json(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "name": self.key.name,
            "path": self.key.path,
            "action": self.action,
            "reason": plan.reason if plan else None,
            "hold": plan.hold if plan else None,
            "outcome": self.outcome,
            "key_id": self.key_id,
            "rotated_at": time_to_json(self.rotated_at),
            "due_at": time_to_json(self.due_at),
            "superseded": [
                {"key_id": id_, "revoke_at": time_to_json(at)} for id_, at in self.superseded.items()
            ],
            "orphans": list(self.orphans),
            "revoked": [{"key_id": done.key_id, "reason": done.victim} for done in self.revoked],
            "warnings": list(self.warnings),
            "errors": [error.to_json() for error in self.errors],
        }


def planned(facts: Facts, plan: Plan) -> KeyResult:
    """What comes of `plan` if nothing goes wrong."""
    held = held_back(facts, plan)
    return KeyResult(facts.key, Outcome.PLANNED, facts, plan, revoked=plan.revocations, errors=held)


@dataclass(frozen=True)
class PassResult:
    """One pass over an account."""

    run_id: str
    dry_run: bool
    installation: str | None
    now: datetime
    keys: tuple[KeyResult, ...]
    foreign: tuple[Key, ...]
    """Live keys of our convention that no entry of this config can claim; they are left alone."""
    changed: bool = False
    """Whether anything was asked of either side that could change it."""
    refused: RotatorError | None = None
    """Why the whole account was given up in the middle of the pass."""

    @property
    def rotated(self) -> int:
        """Rotations that were done or, in a dry run, would be."""
        done = [key for key in self.keys if key.outcome in (Outcome.DONE, Outcome.PLANNED)]
        return sum(key.action is Action.ROTATE for key in done)

    @property
    def revoked(self) -> int:
        return sum(len(key.revoked) for key in self.keys)

    @property
    def failed(self) -> int:
        return sum(key.failed for key in self.keys)

    @property
    def stopped(self) -> bool:
        return any(key.outcome is Outcome.STOPPED for key in self.keys)

    @property
    def converged(self) -> bool:
        return self.refused is None and not self.failed and not self.stopped

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "converged": self.converged,
            "rotated": self.rotated,
            "revoked": self.revoked,
            "failed": self.failed,
            "installation": self.installation,
            "now": time_to_json(self.now),
            "keys": [result.to_json() for result in self.keys],
            "foreign": [{"key_id": key.id, "title": key.title} for key in self.foreign],
            "error": self.refused.to_json() if self.refused else None,
        }
