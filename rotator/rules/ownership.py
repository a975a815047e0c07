"""Which keys are ours, whose they may be besides, and which of them must never be revoked. Pure.

Every managed key of the config is looked at together, for what one secret holds protects a key from the others.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE, read_plaintext
from rotator.rules.current import Current
from rotator.rules.freeze import read_freeze
from rotator.rules.model import Key, ManagedKey, Version
from rotator.rules.previews import Previews, matches_preview
from rotator.rules.titles import Title, TitleTemplate

UNREAD: Final = "a secret that cannot be read may hold it"
_ANOTHER_NAME: Final = (
    "it was made under a name that this config does not have: revoke it by hand if nothing uses it"
)
_ANOTHER_INSTALLATION: Final = "another installation made it: revoke it there, or by hand"


@dataclass(frozen=True)
class Held:
    """One secret as it was read, and which key it holds."""

    version: Version
    current: Current | None
    superseded: Mapping[int, datetime]
    """The keys that it names as current once, whether it holds a plaintext or not."""

    @property
    def is_deleted(self) -> bool:
        """Whether there was something in it that cannot be read any more."""
        return self.version.number > 0 and self.version.data is None


@dataclass(frozen=True)
class Titled:
    """The live keys of the account that bear titles of our convention."""

    titles: Mapping[int, Title]
    """By key id: of those that an entry of this config can claim."""
    families: Mapping[str, tuple[Key, ...]]
    """By managed key: the keys that bear its name and this installation. Who asked for them is told by claims."""
    leftovers: tuple[Key, ...]
    """Of this installation, made for a name that the config no longer has."""
    foreign: tuple[Key, ...]
    """Of another installation."""
    nonces: frozenset[str]
    """Of them all. What is claimed under one of these must not be forgotten."""


def by_title(
    keys: Iterable[ManagedKey], listed: Iterable[Key], template: TitleTemplate, installation: str | None
) -> Titled:
    """Sort the listed keys by what their titles say. `installation`: ours; None before the first pass."""
    titles: dict[int, Title] = {}
    nonces: set[str] = set()
    families: dict[str, list[Key]] = {key.name: [] for key in keys}
    leftovers: list[Key] = []
    foreign: list[Key] = []
    for key in listed:
        title = template.parse(key.title) if key.live else None
        if title is None:
            continue
        nonces.add(title.nonce)
        if title.installation != installation:
            foreign.append(key)
        elif title.name in families:
            titles[key.id] = title
            families[title.name].append(key)
        else:
            leftovers.append(key)
    return Titled(
        titles,
        {name: tuple(family) for name, family in families.items()},
        tuple(leftovers),
        tuple(foreign),
        frozenset(nonces),
    )


class Ownership:
    """Whose each key is or may be. `held` lacks the secrets that could not be read."""

    def __init__(
        self,
        keys: Iterable[ManagedKey],
        titled: Titled,
        held: Mapping[str, Held],
        listed: Collection[Key],
        bearer: str,
        now: datetime,
    ) -> None:
        self._keys, self._titled, self._held, self._now = tuple(keys), titled, held, now
        self._previews = Previews(listed)
        self._in_use = self._texts_in_use(bearer)
        self.bearers = frozenset(key.id for key in self._previews.matching(bearer))
        """The keys that may be the bearer, by their previews."""
        self._foreign = {
            **{key.id: _ANOTHER_NAME for key in titled.leftovers},
            **{key.id: _ANOTHER_INSTALLATION for key in titled.foreign},
        }
        self.unread = any(key.name not in held or held[key.name].is_deleted for key in self._keys)
        """Whether a secret could not be read, so that any key may stand in it."""
        self._users: dict[int, dict[str, str]] = {}
        """By key id: the managed keys in whose secret or grace it is, or whose family it is of; each in words."""
        for key in self._keys:
            made = dict.fromkeys(self._family(key), f"it was made for {key.name}")
            for id_, how in {**made, **self._ids_in(key)}.items():
                self._users.setdefault(id_, {})[key.name] = how

        named = {id_ for one in held.values() for id_ in one.superseded}
        self._in_a_secret = named.union(*(self._ids_in(key) for key in self._keys))
        known = named | self._users.keys() | self._foreign.keys()
        self.unmanaged = tuple(key for key in listed if key.live and key.id not in known)
        """The live keys that have nothing to do with any managed key, as far as its secret could be read."""

    def strangers(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """Return those of `keys` that no secret holds or names: a title says who made one, not who uses it."""
        return tuple(key for key in keys if key.id not in self._in_a_secret)

    def protected(self, key: ManagedKey) -> dict[int, str]:
        """Return which of the keys that `key` knows it must not revoke, and why: the bearer, and another's."""
        held = self._held[key.name]
        named = {held.current.key_id or 0} if held.current else set()
        named |= held.superseded.keys()
        family = self._family(key)
        reasons = {id_: self._reason(id_, key, family) for id_ in named | family}
        return {id_: why for id_, why in reasons.items() if why}

    def _reason(self, id_: int, key: ManagedKey, family: set[int]) -> str | None:
        """Why `key` must not revoke this one; None where it may."""
        users = self._users.get(id_, {})
        if id_ in self.bearers:
            return f"{'it is' if len(self.bearers) == 1 else 'it may be'} the bearer"
        if how := next((how for name, how in users.items() if name != key.name), self._foreign.get(id_)):
            return how
        # What a secret holds that could not be read, we cannot know; what we made for this one, we do.
        return UNREAD if self.unread and id_ not in family else None

    def used_by(self, key: Key, texts: frozenset[Secret], *, besides: ManagedKey | None = None) -> str | None:
        """Say how `key` may be the bearer, or what another secret than that of `besides` holds now; None if not.

        `texts`: the plaintexts that may be its own. Where none is left, a preview alone does not rule it out.
        """
        for user, (used, owner) in self._in_use.items():
            if besides and user == besides.name:
                continue
            what = f"be what {user} holds" if user else "be the bearer"
            if used in texts:
                return f"it is known to {what}"
            another = owner not in (None, key.id) and matches_preview(key, used.reveal()) is False
            if not texts and not another:
                return f"it may {what}: no older version of the secret is left to tell"
        return None

    def _texts_in_use(self, bearer: str) -> Mapping[str | None, tuple[Secret, int | None]]:
        """By managed key, and by None for the bearer: a plaintext in use, and which key it is known to be."""
        matching = self._previews.matching(bearer)
        in_use: dict[str | None, tuple[Secret, int | None]] = {}
        in_use[None] = Secret(bearer), matching[0].id if len(matching) == 1 else None
        for key in self._keys:
            held = self._held.get(key.name)
            text = read_plaintext(held.version.data, key.field) if held else None
            if held and text:
                in_use[key.name] = Secret(text), held.current.key_id if held.current else None
        return in_use

    def _family(self, key: ManagedKey) -> set[int]:
        return {mine.id for mine in self._titled.families[key.name]}

    def _ids_in(self, key: ManagedKey) -> dict[int, str]:
        """Every key that the secret may hold, by its bookkeeping or a preview, or whose grace it keeps; and how."""
        held, entry = self._held.get(key.name), f"{key.name} ({key.path})"
        if held is None:
            return {}
        in_grace = [id_ for id_, since in held.superseded.items() if since + key.longest_grace > self._now]
        ids = dict.fromkeys(self._frozen_in(key, held), f"{entry} is frozen, and held it")
        ids |= dict.fromkeys(in_grace, f"{entry} has it in its grace")
        if plaintext := read_plaintext(held.version.data, key.field):
            ids |= {match.id: f"{entry} may hold it" for match in self._previews.matching(plaintext)}
        if held.current and held.current.key_id:
            ids[held.current.key_id] = f"{entry} holds it as its current key"
        return ids

    def _frozen_in(self, key: ManagedKey, held: Held) -> Iterator[int]:
        """The superseded keys of a secret that a freeze keeps; what has no grace it does not keep from others."""
        freeze = read_freeze(held.version.custom)
        for id_, since in held.superseded.items() if freeze else ():
            if freeze and since != WITHOUT_GRACE and freeze.keeps_until(since + key.grace_period) > self._now:
                yield id_
