"""What becomes of the live keys beside the current one: which go, when, and what keeps the others. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.facts import Facts
from rotator.rules.ownership import UNREAD
from rotator.rules.times import age, format_duration, moment, short, until, when


class Victim(StrEnum):
    """Why a key is revoked."""

    SUPERSEDED = "superseded"
    ORPHAN = "orphan"


class Kept(StrEnum):
    """Why a live key beside the current one is not revoked now."""

    WITHOUT_SUCCESSOR = "without_successor"
    CLOCK = "clock"
    IN_GRACE = "in_grace"
    FROZEN = "frozen"
    YOUNG = "young"
    PROTECTED = "protected"
    ADOPTED = "adopted"
    UNPROVEN = "unproven"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True)
class Revocation:
    """The fate of a live key beside the current one: it is revoked now, later or never."""

    key_id: int
    victim: Victim
    since: datetime
    """When it was superseded, or asked for, of an orphan; WITHOUT_GRACE where its grace was ended."""
    goes_at: datetime | None = field(default=None, compare=False)
    """When its time is over, also that of a freeze, on the gateway's clock.

    None for one that stays, or whose grace was ended.
    """
    kept: Kept | None = field(default=None, compare=False)
    """Why it is not revoked now; None for one that is."""
    text: str = field(default="", compare=False)
    """The facts that this goes by, in words; it holds no secret."""
    stays: str = field(default="", compare=False)
    """Why it lives on when its time is over, in words; empty for one that goes."""
    created_at: datetime | None = field(default=None, compare=False)
    """When the list says that it was created; None where it is not listed."""
    leaked: bool = field(default=False, compare=False)
    """Whether an operator ended its grace, as a claim says, too."""
    unconfirmed: tuple[str, ...] = field(default=(), compare=False)
    """The consumers that may still use it, where its grace is over."""

    @property
    def known_since(self) -> datetime | None:
        """`since`; None where its grace was ended: then nothing says any more when it was superseded."""
        return None if self.since == WITHOUT_GRACE else self.since


@dataclass(frozen=True)
class KeptRule:
    """A row of `KEPT`, before it is held against any facts."""

    name: Kept
    when: Callable[[Facts, int, datetime], bool]
    """Given the victim's id, and since when it is one."""
    words: Callable[[Facts, int], str]


LASTING: Final = {Kept.PROTECTED, Kept.ADOPTED, Kept.UNPROVEN}
"""What no time ends."""
KEPT: Final[Mapping[Victim, tuple[KeptRule, ...]]] = {
    Victim.SUPERSEDED: (
        KeptRule(
            Kept.WITHOUT_SUCCESSOR,
            # The last key that works must not go: its programs, or a rollback, may yet need it.
            lambda facts, _, __: facts.current is None or facts.refused,
            lambda facts, _: (
                "but no key has taken its place yet"
                if facts.current is None
                else f"but it is kept, because {the_current(facts.key_id)} does not work"
            ),
        ),
        KeptRule(
            Kept.CLOCK,
            # What has no grace goes at any time.
            lambda facts, _, since: facts.doubt is not None and since != WITHOUT_GRACE,
            lambda *_: "but it is not known what time it is",
        ),
        KeptRule(
            Kept.IN_GRACE,
            lambda facts, id_, since: facts.lives_until(id_, since) > facts.now,
            lambda *_: "so it lives on",
        ),
        KeptRule(
            Kept.FROZEN,
            lambda facts, id_, since: facts.revocation_frozen_until(id_, since) is not None,
            lambda *_: "but the secret is frozen",
        ),
        KeptRule(
            Kept.UNCONFIRMED,
            lambda facts, id_, since: (
                bool(facts.unconfirmed(id_, since)) and facts.limit_of(id_, since) > facts.now
            ),
            lambda *_: "so it lives on",
        ),
        KeptRule(
            Kept.PROTECTED,
            # What an operator ended the grace of goes wherever else it stands.
            lambda facts, id_, since: id_ in facts.protected or (facts.unread and since != WITHOUT_GRACE),
            lambda facts, id_: facts.protected.get(id_, UNREAD),
        ),
        KeptRule(
            Kept.ADOPTED,
            lambda facts, id_, _: not facts.may_revoke(id_),
            lambda *_: (
                "it was made by hand, or under another path, so the rotator does not know it as "
                "its own: revoke it by hand, or set revoke_adopted: true"
            ),
        ),
        KeptRule(
            Kept.UNPROVEN,
            lambda facts, id_, _: id_ in facts.unproven,
            lambda *_: (
                "only the bookkeeping says that it was ever in this secret: if you may revoke "
                "it, do so by hand"
            ),
        ),
    ),
    Victim.ORPHAN: (
        KeptRule(
            Kept.CLOCK,
            lambda facts, _, __: facts.doubt is not None,
            lambda *_: "but it is not known what time it is",
        ),
        KeptRule(
            Kept.YOUNG,
            lambda facts, _, since: abs(facts.now - since) < facts.timing.orphan_after,
            lambda *_: "so it lives on",
        ),
        KeptRule(
            Kept.PROTECTED,
            lambda facts, id_, _: id_ in facts.protected,
            lambda facts, id_: facts.protected[id_],
        ),
    ),
}


