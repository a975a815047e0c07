"""What is to be done for one managed key, and why. Pure: facts in, named reasons out.

Why, why not now, and what keeps another key alive are tables of this room, as docs/protocol.md has them:
`REASONS`, `HOLDS`, `KEPT`. The first row that holds is the answer, and carries its words; whatever shows a
decision shows those.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rotator.redaction import words
from rotator.rules.bookkeeping import WITHOUT_GRACE, Rotation, stripped
from rotator.rules.facts import Facts
from rotator.rules.freeze import Freeze
from rotator.rules.history import Trace
from rotator.rules.holds import HOLDS, Hold
from rotator.rules.model import CreatedKey
from rotator.rules.owner import NOBODY, Owner
from rotator.rules.previews import matches_preview
from rotator.rules.reasons import REASONS, Reason, Row, first
from rotator.rules.revocations import LASTING, Revocation, Victim, fates
from rotator.rules.times import moment


class Note(StrEnum):
    """Why only the bookkeeping of a secret is written."""

    ADOPT = "adopt"
    RECORD = "record"


@dataclass(frozen=True)
class Plan:
    """What is to be done for one managed key, with the reasons. It holds no secret."""

    current: Rotation | None
    """The bookkeeping of the key that the secret holds, as observed; None when that key is not known."""
    because: Row[Reason] | None
    """Why it is to be rotated."""
    held: Row[Hold] | None
    """Why it is not, all the same."""
    note: Note | None
    bookkeeping: Rotation | None
    """What is written when the key stays the same: for the note's sake, or to fence a revocation."""
    others: tuple[Revocation, ...]
    """Every live key beside the current one."""
    warnings: tuple[str, ...]
    dangers: tuple[str, ...] = ()
    """Those of the warnings by which the key that programs use may fail them at any time."""
    doubt: str | None = None
    """Why the time is not to be relied on."""
    freeze: Freeze | None = None
    """What a person has said of freezing the secret, while that is in force."""
    frozen_until: datetime | None = None
    """When a freeze lets the next rotation go on; None where it keeps none."""
    thawed_at: datetime | None = None
    """When a freeze that has ended let the next rotation go on; None where none did."""
    owner: Owner = NOBODY
    """Whose the secret is, as people say."""

    @property
    def reason(self) -> Reason | None:
        """Why it is to be rotated, even where it is held; None where it is not."""
        return self.because.name if self.because else None

    @property
    def hold(self) -> Hold | None:
        """Why it is not rotated all the same; None where nothing holds it back, or there is no reason to."""
        return self.held.name if self.held else None

    @property
    def rotates(self) -> bool:
        """Whether it is rotated in this pass: there is a reason, and nothing holds it back."""
        return self.because is not None and self.held is None

    @property
    def revocations(self) -> tuple[Revocation, ...]:
        """What is to be revoked now."""
        return tuple(other for other in self.others if other.kept is None)

    @property
    def superseded(self) -> Mapping[int, datetime]:
        """Live superseded keys, each with the time since when."""
        return {other.key_id: other.since for other in self.others if other.victim is Victim.SUPERSEDED}

    @property
    def writes(self) -> bool:
        """Whether the secret is written: by a rotation, for its bookkeeping, or to fence a revocation."""
        return self.rotates or self.note is not None or bool(self.revocations)


def decide(facts: Facts) -> Plan:
    """Decide what is done for one managed key in this pass."""
    why = first(REASONS, facts)
    hold = first(HOLDS, facts) if why else None
    others = fates(facts)
    current = facts.rotation
    dangers = tuple(_dangers(facts, why.name if why else None))
    return Plan(
        current=current,
        because=why,
        held=hold,
        note=_note(facts) if why is None or hold else None,
        bookkeeping=replace(current, superseded=_handed_on(facts, others), titles=facts.titles())
        if current
        else None,
        others=others,
        warnings=(
            *dangers,
            *_warnings(facts),
            *_of_freeze(facts),
            *_titles(facts),
            *_left_behind(facts),
            *_left_to_a_person(others),
            *_left_to_consumers(facts, others),
        ),
        dangers=dangers,
        doubt=facts.doubt,
        freeze=facts.freeze if facts.freeze and facts.freeze.in_force(facts.now) else None,
        frozen_until=_frozen_until(facts),
        thawed_at=_thawed_at(facts),
        owner=facts.owner,
    )


def succeed(facts: Facts, created: CreatedKey, now: datetime) -> Rotation:
    """Return the bookkeeping that is stored with the new key."""
    superseded = _handed_on(facts, fates(facts))
    if facts.key_id and not facts.is_gone(facts.key_id):
        superseded[facts.key_id] = now
    if facts.without_grace:
        superseded = dict.fromkeys(superseded, WITHOUT_GRACE)
    return Rotation(created.id, created.title, created.created_at, now, superseded, facts.titles())


