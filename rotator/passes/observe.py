"""Gathering: what both authorities say, turned into facts. Writes nothing but a first identity."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from rotator.errors import Rejected, RotatorError, Transient
from rotator.passes.account import Account
from rotator.passes.installation import read_installation
from rotator.passes.pool import each
from rotator.redaction import Secret
from rotator.rules.bookkeeping import read_plaintext
from rotator.rules.decide import suspects
from rotator.rules.facts import Facts, is_doubted
from rotator.rules.history import Read, Trace, rolled_back, trace
from rotator.rules.identify import Current, identify
from rotator.rules.model import Key, ManagedKey, Version
from rotator.rules.previews import Previews
from rotator.rules.titles import Title

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
    facts: Mapping[str, Facts | RotatorError]
    """By the managed key's name; an error where its secret could not be read or judged."""
    foreign: tuple[Key, ...]
    """Live keys with titles of our convention that no entry of this config can claim."""
    unmanaged: tuple[Key, ...]
    """Live keys with other titles that no managed key's secret is known to hold, or to have held."""
    bearers: frozenset[int]
    """The keys that may be the bearer, by their previews."""


def observe(
    account: Account, *, forced: bool = False, without_grace: bool = False, dry_run: bool
) -> Observation:
    """Observe both sides, once. Raises when one of them cannot be reached or refuses us."""
    listing = account.gateway.list_keys()
    _log_skew(listing.now)
    installation = read_installation(account, create=not dry_run)
    overview = _Overview(account, installation, listing.now, {key.id: key for key in listing.keys})
    overview.read_secrets()

    def facts_of(key: ManagedKey) -> Facts:
        return replace(overview.facts(key, forced=forced), without_grace=without_grace)

    facts = each(account.keys, facts_of, workers=account.concurrency)
    return Observation(
        installation=installation,
        now=listing.now,
        facts=facts,
        foreign=tuple(overview.foreign.values()),
        unmanaged=overview.unmanaged(),
        bearers=overview.bearers,
    )


@dataclass(frozen=True)
class _Held:
    """One secret as it was read, and which key it holds."""

    version: Version
    current: Current | None


