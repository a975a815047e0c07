"""Which key a string is: by the list, the secrets and their older versions, and by trying it. Writes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rotator.clients.gateway.proof import Probe
from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.each import each
from rotator.passes.observe import Observation, observe
from rotator.passes.secret import remembered
from rotator.rules.bookkeeping import read_block, read_plaintext
from rotator.rules.facts import Facts
from rotator.rules.given import Form, Given, NoKey
from rotator.rules.model import ManagedKey, Version
from rotator.rules.previews import matches_preview
from rotator.rules.whose import MANAGED, Belongings, Owned

_LOOKS: Final = 10
"""Older versions of a secret that are looked at: as many as Vault keeps, unless it is told otherwise."""


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
    probe: Probe | None
    """What the gateway said to it; None where it was not tried, or that told nothing."""
    untold: RotatorError | None
    """Why trying it told nothing."""
    unread: tuple[str, ...]
    """The managed keys whose secrets could not be read, so that it may stand in them."""

    @property
    def works(self) -> bool | None:
        """Whether the gateway takes it; None where that is not known."""
        return self.probe.works if self.probe else None

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
    def managed(self) -> frozenset[str]:
        """The managed keys that a leak of it is a leak of; empty where it is not one key, or none of theirs."""
        if len(self.keys) != 1 or self.keys[0].whose not in MANAGED:
            return frozenset()
        return frozenset(key.name for key in self.keys[0].managed)


def look_up(account: Account, given: Given) -> tuple[Identified, Observation]:
    """Say which key was given, and return what was seen. Raises NoKey for what proves to be none.

    Raises what `observe` raises, where a side cannot be reached.
    """
    seen = observe(account, dry_run=True)
    belongings = belongings_of(account, seen)
    fitting = {key.id for key in seen.listed.values() if given.fits(key)}
    stored, unread = _stored(account, seen, given, fitting)
    ids = _ids(given, seen, fitting, stored)
    if not (given.is_of_the_gateway or ids or stored):
        raise NoKey(
            "it is no key of this account, and does not look like one of the gateway's; "
            "give the key alone, without a name before it and without quotes"
        )
    probe: Probe | None = None
    untold: RotatorError | None = None
    if given.plaintext:
        try:
            probe = account.gateway.authenticates(given.plaintext)
        except RotatorError as error:
            untold = error
    keys = tuple(map(belongings.of, sorted(ids)))
    return Identified(given.form, seen.now, keys, stored, probe, untold, unread), seen


def belongings_of(account: Account, seen: Observation) -> Belongings:
    """Return whose each key is, of what was seen."""
    facts = seen.facts.values()
    return Belongings(seen.listed, facts, account.titles, seen.installation, seen.bearers)


def _ids(given: Given, seen: Observation, fitting: set[int], stored: Iterable[Stored]) -> set[int]:
    """The keys that it may be. The very plaintext beside an id says more than any preview."""
    named = {one.key_id for one in stored if one.key_id}
    if given.form is Form.KEY_ID:
        known = any(given.key_id in {facts.key_id, *facts.superseded} for facts in seen.facts.values())
        return fitting | ({given.key_id} if known and given.key_id else set())
    if given.form is Form.PREVIEW:
        return fitting | named
    others = {
        facts.key_id
        for facts in seen.facts.values()
        if facts.plaintext and facts.key_id and not given.fits_text(facts.plaintext)
    }
    return named or fitting - others


def _stored(
    account: Account, seen: Observation, given: Given, fitting: set[int]
) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
    """Look for it in what the secrets hold; then, where it is not there, in what they held."""
    if given.form is Form.KEY_ID:
        return (), tuple(seen.failed)
    facts = seen.facts
    now = {name: _in(one, given, one.version) for name, one in facts.items()}
    if (found := tuple(filter(None, now.values()))) or (given.form is Form.PREVIEW and fitting):
        return found, tuple(seen.failed)
    # Whose secret names one that it may be is looked at first: mostly that is all.
    near = {name for name, one in facts.items() if fitting & {*one.superseded, *(k.id for k in one.family)}}
    unread = dict.fromkeys(seen.failed)
    for names in (near, facts.keys() - near):
        keys = [one.key for name, one in facts.items() if name in names]
        past = each(
            keys, lambda key: _in_the_past(account, facts[key.name], given), workers=account.concurrency
        )
        unread |= dict.fromkeys(past.failed)
        if found := tuple(filter(None, past.done.values())):
            break
    return found, tuple(unread)


def _in_the_past(account: Account, facts: Facts, given: Given) -> Stored | None:
    newest = facts.version.number - 1
    for number in range(newest, max(0, newest - _LOOKS), -1):
        version = remembered(account.store.read(facts.key.path, number), facts.key)
        if version.number == 0:  # it was trimmed, and so are those before it
            return None
        if found := _in(facts, given, version):
            return found
    return None


def _in(facts: Facts, given: Given, version: Version) -> Stored | None:
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
