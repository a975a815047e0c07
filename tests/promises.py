"""A watcher of the promises, from outside: it sees each write that Vault took, and knows the gateway's ledger."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rotator.passes.account import Store
from rotator.passes.result import PassResult
from rotator.rules.reasons import Reason
from rotator.sandbox.ledger import AccountKey
from tests.stores import StoreWrapper
from tests.world import World

SLACK = timedelta(seconds=3)
"""The gateway's `Date` and the bookkeeping are in whole seconds."""


@dataclass(frozen=True)
class Publication:
    """From when on which plaintext was in the secret's latest version."""

    at: datetime
    plaintext: str | None
    live: bool
    """Whether it was a key that the program had not revoked. What a person revokes, no program can foresee."""
    by_hand: bool
    """Whether a person put it there; then it need not be live."""


@dataclass(frozen=True)
class Freeze:
    """From when on a secret was frozen, and until when."""

    path: str
    begins: datetime
    ends: datetime
    dead: frozenset[str]
    """Plaintexts that were revoked by then."""


@dataclass(frozen=True)
class Use:
    """From when on a consumer that tells the truth ran on which plaintext of which secret."""

    path: str
    consumer: str
    plaintext: str | None
    since: datetime
    until: datetime | None = None


class Promises:
    """What was published when, at each path; held against what was revoked when."""

    def __init__(self, world: World, truth: Store) -> None:
        """`truth` reads what `world` writes, by a way that no fault is on."""
        self._world, self._truth = world, truth
        self._published: dict[str, list[Publication]] = {}
        self._others: list[AccountKey] = [world.server.account.bootstrap]
        self._adoptable: set[str] = set()
        """Plaintexts of keys that a person made, and that may go once they stood in a secret."""
        self._bearers: set[str] = {world.server.account.bootstrap.plaintext}
        self._made_at: dict[str, str] = {}
        """By plaintext: the side at which a key was made."""
        self._leaked: set[str] = set()
        """Plaintexts whose grace an operator ended."""
        self._freezes: list[Freeze] = []
        self._uses: list[Use] = []
        self._named: set[str] = set()
        """Plaintexts of keys that a person named to be revoked: they may go, but never while they are current."""

    def by_hand(self, title: str, like: AccountKey | None = None) -> AccountKey:
        """A key that somebody else made: it must never be revoked. `like` another, of one preview."""
        self._others.append(self._world.server.account.create(title, like=like))
        return self._others[-1]

    def to_adopt(self, title: str) -> AccountKey:
        """A key that somebody else made for a secret: it must not be revoked before it stood in one."""
        key = self._world.server.account.create(title)
        self._adoptable.add(key.plaintext)
        return key

    def bearer(self, plaintext: str) -> None:
        """From now on this is the program's own key."""
        self._bearers.add(plaintext)

    @contextmanager
    def at(self, side: str) -> Iterator[None]:
        """What is made meanwhile is made at this side; what is revoked meanwhile must not be of another one."""
        before = {key.plaintext: key for key in self._world.server.account.keys}
        yield
        for key in self._world.server.account.keys:
            known = before.get(key.plaintext)
            if known is None:
                self._made_at[key.plaintext] = side
            elif known.live and not key.live:
                maker = self._made_at.get(key.plaintext, side)
                assert maker == side, f"key {key.id} of {maker} was revoked by {side}"

    def leak(self, path: str) -> None:
        """An operator ends the grace of all that was in this secret until now."""
        self._leaked |= {seen.plaintext for seen in self._published.get(path, []) if seen.plaintext}

    def freeze(self, path: str, ends: datetime) -> None:
        """From now on, until then, no superseded key of this secret goes, and no due rotation is made."""
        self.release(path)
        dead = frozenset(key.plaintext for key in self._world.server.account.keys if not key.live)
        self._freezes.append(Freeze(path, self._world.server.account.clock.now(), ends, dead))

    def uses(self, path: str, plaintext: str | None, consumer: str = "web") -> None:
        """From now on this consumer of the secret runs on `plaintext`; None where it has lied about it."""
        now = self._world.server.account.clock.now()
        self._uses = [
            replace(use, until=use.until or now) if (use.path, use.consumer) == (path, consumer) else use
            for use in self._uses
        ]
        self._uses.append(Use(path, consumer, plaintext, now))

    def release(self, path: str) -> None:
        """It is over."""
        now = self._world.server.account.clock.now()
        self._freezes = [
            replace(one, ends=min(one.ends, now)) if one.path == path else one for one in self._freezes
        ]

    def frozen(self, path: str) -> bool:
        """Whether the secret is frozen now."""
        now = self._world.server.account.clock.now()
        return any(one.path == path and one.begins <= now < one.ends for one in self._freezes)

    def heeded(self, result: PassResult) -> str | None:
        """What is wrong with a pass that was just made: a secret that is frozen was rotated because it was due."""
        for key in result.keys if not result.forced else ():  # what is forced is not held, due or not
            due = key.plan and key.plan.rotates and key.plan.reason is Reason.DUE
            if due and key.rotation and self.frozen(key.key.path):
                return f"{key.key.name} was rotated because it was due, though it is frozen"
        return None

    def word(self, id_: int) -> None:
        """A person names a key to be revoked. Of what is not somebody else's that changes nothing."""
        named = {key.plaintext for key in self._others if key.id == id_} - self._bearers
        self._named |= named
        self._leaked |= named

    def seen(self, method: str, path: str, status: int) -> None:
        """Watch a request that Vault answered."""
        path = path.partition("/data/")[2]
        if method == "POST" and status == 200:
            self.note(path, (self._truth.read(path).data or {}).get("api_key"))

    def watch(self, store: Store) -> Store:
        """Return `store` with its writes watched."""
        return _Watched(store, self.note)

    def note(self, path: str, plaintext: str | None, *, by_hand: bool = False) -> None:
        """Note what the secret at `path` holds now."""
        if path not in {key.path for key in self._world.keys}:
            return
        log = self._published.setdefault(path, [])
        if not log or log[-1].plaintext != plaintext:
            key = self._world.server.account.find(plaintext or "")
            now = self._world.server.account.clock.now()
            log.append(Publication(now, plaintext, key is not None and key.revoked_by is None, by_hand))

    @property
    def others(self) -> set[int]:
        """The ids of the keys that must never be revoked."""
        return {key.id for key in self._others}

    @property
    def published(self) -> set[str]:
        """Every plaintext that was in a secret."""
        return {seen.plaintext for log in self._published.values() for seen in log if seen.plaintext}

    @property
    def current(self) -> dict[str, str | None]:
        """By path: the plaintext that is in the secret's latest version."""
        return {path: log[-1].plaintext for path, log in self._published.items()}

    def hold(self) -> None:
        """Assert promises 1, 2 and 6 as of now."""
        for path, log in self._published.items():
            for publication in log:
                dead = publication.plaintext is not None and not publication.live
                assert publication.by_hand or not dead, f"a dead key at {path}"
        for key in self._world.server.account.keys:
            if key.revoked_by is not None:
                self._hold_for(key)
        ours = {key.id for key in self._world.live} - {other.id for other in self._others}
        assert len(ours) <= 16 * len(self._world.keys)

    def _hold_for(self, key: AccountKey) -> None:
        assert key.revoked_at is not None
        others = {
            other.plaintext for other in self._others
        } - self._named  # an id may have been another's before
        assert key.plaintext not in others, f"key {key.id} is somebody else's"
        assert key.plaintext not in self._bearers, f"key {key.id} is the bearer"
        unpublished = self._adoptable - self.published
        assert key.plaintext not in unpublished, f"key {key.id} is somebody else's, and stood in no secret"
        where = {
            path for path, log in self._published.items() for seen in log if seen.plaintext == key.plaintext
        }
        for freeze in self._freezes if key.plaintext not in self._leaked else ():
            early = freeze.begins < key.revoked_at < freeze.ends and key.plaintext not in freeze.dead
            assert not (early and where == {freeze.path}), (
                f"key {key.id} was revoked while {freeze.path} was frozen"
            )
        for path, log in self._published.items():
            [entry] = (entry for entry in self._world.keys if entry.path == path)
            used = any(
                (use.path, use.plaintext) == (path, key.plaintext)
                and use.since < key.revoked_at
                and (use.until is None or key.revoked_at < use.until)
                for use in self._uses
            )
            grace = entry.grace_limit if used else entry.grace_period
            for at, publication in enumerate(log):
                if publication.plaintext != key.plaintext or not publication.live:
                    continue
                assert at + 1 < len(log), f"key {key.id} was revoked while it was current at {path}"
                replaced_at = log[at + 1].at
                early = key.revoked_at < replaced_at + grace - SLACK and key.plaintext not in self._leaked
                assert not early, f"key {key.id} was revoked in its grace, or while it was in use, at {path}"

    def settled(self) -> None:
        """Assert that each managed key has a current one that works, and that no other is unaccounted for."""
        named: set[int] = set()
        for key in self._world.keys:
            assert self._world.works(key.path), f"the key at {key.path} does not work"
            block = self._world.rotation(key.path)
            named |= {block["key_id"], *map(int, block["superseded"])}
        live = {key.id for key in self._world.live} - {other.id for other in self._others}
        assert live <= named, f"live {live}, named {named}"

    def converged(self) -> None:
        """Assert promise 3: one current key that works for each managed key, and no other of ours."""
        current = set()
        for key in self._world.keys:
            assert self._world.works(key.path), f"the key at {key.path} does not work"
            found = self._world.server.account.find(self._world.secret(key.path)["api_key"])
            assert found
            current.add(found.id)
        live = {key.id for key in self._world.server.account.keys if key.live}
        others = live & {other.id for other in self._others}
        assert live == current | others, f"live {live}, current {current}, others {others}"


class _Watched(StoreWrapper):
    def __init__(self, store: Store, note: Callable[[str, str | None], None]) -> None:
        super().__init__(store)
        self._note = note

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        number = super().write(path, data, cas=cas)
        self._note(path, data.get("api_key"))
        return number
