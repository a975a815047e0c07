"""Whose each key of the account is, for a person who asks. Pure.

A pass asks this of one managed key at a time, to act; here the account is looked at from the side of its keys.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator.rules.decide import Plan, decide
from rotator.rules.facts import Facts
from rotator.rules.model import Key, ManagedKey
from rotator.rules.owner import Owner
from rotator.rules.previews import matches_preview
from rotator.rules.revocations import Revocation, Victim
from rotator.rules.titles import TitleTemplate


class Whose(StrEnum):
    """Whose a key is. One of the first four is a managed key's, or may be."""

    CURRENT = "current"
    SUPERSEDED = "superseded"
    ORPHAN = "orphan"
    POSSIBLE = "possible"
    """A secret holds a plaintext that may be this key's, or another one's of the same preview."""
    LEFTOVER = "leftover"
    """This installation made it, for a name or path that the config does not have, or did not ask for it."""
    FOREIGN = "foreign"
    """Another installation made it."""
    UNMANAGED = "unmanaged"
    """A person or another program made it."""
    FORMER = "former"
    """A dead key that this installation made."""


MANAGED: Final = frozenset({Whose.CURRENT, Whose.SUPERSEDED})
"""What `--revoke-old-now` replaces and revokes."""
STRANGERS: Final = frozenset({Whose.LEFTOVER, Whose.FOREIGN, Whose.UNMANAGED})
"""What no pass ever revokes."""


ADOPTED_TOO: Final = "ROTATOR_DEFAULTS__REVOKE_ADOPTED=true "
"""Before a command: it revokes what a person made, too."""
_DEAD_CURRENT: Final = 0
"""Programs are refused."""
_STAYS: Final = 2
"""It should go, and does not."""
_RANKS: Final = {
    Whose.POSSIBLE: 1,
    Whose.LEFTOVER: 3,
    Whose.FOREIGN: 4,
    Whose.UNMANAGED: 5,
    Whose.ORPHAN: 6,
    Whose.SUPERSEDED: 7,
    Whose.CURRENT: 8,
    Whose.FORMER: 9,
}
_DEAD: Final = 9


@dataclass(frozen=True)
class Owned:
    """One key of the account, and whose it is. It holds no secret."""

    id: int
    key: Key | None
    """As the gateway lists it; None for one that the list does not show."""
    whose: Whose
    managed: tuple[ManagedKey, ...] = ()
    """The managed keys that it belongs to: a key may stand in several secrets."""
    bearer: bool = False
    """Whether it is, or may be, the rotator's own key."""
    due_at: datetime | None = None
    """When a current key is replaced."""
    fate: Revocation | None = None
    """What becomes of a superseded key or an orphan."""
    adopted: bool = False
    """Whether a person made this managed key's, and no pass revokes it without `revoke_adopted`."""
    owners: Mapping[str, Owner] = field(default_factory=dict)
    """By managed key: whose its secret is, as people say."""

    @property
    def live(self) -> bool | None:
        """Whether the list shows it live; None where it does not show it."""
        return self.key.live if self.key else None

    def age(self, now: datetime) -> timedelta | None:
        """How old it is; None where the list does not say."""
        return now - self.key.created_at if self.key else None

    @property
    def rank(self) -> tuple[int, datetime, int]:
        """Where it stands in a list: the lower, the sooner a person should look; the oldest first."""
        made = self.key.created_at if self.key else datetime.max.replace(tzinfo=UTC)
        if self.live is not True:
            return _DEAD_CURRENT if self.whose is Whose.CURRENT else _DEAD, made, self.id
        if self.fate and self.fate.stays:
            return _STAYS, made, self.id
        # The bearer that is no managed key's is where a person has put it.
        return _RANKS[Whose.CURRENT if self.bearer else self.whose], made, self.id

    @property
    def command(self) -> str | None:
        """The command that revokes it, in case it has leaked; None where there is nothing to do."""
        if self.live is False:
            return None
        if self.whose in MANAGED or self.whose is Whose.POSSIBLE:
            names = " ".join(f"--key {shlex.quote(key.name)}" for key in self.managed)
            return f"{ADOPTED_TOO if self.adopted else ''}rotator --rotate-now --revoke-old-now {names}"
        if self.whose is Whose.ORPHAN:
            return f"rotator --once --key {shlex.quote(self.managed[0].name)}"
        return f"rotator prune --id {self.id}" if self.key else None


