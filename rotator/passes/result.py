"""What a pass did, or would do: for tables, JSON, metrics, notices and the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from rotator.errors import RETRIED, HeldBack, RotatorError, Transient
from rotator.passes.by_hand import asked_again
from rotator.passes.stopping import NotReached, Stopped
from rotator.rules.bookkeeping import Rotation
from rotator.rules.decide import Plan
from rotator.rules.facts import Facts
from rotator.rules.holds import clock_in_doubt
from rotator.rules.model import Key, ManagedKey
from rotator.rules.owner import NOBODY
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Kept, Revocation, Victim, fates_of
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
    """The secret was written since the decision; a key of ours, if there is one, is revoked."""
    STOPPED = "stopped"
    """We were asked to stop before it was begun."""
    NOT_REACHED = "not reached"
    """The pass was over before it had its turn."""
    FAILED = "failed"


UNBEGUN: Final = (Outcome.STOPPED, Outcome.NOT_REACHED)


def held_back(plan: Plan) -> tuple[HeldBack, ...]:
    """Return what holds the key back as an error, if time alone does not cure it; else nothing."""
    errors = []
    if plan.held and plan.held.cure:
        errors.append(HeldBack(f"held: {plan.held.text}", cure=plan.held.cure))
    if ids := [str(other.key_id) for other in plan.others if other.kept is Kept.CLOCK]:
        errors.append(clock_in_doubt(f"key {', '.join(ids)} was not considered for revocation", plan.doubt))
    return tuple(errors)


def action_of(plan: Plan) -> Action:
    """Say in one word what was decided: a rotation counts before a note, a note before a hold."""
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
    plan: Plan | None = None
    """None when its secret could not be read."""
    rotation: Rotation | None = None
    """Its bookkeeping as written in this pass."""
    others: tuple[Revocation, ...] = ()
    """Every key beside the current one: as it was looked at or, after a write, as the secret names them."""
    revoked: tuple[Revocation, ...] = ()
    """Done, or planned in a dry run."""
    errors: tuple[RotatorError, ...] = ()
    untold: tuple[str, ...] = ()
    """The consumers that are still owed to be told which key is current."""
    copies: Mapping[str, RotatorError | None] = field(default_factory=dict)
    """By consumer that reads a copy: why that does not hold the current key; None where it does."""

    @classmethod
    def of(cls, key: ManagedKey, outcome: Outcome, plan: Plan) -> "KeyResult":
        """One that was decided on, before anything was done."""
        errors = tuple(asked_again(error, key, plan) for error in held_back(plan))
        return cls(key, outcome, plan, others=plan.others, errors=errors)

    def written(self, facts: Facts, rotation: Rotation | None) -> "KeyResult":
        """The same after `rotation` was written, if anything was."""
        if rotation is None:
            return self
        return replace(self, rotation=rotation, others=fates_of(facts, rotation.superseded))

    @property
    def failed(self) -> bool:
        """Whether something went wrong; a key that is held by what time does not cure counts, too."""
        return bool(self.errors) or self.outcome is Outcome.FAILED

    @property
    def failures(self) -> tuple[RotatorError, ...]:
        """What was tried and went wrong: `errors` without what was held."""
        return tuple(error for error in self.errors if not isinstance(error, HeldBack))

    @property
    def held(self) -> bool:
        """Whether something of it is due and waits for what a row of a table asks for, and nothing went wrong."""
        waits = self.action is Action.HOLD or len(self.failures) < len(self.errors)
        waits = waits or any(other.kept is Kept.FROZEN for other in self.others)
        return waits and not self.failures and self.outcome is not Outcome.FAILED

    @property
    def unrotated(self) -> bool:
        """Whether the next pass has a reason to rotate it; a person's wish is none, for nothing remembers that."""
        if self.plan is None or self.plan.reason is None or self.outcome is Outcome.YIELDED:
            return False
        if self.plan.reason is Reason.FORCED:
            return False
        return not (self.plan.rotates and (self.rotation or self.outcome is Outcome.DONE))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its owner should know; none where nothing was decided."""
        behind = (f"the copy for {name} is behind: {said(error)}" for name, error in self.behind.items())
        return (*(self.plan.warnings if self.plan else ()), *behind)

    @property
    def behind(self) -> Mapping[str, RotatorError]:
        """The copies that do not hold the current key, as far as was seen: by consumer, with the reason."""
        return {name: error for name, error in self.copies.items() if error}

    @property
    def action(self) -> Action | None:
        """What was decided; None where nothing was: its secret could not be read, or a stop came first."""
        return action_of(self.plan) if self.plan else None

    def without(self, unrevoked: frozenset[int]) -> "KeyResult":
        """The same, when the list still shows these keys live though their DELETE was answered well."""
        mine = [done.key_id for done in self.revoked if done.key_id in unrevoked]
        if not mine:
            return self
        ids = ", ".join(map(str, mine))
        error = RotatorError(
            f"the gateway confirmed the DELETE of key {ids}, but still lists the key as live",
            cure="the next pass tries again; if the key stays, ask the gateway's support",
        )
        gone = tuple(done for done in self.revoked if done.key_id not in unrevoked)
        return replace(self, revoked=gone, errors=(*self.errors, error))

    def unverified(self, error: RotatorError) -> "KeyResult":
        """The same, when no later list could be had to say that what was revoked is gone."""
        return replace(self, errors=(*self.errors, error)) if self.revoked else self

    @property
    def _current(self) -> Rotation | None:
        return self.rotation or (self.plan.current if self.plan else None)

    @property
    def key_id(self) -> int | None:
        """The id of the key that the secret now holds; None where it is not known."""
        return self._current.key_id if self._current else None

    @property
    def rotated_at(self) -> datetime | None:
        """Since when that key is current, on the gateway's clock; None where it is not known."""
        return self._current.rotated_at if self._current else None

    @property
    def current_since(self) -> datetime | None:
        """Since when that key is current without a break: a person may have put it back after `rotated_at`."""
        current = self._current
        return max((current.rotated_at, *current.superseded.values())) if current else None

    @property
    def due_at(self) -> datetime | None:
        """When that key falls due; None where it is not known."""
        return self.key.cadence.due_at(self.rotated_at) if self.rotated_at else None

    @property
    def left(self) -> tuple[Revocation, ...]:
        """`others` without what this pass revoked or, in a dry run, would revoke."""
        gone = {revocation.key_id for revocation in self.revoked}
        return tuple(other for other in self.others if other.key_id not in gone)

    def to_json(self) -> dict[str, Any]:
        """An item of `keys` in the JSON of a pass. What the pass revoked is in `revoked` alone."""
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
                {
                    "key_id": other.key_id,
                    "revoke_at": time_to_json(other.goes_at),
                    "stays": other.stays or None,
                    "unconfirmed": list(other.unconfirmed),
                }
                for other in self.left
                if other.victim is Victim.SUPERSEDED
            ],
            "orphans": [other.key_id for other in self.left if other.victim is Victim.ORPHAN],
            "revoked": [{"key_id": done.key_id, "reason": done.victim} for done in self.revoked],
            "behind": list(self.behind),
            "untold": list(self.untold),
            "frozen": plan.freeze.to_json() if plan and plan.freeze else None,
            **(plan.owner if plan else NOBODY).to_json(),
            "warnings": list(self.warnings),
            "errors": [error.to_json() for error in self.errors],
        }