class _Overview:
    """What is known of all managed keys together, so that each can be judged with regard to the others."""

    def __init__(
        self, account: Account, installation: str | None, now: datetime, listed: Mapping[int, Key]
    ) -> None:
        self._account, self._now, self._listed = account, now, listed
        self._previews = Previews(listed.values())
        self._titles: dict[int, Title] = {}
        self._families: dict[str, list[Key]] = {key.name: [] for key in account.keys}
        self.foreign: dict[int, Key] = {}
        self._sort_by_title(installation)
        self._held: Mapping[str, _Held | RotatorError] = {}
        self._users: dict[int, set[str]] = {}
        """By key id: the managed keys in whose secret it is, in whose grace it is, or whose family it is of."""
        bearer = account.bearer.current().reveal()
        self.bearers = frozenset(key.id for key in self._previews.matching(bearer))

    def _sort_by_title(self, installation: str | None) -> None:
        paths = {key.name: key.path for key in self._account.keys}
        for key in self._listed.values():
            title = self._account.titles.parse(key.title) if key.live else None
            if title is None:
                continue
            ours = title.installation == installation and title.name in paths
            if ours and title.is_for(paths[title.name]):
                self._titles[key.id] = title
                self._families[title.name].append(key)
            else:
                self.foreign[key.id] = key

    def read_secrets(self) -> None:
        keys = self._account.keys
        self._held = each(keys, self._read, workers=self._account.concurrency)
        for key in keys:
            for id_ in (
                {mine.id for mine in self._families[key.name]} | self._ids_in(key) | self._in_grace(key)
            ):
                self._users.setdefault(id_, set()).add(key.name)

    def _read(self, key: ManagedKey) -> _Held:
        self._account.stopping.check()
        version = _remembered(self._account.store.read(key.path), key)
        current = identify(version, key.field, self._listed, self._previews, self._now)
        if current and current.superseded and rolled_back(version, self._reader(key), key.field):
            current = current.as_rolled_back(self._now)
        return _Held(version, current)

    def unmanaged(self) -> tuple[Key, ...]:
        """Return the live keys that have nothing to do with any managed key, as far as its secret could be read."""
        held = [held for held in self._held.values() if not isinstance(held, RotatorError)]
        named = {id_ for one in held if one.current for id_ in one.current.superseded}
        known = named | self._users.keys() | self.foreign.keys()
        return tuple(key for key in self._listed.values() if key.live and key.id not in known)

    def _ids_in(self, key: ManagedKey) -> set[int]:
        """Every key that the secret may hold, by its bookkeeping or by a preview."""
        held = self._held[key.name]
        if isinstance(held, RotatorError) or held.current is None:
            return set()
        plaintext = read_plaintext(held.version.data, key.field) or ""
        fitting = {match.id for match in self._previews.matching(plaintext)}
        return fitting | ({held.current.key_id} if held.current.key_id else set())

    def _in_grace(self, key: ManagedKey) -> set[int]:
        held = self._held[key.name]
        if isinstance(held, RotatorError) or held.current is None:
            return set()
        superseded = held.current.superseded.items()
        return {id_ for id_, since in superseded if since + key.grace_period > self._now}

    def facts(self, key: ManagedKey, *, forced: bool) -> Facts:
        held = self._held[key.name]
        if isinstance(held, RotatorError):
            raise held
        family = tuple(self._families[key.name])
        unnamed = suspects(held.current, family)
        named = {held.current.key_id or 0, *held.current.superseded} if held.current else set()
        candidates = named | {mine.id for mine in family}
        return Facts(
            key=key,
            timing=self._account.timing,
            now=self._now,
            version=held.version,
            listed=self._listed,
            family=family,
            current=held.current,
            refused=self._is_refused(key, held, forced=forced),
            traces={suspect.id: self._trace(key, held.version, suspect) for suspect in unnamed},
            protected=frozenset(id_ for id_ in candidates if self._is_protected(id_, key, family)),
            forced=forced,
        )

    def _is_protected(self, id_: int, key: ManagedKey, family: tuple[Key, ...]) -> bool:
        if id_ in self.bearers or id_ in self.foreign or self._users.get(id_, set()) - {key.name}:
            return True
        unread = any(isinstance(held, RotatorError) for held in self._held.values())
        # What a secret holds that could not be read, we cannot know; what we made for this one, we do.
        return unread and id_ not in {mine.id for mine in family}

    def _is_refused(self, key: ManagedKey, held: _Held, *, forced: bool) -> bool:
        """Whether the gateway answers 401 to the current plaintext; asked only where that is in doubt."""
        if held.current is None or not is_doubted(
            held.current, self._listed, self._account.timing, self._now
        ):
            return False
        plaintext = Secret(read_plaintext(held.version.data, key.field) or "")
        try:
            return not self._account.gateway.authenticates(plaintext).works
        except (Rejected, Transient):
            if held.current.rotation and not forced:
                raise
            return False  # it is due or forced anyway; this would only have given a better reason

    def _trace(self, key: ManagedKey, latest: Version, suspect: Key) -> Trace:
        return trace(suspect, self._titles[suspect.id], latest, self._reader(key), key.field)

    def _reader(self, key: ManagedKey) -> Read:
        return lambda number: _remembered(self._account.store.read(key.path, number), key)


def _remembered(version: Version, key: ManagedKey) -> Version:
    """Make its plaintext known to the redaction before anything else is done with it."""
    if plaintext := read_plaintext(version.data, key.field):
        Secret(plaintext)
    return version


def _log_skew(now: datetime) -> None:
    skew = datetime.now(UTC) - now
    if abs(skew) > SKEW:
        log.warning("clock.skew", skew_s=round(skew.total_seconds()))
