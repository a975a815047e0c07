"""What becomes of the live keys beside the current one: which go, when, and what keeps the others. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.facts import Facts
from rotator.rules.times import age, short, until, when


class Victim(StrEnum):
    """Why a key is revoked."""

    SUPERSEDED = "superseded"
    ORPHAN = "orphan"


class Kept(StrEnum):
    """Why a live key beside the current one is not revoked now."""

    WITHOUT_SUCCESSOR = "without_successor"
    CLOCK = "clock"
    IN_GRACE = "in_grace"
    YOUNG = "young"
    PROTECTED = "protected"
    ADOPTED = "adopted"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Revocation:
    """The fate of a live key beside the current one: it is revoked now, later or never."""

    key_id: int
    victim: Victim
    since: datetime
    """When it was superseded, or asked for, of an orphan; WITHOUT_GRACE where its grace was ended."""
    goes_at: datetime | None = field(default=None, compare=False)
    """When its time is over, on the gateway's clock; None for one that is not ours to revoke."""
    kept: Kept | None = field(default=None, compare=False)
    """Why it is not revoked now; None for one that is."""
    text: str = field(default="", compare=False)
    """The facts that this goes by, in words; it holds no secret."""


@dataclass(frozen=True)
class KeptRule:
    """A row of `KEPT`, before it is held against any facts."""

    name: Kept
    when: Callable[[Facts, int, datetime], bool]
    """Given the victim's id, and since when it is one."""
    words: str


_STANDS_ELSEWHERE: Final = "but it is the bearer, or may be in use elsewhere"
KEPT: Final[Mapping[Victim, tuple[KeptRule, ...]]] = {
    Victim.SUPERSEDED: (
        KeptRule(
            Kept.WITHOUT_SUCCESSOR,
            lambda facts, _, __: facts.current is None,
            "but nothing has taken its place yet",
        ),
        KeptRule(
            Kept.CLOCK,
            # What has no grace goes at any time.
            lambda facts, _, since: facts.doubt is not None and since != WITHOUT_GRACE,
            "but it is not known what time it is",
        ),
        KeptRule(
            Kept.IN_GRACE,
            lambda facts, id_, since: facts.lives_until(id_, since) > facts.now,
            "so it lives on",
        ),
        KeptRule(
            Kept.PROTECTED,
            # What an operator ended the grace of goes wherever else it stands.
            lambda facts, id_, since: id_ in facts.protected or (facts.unread and since != WITHOUT_GRACE),
            _STANDS_ELSEWHERE,
        ),
        KeptRule(
            Kept.ADOPTED,
            lambda facts, id_, _: not facts.may_revoke(id_),
            "but by its title it is not ours: revoke it, or set revoke_adopted",
        ),
        KeptRule(
            Kept.UNPROVEN,
            lambda facts, id_, _: id_ in facts.unproven,
            "but nothing else shows that it ever stood in this secret: if it is yours to revoke, do it by hand",
        ),
    ),
    Victim.ORPHAN: (
        KeptRule(
            Kept.CLOCK, lambda facts, _, __: facts.doubt is not None, "but it is not known what time it is"
        ),
        KeptRule(
            Kept.YOUNG,
            lambda facts, _, since: abs(facts.now - since) < facts.timing.orphan_after,
            "so it lives on",
        ),
        KeptRule(Kept.PROTECTED, lambda facts, id_, _: id_ in facts.protected, _STANDS_ELSEWHERE),
    ),
}


def fates(facts: Facts) -> tuple[Revocation, ...]:
    """Return every live key beside the current one as it was observed, the superseded ones first."""
    live = {id_: since for id_, since in facts.superseded.items() if facts.lives(id_)}
    return fates_beside(facts, live, facts.rotation.rotated_at if facts.rotation else facts.now)


def fates_beside(
    facts: Facts, superseded: Mapping[int, datetime], rotated_at: datetime
) -> tuple[Revocation, ...]:
    """Return what `fates` does, of these `superseded` keys, beside one that is current since `rotated_at`."""
    return (
        *(_superseded(facts, id_, since, rotated_at) for id_, since in sorted(superseded.items())),
        *(_orphan(facts, key.id, facts.since(key)) for key in facts.orphans),
    )


def going(goes_at: datetime | None, now: datetime, *, overdue: bool = False) -> str:
    """Say in the same words everywhere when a key goes. `goes_at`: None for one that is not ours to revoke."""
    if goes_at is None:
        return "stays: not ours to revoke"
    if overdue:
        return f"overdue for {short(now - goes_at)}"
    return f"goes {until(goes_at, now)}" if goes_at > now else "goes with the next pass"


def _superseded(facts: Facts, id_: int, since: datetime, rotated_at: datetime) -> Revocation:
    ends = facts.lives_until(id_, since)
    if ends == WITHOUT_GRACE:
        ends = rotated_at
        text = "superseded without grace, by --revoke-old-now"
    else:
        grace = facts.key.grace_period
        text = f"superseded {when(ends - grace, facts.now)}; its grace of {short(grace)} "
        text += f"{'ended' if ends <= facts.now else 'ends'} {when(ends, facts.now)}"
    return _fate(facts, Victim.SUPERSEDED, id_, since, ends if facts.may_revoke(id_) else None, text)


def _orphan(facts: Facts, id_: int, created_at: datetime) -> Revocation:
    text = f"created {created_at:%Y-%m-%d %H:%M}, {age(created_at, facts.now)}, never published; "
    text += f"orphan_after is {short(facts.timing.orphan_after)}"
    ends = created_at + facts.timing.orphan_after
    return _fate(facts, Victim.ORPHAN, id_, created_at, None if id_ in facts.protected else ends, text)


def _fate(
    facts: Facts, victim: Victim, id_: int, since: datetime, goes_at: datetime | None, text: str
) -> Revocation:
    rule = next((rule for rule in KEPT[victim] if rule.when(facts, id_, since)), None)
    words = rule.words if rule else "so it is revoked"
    return Revocation(id_, victim, since, goes_at, rule.name if rule else None, f"{text}, {words}")