class Belongings:
    """Every key of the account, by what the list, the secrets and the titles say."""

    def __init__(
        self,
        listed: Mapping[int, Key],
        facts: Iterable[Facts],
        template: TitleTemplate,
        installation: str | None,
        bearers: frozenset[int],
    ) -> None:
        self._listed, self._template, self._installation = listed, template, installation
        self._bearers = bearers
        self._facts = tuple(facts)
        self._fates: dict[int, list[tuple[Facts, Revocation | None, Victim]]] = {}
        self._next: dict[str, datetime | None] = {}
        """By managed key: when it is rotated next."""
        for one in self._facts:
            self._note(one, decide(one))

    def of(self, id_: int) -> Owned:
        """Return whose this key is, also where the list does not show it."""
        owned = self._of(id_)
        names = {key.name for key in owned.managed}
        return replace(
            owned, owners={one.key.name: one.owner for one in self._facts if one.key.name in names}
        )

    def _of(self, id_: int) -> Owned:
        key, bearer = self._listed.get(id_), id_ in self._bearers
        if current := [one for one in self._facts if one.key_id == id_ and one.plaintext]:
            due = min(filter(None, (self._next[one.key.name] for one in current)), default=None)
            adopted = any(one.is_left_to_people(id_) for one in current)
            return Owned(id_, key, Whose.CURRENT, _keys(current), bearer, due_at=due, adopted=adopted)
        if noted := self._fates.get(id_):
            _, fate, victim = noted[0]
            whose = Whose.SUPERSEDED if victim is Victim.SUPERSEDED else Whose.ORPHAN
            adopted = any(one.is_left_to_people(id_) for one, _, _ in noted)
            return Owned(
                id_, key, whose, _keys([one for one, _, _ in noted]), bearer, fate=fate, adopted=adopted
            )
        if key is None:
            return Owned(id_, key, Whose.UNMANAGED, bearer=bearer)
        if possible := [one for one in self._facts if _may_hold(one, key)]:
            return Owned(id_, key, Whose.POSSIBLE, _keys(possible), bearer)
        return Owned(id_, key, self._by_title(key), self._named(key), bearer)

    def all(self) -> tuple[Owned, ...]:
        """Return every listed key, those first that need attention."""
        return tuple(sorted(map(self.of, self._listed), key=lambda owned: owned.rank))

    def _note(self, facts: Facts, plan: Plan) -> None:
        self._next[facts.key.name] = plan.frozen_until or facts.due_at
        fates = {fate.key_id: fate for fate in plan.others}
        for id_ in facts.superseded:
            self._fates.setdefault(id_, []).append((facts, fates.get(id_), Victim.SUPERSEDED))
        for orphan in facts.orphans:
            self._fates.setdefault(orphan.id, []).append((facts, fates.get(orphan.id), Victim.ORPHAN))

    def _by_title(self, key: Key) -> Whose:
        title = self._template.parse(key.title)
        if title is None:
            return Whose.UNMANAGED
        if title.installation != self._installation:
            return Whose.FOREIGN
        return Whose.LEFTOVER if key.live else Whose.FORMER

    def _named(self, key: Key) -> tuple[ManagedKey, ...]:
        """The managed key that a dead key was made for, by its title."""
        title = self._template.parse(key.title)
        if title is None or key.live or title.installation != self._installation:
            return ()
        return tuple(one.key for one in self._facts if one.key.name == title.name)


def _keys(facts: Iterable[Facts]) -> tuple[ManagedKey, ...]:
    return tuple(one.key for one in facts)


def _may_hold(facts: Facts, key: Key) -> bool:
    """Whether the secret holds a plaintext of which it is not known which key it is, and it may be this one."""
    return bool(
        key.live and facts.plaintext and facts.key_id is None and matches_preview(key, facts.plaintext)
    )
