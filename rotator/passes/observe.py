"""Observing: what both authorities say, read once, and what follows. Writes nothing but a first identity."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.copy import Copied, Copies
from rotator.passes.each import Each, each
from rotator.passes.installation import read_installation
from rotator.passes.read import Reader
from rotator.passes.result import KeyResult, planned, unacted
from rotator.redaction import Secret
from rotator.rules.bookkeeping import Rotation
from rotator.rules.copies import Content, content_of
from rotator.rules.decide import decide
from rotator.rules.facts import Facts
from rotator.rules.history import Trace
from rotator.rules.model import Key, ManagedKey
from rotator.rules.ownership import Held, Ownership, by_title

SKEW: Final = timedelta(seconds=60)
"""A local clock that is further off the gateway's is worth a line in the log. Nothing is measured by it."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Observation:
    """All that one pass goes by."""

    installation: str | None
    """None in a dry run before the first pass: no key can be ours yet."""
    now: datetime
    """The gateway's clock. All ages of a pass are measured against this one reading."""
    facts: Mapping[str, Facts]
    """By the managed key's name; it lacks those that failed."""
    failed: Mapping[str, RotatorError]
    """By the managed key's name: why its secret could not be read or judged."""
    foreign: tuple[Key, ...]
    """Live keys of another installation, by their titles, that no secret of the config holds or names."""
    leftovers: tuple[Key, ...]
    """The same of this installation, of no name in the config, or that this Vault did not ask for."""
    unmanaged: tuple[Key, ...]
    """Live keys with other titles that no managed key's secret is known to hold, or to have held."""
    bearers: frozenset[int]
    """The keys that may be the bearer, by their previews."""
    listed: Mapping[int, Key]
    """Every key of the account, by its id."""
    ownership: Ownership
    copies: Copies
    """The further Vaults, as this pass has found them."""

    def content(
        self, facts: Facts, made: Rotation | None = None, plaintext: Secret | None = None
    ) -> Content | None:
        """Return what the copies of a key are to hold."""
        return content_of(facts, self.installation, made, plaintext)


def observe(
    account: Account,
    *,
    only: Collection[str] | None = None,
    forced: bool = False,
    without_grace: bool = False,
    dry_run: bool,
) -> Observation:
    """Observe both sides, once. Raises when one of them cannot be reached or refuses us.

    `only`: the managed keys that it is about, None means all. Of the others no consumer is asked: what leaked must
    not wait for them. `forced` and `without_grace`: what the operator asked for, for the facts. A dry run makes no
    identity.
    """
    account.gateway.clock.begin()
    account.bearer.forget()  # of an earlier pass; another replica may have rotated it since
    listing = account.gateway.list_keys()
    _log_skew(account)
    installation = read_installation(account, create=not dry_run)
    listed = {key.id: key for key in listing.keys}
    copies = Copies(account)
    reader = Reader(account, installation, listed, listing.now, copies)
    held = _read(account, reader)
    titled = by_title(account.keys, listed.values(), account.titles, installation)
    bearer = account.bearer.current().reveal()
    ownership = Ownership(account.keys, titled, held.done, listed.values(), bearer, listing.now)

    def facts_of(key: ManagedKey) -> Facts:
        seen = held.done[key.name]
        facts = reader.facts(key, seen, titled, ownership, forced=forced, without_grace=without_grace)
        asked = not without_grace and (only is None or key.name in only)
        return reader.with_acks(facts) if asked else facts

    read = [key for key in account.keys if key.name in held.done]
    facts = each(read, facts_of, workers=account.concurrency)
    return Observation(
        installation=installation,
        now=listing.now,
        facts=facts.done,
        failed={**held.failed, **facts.failed},
        foreign=ownership.strangers(titled.foreign),
        leftovers=ownership.strangers((*titled.leftovers, *_unasked(facts.done.values()))),
        unmanaged=ownership.unmanaged,
        bearers=ownership.bearers,
        listed=listed,
        ownership=ownership,
        copies=copies,
    )


def _read(account: Account, reader: Reader) -> Each[Held]:
    """Read the secrets of all managed keys, as far as that can be done soon enough to act on what was read."""
    # What a limit lets nobody read in time must not be the same in each pass.
    keys = random.sample(account.keys, len(account.keys))
    with account.stopping.within(account.timing.pass_deadline.total_seconds() / 2):
        return each(keys, reader.held, workers=account.concurrency)


def second_look(account: Account) -> frozenset[int] | None:
    """Return the live keys by another list; None where it cannot be had.

    What one list omits may only have been between two pages of it.
    """
    try:
        return frozenset(key.id for key in account.gateway.list_keys().keys if key.live)
    except RotatorError:
        return None


def with_second_look(facts: Facts, look: Callable[[], frozenset[int] | None]) -> Facts:
    """Ask for a second `look` where a key that the secret names is to be forgotten; without one, none is."""
    return facts.with_second_look(look()) if facts.forgotten else facts


def _unasked(facts: Iterable[Facts]) -> tuple[Key, ...]:
    return tuple(
        seen.listed[id_] for seen in facts for id_, became in seen.traces.items() if became is Trace.UNASKED
    )


def look(account: Account, only: Collection[str] = ()) -> tuple[Observation, tuple[KeyResult, ...]]:
    """Look at the account, and say what the next pass would do; `only` names the managed keys, empty means all.

    It needs only to read: the Vault token's other capabilities are not asked for. Raises as `observe` does.
    """
    chosen = [key for key in account.keys if not only or key.name in only]
    seen = observe(account, only=[key.name for key in chosen], dry_run=True)
    copies = each(
        [key for key in chosen if key.copies and key.name in seen.facts],
        lambda key: copies_of(seen, key.name),
        workers=account.concurrency,
    ).done
    return seen, tuple(
        replace(planned(key, decide(seen.facts[key.name])), copies=copies.get(key.name, {}))
        if key.name in seen.facts
        else unacted(key, seen.failed[key.name])
        for key in chosen
    )


def copies_of(seen: Observation, name: str) -> Copied:
    """Say how the copies of a managed key are; nothing of each where it is not known what it should hold."""
    content = seen.content(seen.facts[name])
    return seen.copies.look(content) if content else {}


def _log_skew(account: Account) -> None:
    clock = account.gateway.clock
    if clock.doubt:
        log.warning("clock.doubted", error=clock.doubt)
    elif abs(skew := clock.skew()) > SKEW:
        log.info("clock.skew", skew_s=round(skew.total_seconds()))
