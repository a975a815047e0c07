"""What is to be done for one managed key, and why. Pure: facts in, named reasons out.

Each table of the protocol is a chain of small checks; the first one that hits gives the reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator.bookkeeping import WITHOUT_GRACE, Rotation, rotation_or_none
from rotator.history import Trace
from rotator.identify import Current
from rotator.model import CreatedKey, Key, ManagedKey, Timing, Version

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


class Note(StrEnum):
    """Why only the bookkeeping of a secret is written."""

    ADOPT = "adopt"
    RECORD = "record"


@dataclass(frozen=True)
class Facts:
    """All that was observed of one managed key."""

    key: ManagedKey
    timing: Timing
    now: datetime
    version: Version
    listed: Mapping[int, Key]
    """Every key of the account."""
    family: tuple[Key, ...]
    """The live keys whose titles are ours and say that they were made for this managed key and its path."""
    current: Current | None
    """None when the path holds no plaintext."""
    refused: bool
    """The gateway answered 401 to the current plaintext. It is asked only when the list gives cause."""
    traces: Mapping[int, Trace]
    """What became of the keys of the family that the secret does not name."""
    protected: frozenset[int]
    """Keys that this managed key must not revoke: the bearer, and what is another's or may be."""
    forced: bool
    """The operator said `--rotate-now`."""
    without_grace: bool = False
    """The operator said `--revoke-old-now`: a rotation ends the grace of all that it supersedes."""

    @property
    def orphans(self) -> tuple[Key, ...]:
        return tuple(key for key in self.family if self.traces.get(key.id) is Trace.ORPHAN)

    def without_plaintext(self) -> "Facts":
        """The same, for what outlives the pass: without the secret, and without the account's list."""
        return replace(self, version=Version(self.version.number, None), listed={})

    def age(self, key: Key) -> timedelta:
        """How far from now `key` is dated: one that is dated far ahead is not young, but strange."""
        return abs(self.now - key.created_at)

    def may_revoke(self, id_: int) -> bool:
        """Whether a superseded key is ours to revoke, once its grace is over."""
        ours = any(key.id == id_ for key in self.family)
        return id_ not in self.protected and (ours or self.key.revoke_adopted)

    @property
    def omitted(self) -> bool:
        """Whether the list omits the current key, though it works and is not so new that the list may lag."""
        rotation = self.current.rotation if self.current else None
        if rotation is None or self.refused or rotation.key_id in self.listed:
            return False
        return rotation.created_at <= self.now - self.timing.in_flight


@dataclass(frozen=True)
class Revocation:
    """One key to revoke."""

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


def suspects(current: Current | None, family: tuple[Key, ...]) -> tuple[Key, ...]:
    """Return the live keys of the family that the secret does not name: orphans, or published once."""
    named = {current.key_id, *current.superseded} if current else set()
    return tuple(key for key in family if key.id not in named)


def decide(facts: Facts) -> Plan:
    """Decide what is done for one managed key in this pass."""
    reason = next(_reasons(facts), None)
    superseded = _superseded(facts)
    hold = next(_holds(facts, reason, superseded), None) if reason else None
    revocations, left = _revocations(facts, superseded)
    return Plan(
        reason=reason,
        hold=hold,
        note=_note(facts) if reason is None or hold else None,
        bookkeeping=_bookkeeping(facts, superseded),
        superseded={id_: since for id_, since in superseded.items() if _is_live(facts, id_)},
        revocations=revocations,
        warnings=(*_warnings(facts, reason), *left),
    )


def succeed(facts: Facts, created: CreatedKey, now: datetime) -> Rotation:
    """Return the bookkeeping with which `created` takes over at `now`."""
    superseded = _carried(facts, _superseded(facts))
    if facts.current and facts.current.key_id and not _is_revoked(facts, facts.current.key_id):
        superseded[facts.current.key_id] = max(now, created.created_at)
    if facts.without_grace:
        superseded = dict.fromkeys(superseded, WITHOUT_GRACE)
    return Rotation(created.id, created.title, created.created_at, now, superseded)


def _reasons(facts: Facts) -> Iterator[Reason]:
    due_at = _due_at(facts)
    if facts.current is None:
        yield Reason.MISSING
    if facts.refused:
        yield Reason.REVOKED
    if due_at is not None and due_at <= facts.now:
        yield Reason.DUE
    if facts.forced:
        yield Reason.FORCED


