"""Gathering: what both authorities say, turned into facts. Writes nothing but a first identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from rotator.account import Account
from rotator.bookkeeping import could_be, read_plaintext
from rotator.decide import Facts, suspects
from rotator.errors import RotatorError
from rotator.history import NEVER_WRITTEN, History, trace
from rotator.identify import Current, identify
from rotator.installation import read_installation
from rotator.model import Key, ManagedKey, Retained, Version
from rotator.pool import each
from rotator.redaction import Secret
from rotator.titles import Title

SKEW: Final = timedelta(seconds=60)
"""A local clock that is further off the gateway's is worth a line in the log. Nothing is measured by it."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Observation:
    """All that one pass goes by."""

    installation: str | None
    now: datetime
    listed: Mapping[int, Key]
    facts: Mapping[str, Facts | RotatorError]
    """By the managed key's name; an error where its secret could not be read or judged."""
    strangers: tuple[Key, ...]
    """Live keys with titles of our convention that no entry of this config can claim."""


def observe(account: Account, *, forced: bool, dry_run: bool) -> Observation:
    """Observe both sides, once. Raises when one of them cannot be reached or refuses us."""
    installation = read_installation(account, create=not dry_run)
    listing = account.gateway.list_keys()
    _log_skew(listing.now)
    listed = {key.id: key for key in listing.keys}
    secrets = each(account.keys, lambda key: _read(account, key), workers=account.concurrency)
    currents = {
        key.name: identify(version, key.field, listed, listing.now)
        for key in account.keys
        if isinstance(version := secrets[key.name], Version)
    }
    families, strangers = _families(account, installation, listed)
    in_use = _bearer_ids(account, listed)

    def judge(key: ManagedKey) -> Facts:
        version = secrets[key.name]
        if isinstance(version, RotatorError):
            raise version
        current, family = currents[key.name], families[key.name]
        unnamed = suspects(current, family)
        others = {other.key_id or 0 for name, other in currents.items() if other and name != key.name}
        others |= {theirs.id for name, keys in families.items() if name != key.name for theirs in keys}
        return Facts(
            key=key,
            timing=account.timing,
            now=listing.now,
            version=version,
            listed=listed,
            family=family,
            current=current,
            refused=_is_refused(account, key, version, current, listed),
            traces=trace(unnamed, _history(account, key, version), key.field) if unnamed else {},
            protected=frozenset(in_use | others),
            forced=forced,
        )

    facts = each(account.keys, judge, workers=account.concurrency)
    return Observation(installation, listing.now, listed, facts, strangers)


def _read(account: Account, key: ManagedKey) -> Version:
    account.stopping.check()
    return _remembered(account.store.read(key.path), key)


def _remembered(version: Version, key: ManagedKey) -> Version:
    """Make its plaintext known to the redaction before anything else is done with it."""
    if plaintext := read_plaintext(version.data, key.field):
        Secret(plaintext)
    return version


def _is_refused(
    account: Account, key: ManagedKey, version: Version, current: Current | None, listed: Mapping[int, Key]
) -> bool:
    """Whether the gateway answers 401 to the current plaintext; asked only when the list gives cause."""
    if current is None or current.key_id is None:
        return False
    listed_as = listed.get(current.key_id)
    if listed_as is not None and listed_as.live:
        return False
    return not account.gateway.authenticates(Secret(read_plaintext(version.data, key.field) or ""))


def _history(account: Account, key: ManagedKey, latest: Version) -> History:
    if latest.number == 0:
        return NEVER_WRITTEN
    retained = account.store.retained(key.path)
    read = [_remembered(account.store.read(key.path, number), key) for number in retained.readable]
    readable = tuple(version for version in read if version.data is not None)
    newest = max(retained.current, latest.number)  # the two reads may come from different nodes
    numbers = frozenset(version.number for version in readable)
    return History(Retained(retained.oldest, numbers, newest), readable)


def _families(
    account: Account, installation: str | None, listed: Mapping[int, Key]
) -> tuple[Mapping[str, tuple[Key, ...]], tuple[Key, ...]]:
    """Sort the live keys whose titles are of our convention: by managed key, and those that nobody claims."""
    families: dict[str, list[Key]] = {key.name: [] for key in account.keys}
    strangers: list[Key] = []
    for key in listed.values():
        title: Title | None = account.titles.parse(key.title) if key.live else None
        if title is None:
            continue
        if title.installation == installation and title.name in families:
            families[title.name].append(key)
        else:
            strangers.append(key)
    return {name: tuple(keys) for name, keys in families.items()}, tuple(strangers)


def _bearer_ids(account: Account, listed: Mapping[int, Key]) -> set[int]:
    bearer = account.bearer.current().reveal()
    return {key.id for key in listed.values() if could_be(key, bearer)}


def _log_skew(now: datetime) -> None:
    skew = datetime.now(UTC) - now
    if abs(skew) > SKEW:
        log.warning("clock.skew", skew_s=round(skew.total_seconds()))
