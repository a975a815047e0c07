"""What spares an unmanaged key that a person wants revoked: the table, each row with its words. Pure.

No pass ever revokes such a key. A person may, by its id; and even then only where each witness says that nothing of
this Vault needs it. What is not known spares it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator.redaction import words
from rotator.rules.claims import Claim
from rotator.rules.times import format_time, short
from rotator.rules.whose import STRANGERS, Owned, Whose


@dataclass(frozen=True)
class Word:
    """What a person has said: this key, and the title under which it was shown to them."""

    key_id: int
    title: str


@dataclass(frozen=True)
class Sight:
    """One look at the account, as far as it tells of the keys that a person named. It holds no secret."""

    now: datetime
    owned: Mapping[int, Owned]
    """By the ids that were named: whose each key is."""
    used: Mapping[int, str]
    """By id: how it is, or may be, the bearer or what a secret holds, by plaintexts and previews."""
    unread: tuple[str, ...]
    """The managed keys whose secrets or claims could not be read, or were deleted."""
    claims: Mapping[str, tuple[Claim, ...]]
    """By managed key: the claims on a version that its secret does not have yet, and that are not ended."""
    orphan_after: timedelta
    doubt: str | None = None
    """Why the time is not to be relied on."""


class Spared(StrEnum):
    """Why a key that a person named is not revoked."""

    NOT_LISTED = "not_listed"
    DEAD = "dead"
    ANOTHER = "another"
    MANAGED = "managed"
    BEARER = "bearer"
    USED = "used"
    UNREAD = "unread"
    CLAIMED = "claimed"
    CLOCK = "clock"
    YOUNG = "young"


@dataclass(frozen=True)
class SparedRule:
    """A row of `SPARED`: when it holds, and what is said then."""

    name: Spared
    when: Callable[[Sight, Word, Owned], bool]
    says: Callable[[Sight, Word, Owned], str]


def _title(owned: Owned) -> str:
    return owned.key.title if owned.key else ""


def _open(sight: Sight, owned: Owned) -> Mapping[str, Claim]:
    """By managed key: a claim that the key may be of. No title rules that out: lists change titles."""
    made = _made(owned)
    return {
        name: claim
        for name, claims in sight.claims.items()
        for claim in claims
        if made is None or claim.may_have_made(made)
    }


def _made(owned: Owned) -> datetime | None:
    return owned.key.created_at if owned.key else None


def _say_managed(_sight: Sight, _word: Word, owned: Owned) -> str:
    names = " and ".join(key.name for key in owned.managed)
    if owned.whose is Whose.ORPHAN:
        return f"it is an orphan of {names}: a pass revokes it in time"
    if owned.whose is Whose.POSSIBLE:
        return f"the secret of {names} may hold it; look at it: `rotator status`"
    the = "the" if owned.whose is Whose.CURRENT else "a"
    return f"it is {the} {owned.whose} key of {names}: replace it instead: `{owned.command}`"


def _say_claimed(sight: Sight, _word: Word, owned: Owned) -> str:
    name, claim = next(iter(_open(sight, owned).items()))
    return (
        f"a rotator claimed version {claim.version} of {name} before it was made, and may be about to store it; "
        "the next rotation of that managed key settles it"
    )


SPARED: Final[tuple[SparedRule, ...]] = (
    SparedRule(
        Spared.NOT_LISTED,
        lambda _, __, owned: owned.key is None,
        lambda *_: "the gateway's list does not show it",
    ),
    SparedRule(
        Spared.ANOTHER,
        lambda _, word, owned: _title(owned) != word.title,
        lambda _, __, owned: f"it is called “{words(_title(owned))}” now, and something else was confirmed",
    ),
    SparedRule(Spared.DEAD, lambda _, __, owned: not owned.live, lambda *_: "it is revoked already"),
    SparedRule(Spared.MANAGED, lambda _, __, owned: owned.whose not in STRANGERS, _say_managed),
    SparedRule(
        Spared.BEARER,
        lambda _, __, owned: owned.bearer,
        lambda *_: "it is, or may be, the bearer; put another key where gateway.api_key says, then prune it",
    ),
    SparedRule(
        Spared.USED,
        lambda sight, _, owned: owned.id in sight.used,
        lambda sight, _, owned: sight.used[owned.id],
    ),
    SparedRule(
        Spared.UNREAD,
        lambda sight, _, __: bool(sight.unread),
        lambda sight, _, __: (
            f"what {', '.join(sight.unread)} holds could not be read, and may be it; look at it: `rotator status`"
        ),
    ),
    SparedRule(Spared.CLAIMED, lambda sight, _, owned: bool(_open(sight, owned)), _say_claimed),
    SparedRule(
        Spared.CLOCK,
        lambda sight, _, __: sight.doubt is not None,
        lambda sight, _, __: f"it is not known how old it is, because {sight.doubt}",
    ),
    SparedRule(
        Spared.YOUNG,
        # What the list dates ahead may have been made just now.
        lambda sight, _, owned: sight.now - (_made(owned) or sight.now) < sight.orphan_after,
        lambda sight, _, owned: (
            f"it is younger than {short(sight.orphan_after)}: whoever made it may be about to store it; "
            f"try again after {format_time((_made(owned) or sight.now) + sight.orphan_after)}"
        ),
    ),
)


def spared(sight: Sight, word: Word) -> tuple[Spared, str] | None:
    """Return why the key is not revoked, by the first row that holds, in words; None where it may be."""
    owned = sight.owned[word.key_id]
    rule = next((rule for rule in SPARED if rule.when(sight, word, owned)), None)
    return (rule.name, rule.says(sight, word, owned)) if rule else None
