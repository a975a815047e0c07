"""Which key a string is, by what was seen, and whether anything is to be done about it. Pure."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator.errors import RotatorError
from rotator.rules.bookkeeping import read_block, read_plaintext
from rotator.rules.facts import Facts
from rotator.rules.given import Form, Given
from rotator.rules.model import ManagedKey, Version
from rotator.rules.previews import matches_preview
from rotator.rules.whose import MANAGED, Owned


class Verdict(StrEnum):
    """Whether something is to be done if the key has leaked."""

    ALIVE = "alive"
    DEAD = "dead"
    """The list shows it revoked, or a secret held it once; and nothing says that it works."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Stored:
    """A version of a managed key's secret that holds, or held, what was given."""

    key: ManagedKey
    version: int
    latest: int
    key_id: int | None
    """Which key that is, by the bookkeeping beside it; None where it does not say."""


@dataclass(frozen=True)
class Identified:
    """What a string is. It holds no secret."""

    form: Form
    now: datetime
    keys: tuple[Owned, ...]
    """The keys that it may be; of a plaintext or an id at best one."""
    stored: tuple[Stored, ...]
    works: bool | None
    """Whether the gateway takes it; None where it was not tried, or that told nothing."""
    request_id: str | None
    """Of the request that told."""
    untold: RotatorError | None
    """Why trying it told nothing."""
    unread: Mapping[str, RotatorError]
    """The managed keys whose secrets could not be read, so that it may stand in them, each with the reason."""

    @property
    def verdict(self) -> Verdict:
        """Alive, dead, or not known. Dead takes two witnesses where a plaintext was given."""
        listed_live = any(key.live for key in self.keys)
        if self.works or (self.form is not Form.PLAINTEXT and listed_live):
            return Verdict.ALIVE
        known = bool(self.keys or self.stored)
        refused = self.works is False or (
            self.form is not Form.PLAINTEXT and all(key.live is False for key in self.keys)
        )
        return Verdict.DEAD if known and refused and not listed_live else Verdict.UNKNOWN

    @property
    def dead(self) -> bool:
        """Whether there is nothing to do."""
        return self.verdict is Verdict.DEAD

    @property
    def managed(self) -> frozenset[str]:
        """The managed keys that a leak of it is a leak of; empty where it is not one key, or none of theirs."""
        if len(self.keys) != 1 or self.keys[0].whose not in MANAGED:
            return frozenset()
        return frozenset(key.name for key in self.keys[0].managed)


def which(given: Given, facts: Iterable[Facts], fitting: Set[int], stored: Iterable[Stored]) -> Set[int]:
    """Return the keys that it may be. The very plaintext beside an id says more than any preview.

    `fitting`: the listed keys that it fits, by their ids or previews.
    """
    named = {one.key_id for one in stored if one.key_id}
    if given.form is Form.KEY_ID:
        known = any(given.key_id in {one.key_id, *one.superseded} for one in facts)
        return fitting | ({given.key_id} if known and given.key_id else set())
    if given.form is Form.PREVIEW:
        return fitting | named
    others = {
        one.key_id for one in facts if one.plaintext and one.key_id and not given.fits_text(one.plaintext)
    }
    return named or fitting - others


def found_in(facts: Facts, given: Given, version: Version) -> Stored | None:
    """Say which key a version of the secret holds, if it is the one that was given."""
    key, latest = facts.key, facts.version.number
    text = read_plaintext(version.data, key.field)
    if not text or not given.fits_text(text):
        return None
    if version.number == latest:
        return Stored(key, latest, latest, facts.key_id)
    block = read_block(version.data, key.bookkeeping)
    shown = facts.listed.get(block.key_id or 0)
    # Who may write the secret may put any id beside a plaintext.
    pasted = block.version != version.number or (shown is not None and matches_preview(shown, text) is False)
    return Stored(key, version.number, latest, None if pasted else block.key_id)
