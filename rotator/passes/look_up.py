"""Which key a string is: by the list, the secrets and their older versions, and by trying it. Writes nothing."""

from collections.abc import Mapping
from typing import Final

from rotator.clients.gateway.proof import Probe
from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.each import each
from rotator.passes.observe import Observation, observe
from rotator.passes.secret import remembered
from rotator.rules.facts import Facts
from rotator.rules.given import Form, Given, NoKey
from rotator.rules.identify import Identified, Stored, found_in, which
from rotator.rules.whose import Belongings

_LOOKS: Final = 10
"""Older versions of a secret that are looked at: as many as Vault keeps, unless it is told otherwise."""


def look_up(account: Account, given: Given) -> tuple[Identified, Observation]:
    """Say which key was given, and return what was seen. Raises NoKey for what proves to be none.

    Raises what `observe` raises, where a side cannot be reached.
    """
    seen = observe(account, dry_run=True)
    belongings = belongings_of(account, seen)
    fitting = {key.id for key in seen.listed.values() if given.fits(key)}
    stored, unread = _stored(account, seen, given, fitting)
    ids = which(given, seen.facts.values(), fitting, stored)
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
    found = Identified(
        form=given.form,
        now=seen.now,
        keys=keys,
        stored=stored,
        works=probe.works if probe else None,
        request_id=probe.request_id if probe else None,
        untold=untold,
        unread=unread,
    )
    return found, seen


def belongings_of(account: Account, seen: Observation) -> Belongings:
    """Return whose each key is, of what was seen."""
    facts = seen.facts.values()
    return Belongings(seen.listed, facts, account.titles, seen.installation, seen.bearers)


def _stored(
    account: Account, seen: Observation, given: Given, fitting: set[int]
) -> tuple[tuple[Stored, ...], Mapping[str, RotatorError]]:
    """Look for it in what the secrets hold; then, where it is not there, in what they held."""
    if given.form is Form.KEY_ID:
        return (), seen.failed
    facts = seen.facts
    now = {name: found_in(one, given, one.version) for name, one in facts.items()}
    if (found := tuple(filter(None, now.values()))) or (given.form is Form.PREVIEW and fitting):
        return found, seen.failed
    # Whose secret names one that it may be is looked at first: mostly that is all.
    near = {name for name, one in facts.items() if fitting & {*one.superseded, *(k.id for k in one.family)}}
    unread = dict(seen.failed)
    for names in (near, facts.keys() - near):
        keys = [one.key for name, one in facts.items() if name in names]
        past = each(
            keys, lambda key: _in_the_past(account, facts[key.name], given), workers=account.concurrency
        )
        unread |= past.failed
        if found := tuple(filter(None, past.done.values())):
            break
    return found, unread


def _in_the_past(account: Account, facts: Facts, given: Given) -> Stored | None:
    newest = facts.version.number - 1
    for number in range(newest, max(0, newest - _LOOKS), -1):
        version = remembered(account.store.read(facts.key.path, number), facts.key)
        if version.number == 0:  # it was trimmed, and so are those before it
            return None
        if found := found_in(facts, given, version):
            return found
    return None
