"""What is to be done for one managed key, and why. Pure: facts in, named reasons out.

Each table of the protocol is a table here; its first row that holds is the answer. `explain` reads the same tables.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Generic, TypeVar

from rotator.rules.bookkeeping import WITHOUT_GRACE, Rotation
from rotator.rules.facts import Facts
from rotator.rules.history import Trace
from rotator.rules.identify import Current
from rotator.rules.model import CreatedKey, Key

R = TypeVar("R", bound=StrEnum)
MAX_ORPHANS: Final = 3
"""Live orphans of a family at which making more keys is not the cure."""
MAX_SUPERSEDED: Final = 12
"""Superseded keys of a family at which no more are made: their revocation keeps failing.

Twice as many where the current key is missing or revoked, and after that one for each grace period, so that
a family in use is not left without one.
"""


class Reason(StrEnum):
    """Why a managed key is rotated."""

    MISSING = "missing"
    REVOKED = "revoked"
    DUE = "due"
    FORCED = "forced"


class Hold(StrEnum):
    """Why a rotation that has a reason is not done now."""

    IN_FLIGHT = "in_flight"
    BACKING_OFF = "backing_off"
    OUTSIDE_WINDOW = "outside_window"


class Victim(StrEnum):
    """Why a key is revoked."""

    SUPERSEDED = "superseded"
    ORPHAN = "orphan"


class Kept(StrEnum):
    """Why a live key beside the current one is not revoked now."""

    WITHOUT_SUCCESSOR = "without_successor"
    IN_GRACE = "in_grace"
    YOUNG = "young"
    PROTECTED = "protected"
    ADOPTED = "adopted"


class Note(StrEnum):
    """Why only the bookkeeping of a secret is written."""

    ADOPT = "adopt"
    RECORD = "record"


@dataclass(frozen=True)
class Revocation:
    """One key to revoke, now or later."""

    key_id: int
    victim: Victim
    since: datetime
    """When it was superseded, or created for an orphan."""


@dataclass(frozen=True)
class Plan:
    """What is to be done for one managed key, with the reasons."""

    reason: Reason | None
    hold: Hold | None
    note: Note | None
    bookkeeping: Rotation | None
    """What is written when the key stays the same: for the note's sake, or to fence a revocation.

    None when it is not known which key the secret holds.
    """
    superseded: Mapping[int, datetime]
    """Live superseded keys, each with the time since when."""
    revocations: tuple[Revocation, ...]
    warnings: tuple[str, ...]

    @property
    def rotates(self) -> bool:
        return self.reason is not None and self.hold is None

    @property
    def writes(self) -> bool:
        """Whether the secret is written: by a rotation, for its bookkeeping, or to fence a revocation."""
        return self.rotates or self.note is not None or bool(self.revocations)


@dataclass(frozen=True)
class Rule(Generic[R]):
    """A row of a table."""

    name: R
    when: Callable[[Facts], bool]
    spares: frozenset[Reason] = frozenset()
    """The reasons that it does not stand against."""

    def holds(self, facts: Facts) -> bool:
        return self.when(facts) and not self.spared(facts)

    def spared(self, facts: Facts) -> tuple[Reason, ...]:
        """Of the reasons that hold, those that it does not stand against."""
        return tuple(row.name for row in REASONS if row.name in self.spares and row.holds(facts))


def first(table: tuple[Rule[R], ...], facts: Facts) -> R | None:
    return next((row.name for row in table if row.holds(facts)), None)


def in_flight(facts: Facts) -> bool:
    """Whether another replica may be about to store a key."""
    return any(facts.age(orphan) < facts.timing.in_flight for orphan in facts.orphans)


def piled_up(facts: Facts) -> bool:
    """Whether so many keys are live already that more are not the cure."""
    if len(facts.orphans) >= MAX_ORPHANS:
        return True
    if piled(facts) < most_piled(facts):
        return False
    # One for each grace period is let through: that there is a current key is the condition for the others to go.
    return not is_urgent(facts) or youngest(facts) < facts.key.grace_period


def piled(facts: Facts) -> int:
    """How many superseded keys are left; those that a person made are not ours to count."""
    ours = {key.id for key in facts.family}
    return sum(id_ in ours or id_ not in facts.listed for id_ in facts.carried)


def most_piled(facts: Facts) -> int:
    return 2 * MAX_SUPERSEDED if is_urgent(facts) else MAX_SUPERSEDED


def is_urgent(facts: Facts) -> bool:
    """Whether there is no current key, as far as is known, or it works no more."""
    return facts.current is None or facts.current.rotation is None or facts.refused


def youngest(facts: Facts) -> timedelta:
    return min((facts.age(key) for key in facts.family), default=timedelta(0))


def omitted(facts: Facts) -> bool:
    """Whether the list omits the current key: what a list does not show cannot be kept within bounds."""
    return facts.omitted


def outside_window(facts: Facts) -> bool:
    return not facts.key.cadence.window_open(facts.now)


REASONS: Final[tuple[Rule[Reason], ...]] = (
    Rule(Reason.MISSING, lambda facts: facts.current is None),
    Rule(Reason.REVOKED, lambda facts: facts.refused),
    Rule(Reason.DUE, lambda facts: facts.due_at is not None and facts.due_at <= facts.now),
    Rule(Reason.FORCED, lambda facts: facts.forced),
)
_ALL_BUT_DUE: Final = frozenset({Reason.FORCED, Reason.MISSING, Reason.REVOKED})
HOLDS: Final[tuple[Rule[Hold], ...]] = (
    Rule(Hold.IN_FLIGHT, in_flight, spares=frozenset({Reason.FORCED})),
    Rule(Hold.BACKING_OFF, piled_up),
    Rule(Hold.BACKING_OFF, omitted, spares=_ALL_BUT_DUE),
    Rule(Hold.OUTSIDE_WINDOW, outside_window, spares=_ALL_BUT_DUE),
)
KEPT: Final[Mapping[Victim, tuple[tuple[Kept, Callable[[Facts, Revocation], bool]], ...]]] = {
    Victim.SUPERSEDED: (
        (Kept.WITHOUT_SUCCESSOR, lambda facts, _: facts.current is None),
        (Kept.IN_GRACE, lambda facts, other: other.since + facts.key.grace_period > facts.now),
        (Kept.PROTECTED, lambda facts, other: other.key_id in facts.protected),
        (Kept.ADOPTED, lambda facts, other: not facts.may_revoke(other.key_id)),
    ),
    Victim.ORPHAN: (
        (Kept.YOUNG, lambda facts, other: abs(facts.now - other.since) < facts.timing.orphan_after),
        (Kept.PROTECTED, lambda facts, other: other.key_id in facts.protected),
    ),
}


def kept(facts: Facts, other: Revocation) -> Kept | None:
    """Why `other` is not revoked now; None for one that is."""
    return next((name for name, holds in KEPT[other.victim] if holds(facts, other)), None)


def others(facts: Facts) -> tuple[Revocation, ...]:
    """Every live key beside the current one: to be revoked now, later or never."""
    superseded = sorted(facts.superseded.items())
    return (
        *(Revocation(id_, Victim.SUPERSEDED, since) for id_, since in superseded if facts.lives(id_)),
        *(Revocation(key.id, Victim.ORPHAN, key.created_at) for key in facts.orphans),
    )


def suspects(current: Current | None, family: tuple[Key, ...]) -> tuple[Key, ...]:
    """Return the live keys of the family that the secret does not name: orphans, or published once."""
    named = {current.key_id, *current.superseded} if current else set()
    return tuple(key for key in family if key.id not in named)


def decide(facts: Facts) -> Plan:
    """Decide what is done for one managed key in this pass."""
    reason = first(REASONS, facts)
    hold = first(HOLDS, facts) if reason else None
    return Plan(
        reason=reason,
        hold=hold,
        note=_note(facts) if reason is None or hold else None,
        bookkeeping=_bookkeeping(facts),
        superseded={id_: since for id_, since in facts.superseded.items() if facts.lives(id_)},
        revocations=_revocations(facts),
        warnings=(*_warnings(facts, reason), *_left_to_a_person(facts)),
    )


def succeed(facts: Facts, created: CreatedKey, now: datetime) -> Rotation:
    """Return the bookkeeping with which `created` takes over at `now`."""
    superseded = _handed_on(facts)
    if facts.current and facts.current.key_id and not facts.is_revoked(facts.current.key_id):
        superseded[facts.current.key_id] = max(now, created.created_at)
    if facts.without_grace:
        superseded = dict.fromkeys(superseded, WITHOUT_GRACE)
    return Rotation(created.id, created.title, created.created_at, now, superseded)


def _note(facts: Facts) -> Note | None:
    if facts.current is None or facts.current.rotation is None:
        return None
    if facts.current.adopted:
        return Note.ADOPT
    if facts.current.rolled_back or Trace.PUBLISHED in facts.traces.values():
        return Note.RECORD
    return None


def _bookkeeping(facts: Facts) -> Rotation | None:
    if facts.current is None or facts.current.rotation is None:
        return None
    return replace(facts.current.rotation, superseded=_handed_on(facts))


def _revocations(facts: Facts) -> tuple[Revocation, ...]:
    return tuple(other for other in others(facts) if kept(facts, other) is None)


def _handed_on(facts: Facts) -> dict[int, datetime]:
    """What the secret is to say of superseded keys; of those that are about to be revoked, that they have no grace.

    A rotator may stand still before it revokes. A rollback, by a config with a longer grace, must not make the key
    current meanwhile.
    """
    going = {revocation.key_id for revocation in _revocations(facts)}
    return {id_: WITHOUT_GRACE if id_ in going else since for id_, since in facts.carried.items()}


def _warnings(facts: Facts, reason: Reason | None) -> Iterator[str]:
    current = facts.current
    if current is None:
        return
    if current.nonsense:
        yield f"the secret's bookkeeping makes no sense ({current.nonsense}); its key is treated as adopted"
    if current.key_id is None:
        yield "the secret's plaintext fits no listed key, or several; the key behind it is left to you"
    elif reason is Reason.REVOKED:
        return
    elif facts.omitted:
        yield f"key {current.key_id} is missing in the gateway's list, yet its plaintext still authenticates"
    elif facts.is_revoked(current.key_id):
        yield f"key {current.key_id} is revoked in the gateway's list, yet its plaintext still authenticates"


def _left_to_a_person(facts: Facts) -> Iterator[str]:
    for other in others(facts):
        why = kept(facts, other)
        if why is Kept.PROTECTED and other.victim is Victim.SUPERSEDED:
            yield f"key {other.key_id} is superseded, but is the bearer, or may be in use elsewhere"
        elif why is Kept.ADOPTED:
            yield f"key {other.key_id} was adopted and is superseded: revoke it, or set revoke_adopted"