def said(error: RotatorError) -> str:
    """Say in one line what is the matter, and what cures it."""
    return f"{error.message}; {error.cure or RETRIED}"


def copies_to_json(copies: Mapping[str, RotatorError | None]) -> list[dict[str, Any]]:
    """`copies` in JSON."""
    return [
        {"consumer": name, "holds_it": error is None, "error": error.to_json() if error else None}
        for name, error in copies.items()
    ]


def planned(key: ManagedKey, plan: Plan) -> KeyResult:
    """What comes of `plan` if nothing goes wrong."""
    return replace(KeyResult.of(key, Outcome.PLANNED, plan), revoked=plan.revocations)


def unacted(key: ManagedKey, error: RotatorError) -> KeyResult:
    """What comes of a managed key that `error` kept from being decided, or from being begun."""
    if isinstance(error, (Stopped, NotReached)):
        return KeyResult(key, outcome_of(error))
    return KeyResult(key, Outcome.FAILED, errors=(error,))


def outcome_of(error: Stopped | NotReached) -> Outcome:
    """What is said of what was not begun."""
    return Outcome.STOPPED if isinstance(error, Stopped) else Outcome.NOT_REACHED


@dataclass(frozen=True)
class PassResult:
    """One pass over an account."""

    run_id: str
    dry_run: bool
    installation: str | None
    now: datetime
    keys: tuple[KeyResult, ...]
    foreign: tuple[Key, ...]
    """Unmanaged keys with titles of our convention: made by another installation, or for another config."""
    changed: bool = False
    """Whether anything was asked of either side that could change it."""
    forced: bool = False
    """Whether a person asked for a rotation of each: what this pass did not do, no other repeats."""
    refused: RotatorError | None = None
    """Why the whole account was given up in the middle of the pass."""

    @property
    def rotated(self) -> int:
        """Rotations that were done or, in a dry run, would be."""
        ended = (Outcome.DONE, Outcome.PLANNED)
        done = [key for key in self.keys if key.outcome in ended or (key.outcome in UNBEGUN and key.rotation)]
        return sum(key.action is Action.ROTATE for key in done)

    @property
    def revoked(self) -> int:
        """Keys that were revoked or, in a dry run, would be."""
        return sum(len(key.revoked) for key in self.keys)

    @property
    def failed(self) -> int:
        """How many managed keys failed; one that is held by what time does not cure counts, too."""
        return sum(key.failed for key in self.keys)

    @property
    def stopped(self) -> bool:
        """Whether a managed key was not begun because we were asked to stop."""
        return any(key.outcome is Outcome.STOPPED for key in self.keys)

    @property
    def not_reached(self) -> int:
        """How many managed keys had no turn before the pass was over."""
        return sum(key.outcome is Outcome.NOT_REACHED for key in self.keys)

    @property
    def converged(self) -> bool:
        """Whether nothing failed, was refused, stopped or not reached; a hold that time ends is none of these."""
        return self.refused is None and not (self.failed or self.stopped or self.not_reached)

    @property
    def passing(self) -> RotatorError | None:
        """What a pass soon after may no longer meet: a refusal of the account, or the first transient failure."""
        errors = (error for key in self.keys for error in key.errors)
        return self.refused or next((error for error in errors if isinstance(error, Transient)), None)

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator --once --json`, and of a dry run's."""
        return {
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "converged": self.converged,
            "rotated": self.rotated,
            "revoked": self.revoked,
            "failed": self.failed,
            "not_reached": self.not_reached,
            "installation": self.installation,
            "now": time_to_json(self.now),
            "gateway_now": time_to_json(self.now),
            "keys": [result.to_json() for result in self.keys],
            "foreign": [{"key_id": key.id, "title": key.title} for key in self.foreign],
            "error": self.refused.to_json() if self.refused else None,
        }