def _holds(facts: Facts, reason: Reason, superseded: Mapping[int, datetime]) -> Iterator[Hold]:
    young = (facts.age(orphan) < facts.timing.in_flight for orphan in facts.orphans)
    if not facts.forced and any(young):
        yield Hold.IN_FLIGHT
    if len(facts.orphans) >= MAX_ORPHANS or _piled_up(facts, reason, superseded):
        yield Hold.BACKING_OFF
    if reason is Reason.DUE and not facts.forced:
        if facts.omitted:
            yield Hold.BACKING_OFF  # what a list does not show cannot be kept within bounds
        if not facts.key.cadence.window_open(facts.now):
            yield Hold.OUTSIDE_WINDOW


def _piled_up(facts: Facts, reason: Reason, superseded: Mapping[int, datetime]) -> bool:
    """Whether too many superseded keys are left; those that a person made are not ours to count."""
    ours = {key.id for key in facts.family}
    left = sum(id_ in ours or id_ not in facts.listed for id_ in _carried(facts, superseded))
    known = facts.current is not None and facts.current.rotation is not None
    if known and reason is not Reason.REVOKED:
        return left >= MAX_SUPERSEDED
    # One for each grace period is let through: that there is a current key is the condition for the others to go.
    ages = (facts.age(key) for key in facts.family)
    return left >= 2 * MAX_SUPERSEDED and min(ages, default=timedelta(0)) < facts.key.grace_period


def _due_at(facts: Facts) -> datetime | None:
    """When the current key falls due; now, when it is not known which key it is. None without one."""
    if facts.current is None:
        return None
    if facts.current.rotation is None:
        return facts.now
    return facts.key.cadence.due_at(facts.current.rotation.rotated_at)


def _superseded(facts: Facts) -> dict[int, datetime]:
    """Every key that was current once, with the time since when it is superseded.

    One that the secret does not name counts from now on, when it was noticed.
    """
    current = facts.current
    known = dict(current.superseded) if current else _named_without_plaintext(facts)
    since = current.noticed(facts.now) if current else facts.now
    return known | {id_: since for id_, trace in facts.traces.items() if trace is Trace.PUBLISHED}


def _named_without_plaintext(facts: Facts) -> dict[int, datetime]:
    """What the block says where the plaintext beside it is gone: the key that it names is current no more."""
    block = rotation_or_none(facts.version.data)
    return {**block.superseded, block.key_id: facts.now} if block else {}


def _note(facts: Facts) -> Note | None:
    if facts.current is None or facts.current.rotation is None:
        return None
    if facts.current.adopted:
        return Note.ADOPT
    if facts.current.rolled_back or Trace.PUBLISHED in facts.traces.values():
        return Note.RECORD
    return None


def _bookkeeping(facts: Facts, superseded: Mapping[int, datetime]) -> Rotation | None:
    if facts.current is None or facts.current.rotation is None:
        return None
    return replace(facts.current.rotation, superseded=_carried(facts, superseded))


def _carried(facts: Facts, superseded: Mapping[int, datetime]) -> dict[int, datetime]:
    """Drop what is dead, or is no longer listed and past its grace: the list may lag, so not at once."""

    def still(id_: int, since: datetime) -> bool:
        key = facts.listed.get(id_)
        return key.live if key else since + facts.key.grace_period > facts.now

    return {id_: since for id_, since in superseded.items() if still(id_, since)}


def _revocations(
    facts: Facts, superseded: Mapping[int, datetime]
) -> tuple[tuple[Revocation, ...], tuple[str, ...]]:
    revocations, left = [], []
    for id_, since in sorted(superseded.items()):
        in_grace = facts.current is None or since + facts.key.grace_period > facts.now
        if in_grace or not _is_live(facts, id_):
            continue
        if id_ in facts.protected:
            left.append(f"key {id_} is superseded, but is the bearer, or may be in use elsewhere")
        elif facts.may_revoke(id_):
            revocations.append(Revocation(id_, Victim.SUPERSEDED, since))
        else:
            left.append(f"key {id_} was adopted and is superseded: revoke it, or set revoke_adopted")
    old = (key for key in facts.orphans if facts.age(key) >= facts.timing.orphan_after)
    swept = (key for key in old if key.id not in facts.protected)
    revocations += [Revocation(key.id, Victim.ORPHAN, key.created_at) for key in swept]
    return tuple(revocations), tuple(left)


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
    elif _is_revoked(facts, current.key_id):
        yield f"key {current.key_id} is revoked in the gateway's list, yet its plaintext still authenticates"


def _is_live(facts: Facts, id_: int) -> bool:
    key = facts.listed.get(id_)
    return key is not None and key.live


def _is_revoked(facts: Facts, id_: int) -> bool:
    key = facts.listed.get(id_)
    return key is not None and not key.live