def fates(facts: Facts) -> tuple[Revocation, ...]:
    """Return every live key beside the current one as it was observed, the superseded ones first."""
    live = {id_: since for id_, since in facts.superseded.items() if facts.lives(id_)}
    return fates_of(facts, live)


def fates_of(facts: Facts, superseded: Mapping[int, datetime]) -> tuple[Revocation, ...]:
    """Return what `fates` does, of these `superseded` keys."""
    return (
        *(_superseded(facts, id_, since) for id_, since in sorted(superseded.items())),
        *(_orphan(facts, key.id, facts.since(key)) for key in facts.orphans),
    )


def the_current(key_id: int | None) -> str:
    """Name the current key in a sentence, also where its id is not known."""
    return f"key {key_id}" if key_id else "the current key"


def going(goes_at: datetime | None, now: datetime, *, stays: str = "", overdue: bool = False) -> str:
    """Say in the same words everywhere when a key goes, or why it stays."""
    if stays:
        return f"stays: {stays}"
    if goes_at is None:
        return "its revocation has begun, but it is still alive" if overdue else "goes with the next pass"
    if overdue:
        return f"overdue for {short(now - goes_at)}"
    return f"goes {until(goes_at, now)}" if goes_at > now else "goes with the next pass"


def _superseded(facts: Facts, id_: int, since: datetime) -> Revocation:
    ends = facts.lives_until(id_, since)
    if ends == WITHOUT_GRACE:
        text = "superseded; its grace was ended by --revoke-old-now, or its revocation has begun"
        return _fate(facts, Victim.SUPERSEDED, id_, since, None, text)
    grace = facts.key.grace_period
    text = f"superseded {when(ends - grace, facts.now)}; its grace of {format_duration(grace)} "
    text += f"{'ended' if ends <= facts.now else 'ends'} {when(ends, facts.now)}"
    waiting = facts.unconfirmed(id_, since)
    if waiting:
        ends = facts.limit_of(id_, since)
        text += "".join(f"; {name} {why}" for name, why in waiting.items())
        text += f"; its grace_limit of {format_duration(facts.key.grace_limit)} "
        text += f"{'ended' if ends <= facts.now else 'ends'} {when(ends, facts.now)}"
    fate = _fate(facts, Victim.SUPERSEDED, id_, since, ends, text)
    return fate if fate.stays else replace(fate, unconfirmed=tuple(waiting))


def _orphan(facts: Facts, id_: int, created_at: datetime) -> Revocation:
    text = f"created {moment(created_at)}, {age(created_at, facts.now)}, never published; "
    text += f"orphan_after is {format_duration(facts.timing.orphan_after)}"
    return _fate(facts, Victim.ORPHAN, id_, created_at, created_at + facts.timing.orphan_after, text)


def _fate(
    facts: Facts, victim: Victim, id_: int, since: datetime, ends: datetime | None, text: str
) -> Revocation:
    holding = [rule for rule in KEPT[victim] if rule.when(facts, id_, since)]
    kept = holding[0] if holding else None
    # A secret that cannot be read today may be read when the grace is over.
    lasting = [
        rule for rule in holding if rule.name in LASTING and (rule is kept or _outlasts(facts, rule, id_))
    ]
    stays = lasting[0].words(facts, id_) if lasting else ""
    frozen = next((rule for rule in holding if rule.name is Kept.FROZEN), None)
    thaws = facts.revocation_frozen_until(id_, since) if frozen else None
    if kept is None:
        text += ", so it is revoked"
    elif kept.name in LASTING:
        text += f", but it stays: {stays}"
    else:
        text += f", {kept.words(facts, id_)}"
        text += f" until {when(thaws, facts.now)}" if thaws and kept is frozen else ""
        text += f"; then it stays: {stays}" if stays else ""
    # What was frozen was not late: its time is over when the freeze is, also when that has ended.
    thawed = facts.frozen_or_thawed(id_, since) if victim is Victim.SUPERSEDED else None
    if thawed:
        ends = max(ends or thawed, thawed)
    listed = facts.listed.get(id_)
    return Revocation(
        id_,
        victim,
        since,
        goes_at=None if stays else ends,
        kept=kept.name if kept else None,
        text=text,
        stays=stays,
        created_at=listed.created_at if listed else None,
        leaked=victim is Victim.SUPERSEDED and facts.is_leaked(id_, since),
    )


def _outlasts(facts: Facts, rule: KeptRule, id_: int) -> bool:
    return rule.name is not Kept.PROTECTED or id_ in facts.protected