def _note(facts: Facts) -> Note | None:
    if facts.current is None or facts.rotation is None or facts.doubt:
        return None
    if facts.current.adopted:
        return Note.ADOPT
    if facts.current.rolled_back or facts.current.redated or Trace.PUBLISHED in facts.traces.values():
        return Note.RECORD
    return None


def _handed_on(facts: Facts, others: tuple[Revocation, ...]) -> dict[int, datetime]:
    """What the secret is to say of superseded keys; of those that are about to be revoked, that they have no grace.

    A rotator may stand still before it revokes. A rollback, by a config with a longer grace, must not make the key
    current meanwhile.
    """
    going = {other.key_id for other in others if other.kept is None}
    return {id_: WITHOUT_GRACE if id_ in going else since for id_, since in facts.carried.items()}


def _dangers(facts: Facts, reason: Reason | None) -> Iterator[str]:
    """What is said where the published key works, as far as was seen, and may fail its programs all the same."""
    current = facts.current
    if current is None:
        return
    text = (facts.version.data or {}).get(facts.key.field)
    if isinstance(text, str) and text != stripped(text):
        yield (
            f"the field {facts.key.field} has white space around the plaintext, so no program "
            "can use it; remove the white space, or wait for the next rotation"
        )
    if current.key_id is None or reason is Reason.REVOKED:
        return
    if facts.omitted:
        yield f"key {current.key_id} is missing in the gateway's list, yet its plaintext still authenticates"
    elif facts.is_revoked(current.key_id):
        yield f"key {current.key_id} is revoked in the gateway's list, yet its plaintext still authenticates"


def _warnings(facts: Facts) -> Iterator[str]:
    current = facts.current
    if current is None:
        return
    if current.faults:
        rest = "the rotator treats its key as adopted" if current.adopted else "the rest of it is used"
        yield f"the rotator cannot read the secret's bookkeeping ({'; '.join(current.faults)}); {rest}"
    if current.key_id is None:
        yield (
            "the secret's plaintext matches no listed key, or more than one; if that key is "
            "live, revoke it by hand after it has been replaced"
        )


def _of_freeze(facts: Facts) -> Iterator[str]:
    if facts.freeze and (said := facts.freeze.warning(facts.key.name, facts.now, facts.due_since)):
        yield said


def _thawed_at(facts: Facts) -> datetime | None:
    """When a freeze let the rotation go on that is due."""
    if facts.freeze is None or facts.due_since is None:
        return None
    ends = facts.freeze.keeps_until(facts.due_since)
    return ends if facts.due_since < ends <= facts.now else None


def _frozen_until(facts: Facts) -> datetime | None:
    """When a freeze lets the rotation go on that falls due then, or is due."""
    ends = facts.frozen_until(facts.due_since)
    return ends if ends and facts.due_at and ends > facts.due_at else None


def _left_behind(facts: Facts) -> Iterator[str]:
    """What is said of a plaintext in another field, such as one that the config once named."""
    plaintext = facts.plaintext
    for name, text in (facts.version.data or {}).items():
        beside = isinstance(text, str) and text.startswith("sk-") and text.strip() != plaintext
        if not beside or name == facts.key.field:
            continue
        if key := next((key for key in facts.listed.values() if matches_preview(key, text.strip())), None):
            state = "lives on for a while" if key.live else "is revoked"
            yield f"the field {name} holds the plaintext of key {key.id}, which {state}: remove the field"


def _titles(facts: Facts) -> Iterator[str]:
    """What is said where the list does not show a title as it was sent."""
    current = facts.rotation
    key = facts.listed.get(current.key_id) if current else None
    if current and key and current.title and key.title != current.title:
        yield (
            f"the gateway lists key {key.id} as “{words(key.title)}”, but it was made as "
            f"“{words(current.title)}”: if a creation is cut off, the rotator cannot recognise "
            f"its key; write a title_template that the gateway does not change, or ask its "
            f"support"
        )


def _left_to_a_person(others: tuple[Revocation, ...]) -> Iterator[str]:
    for other in others:
        if other.kept in LASTING and other.victim is Victim.SUPERSEDED:
            yield f"key {other.key_id} is superseded, and stays: {other.stays}"


def _left_to_consumers(facts: Facts, others: tuple[Revocation, ...]) -> Iterator[str]:
    for other in others:
        waiting = facts.unconfirmed(other.key_id, other.since)
        who = "; ".join(f"{name} {why}" for name, why in waiting.items() if name in other.unconfirmed)
        if other.unconfirmed and other.kept is None:
            yield f"key {other.key_id} goes, because its grace_limit is over, though {who}"
        elif other.unconfirmed and other.goes_at:
            yield f"key {other.key_id} lives on until {moment(other.goes_at)} at the latest: {who}"
