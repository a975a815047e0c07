"""What one managed key is decided on: what was observed, and what follows from it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE, Block, Rotation, read_block, read_plaintext
from rotator.rules.claims import Claim, Claims
from rotator.rules.consumers import Ack, waiting_for
from rotator.rules.current import Current, named_by
from rotator.rules.freeze import Freeze, read_freeze
from rotator.rules.history import Trace, when_written
from rotator.rules.model import Key, ManagedKey, Timing, Version
from rotator.rules.owner import Owner, read_owner


@dataclass(frozen=True)
class Facts:
    """All that was observed of one managed key."""

    key: ManagedKey
    timing: Timing
    now: datetime
    version: Version
    listed: Mapping[int, Key]
    """Every key of the account."""
    family: tuple[Key, ...]
    """The live keys whose titles are ours and of this managed key, and which this Vault asked for."""
    current: Current | None
    """None when the path holds no plaintext."""
    refused: bool
    """The gateway answered 401 to the current plaintext. It is asked only where that is in doubt."""
    traces: Mapping[int, Trace]
    """What became of the keys of the family that the secret does not name."""
    protected: Mapping[int, str]
    """Keys that this managed key must not revoke, the bearer and what is or may be another's: each with the why."""
    forced: bool
    """The operator said `--rotate-now`."""
    claims: Claims = field(default_factory=Claims)
    """What this Vault asked for; none where there was no cause to look."""
    live_nonces: frozenset[str] = frozenset()
    """Of every live key of the account whose title is of our convention: their claims are not forgotten."""
    asked_at: Mapping[int, datetime] = field(default_factory=dict)
    """By key of the family: when it was asked for, where a claim says so."""
    unproven: frozenset[int] = frozenset()
    """Superseded keys, due to go, of which nothing but the block says that they ever stood in this secret."""
    recorded: frozenset[int] = frozenset()
    """Superseded keys that our own records say we made, and that the list does not call something else."""
    ended: Mapping[int, datetime] = field(default_factory=dict)
    """By superseded key that is due to go: when Vault says that another one took its place."""
    unmanaged: tuple[Key, ...] = ()
    """Live keys that have nothing to do with any managed key, as far as can be told."""
    unread: bool = False
    """Whether another managed key's secret could not be read, so that any key may stand in it."""
    texts: Mapping[int, frozenset[Secret]] = field(default_factory=dict)
    """By superseded key that is due to go: the plaintexts in older versions that may be its own."""
    gone: frozenset[int] | None = None
    """Keys that the secret names and that a second list does not show live, either; None where it was not asked."""
    acks: Mapping[str, Ack] = field(default_factory=dict)
    """By consumer: what it confirmed last. Asked for only where a superseded key's grace is over."""
    doubt: str | None = None
    """Why the time is not to be relied on; None while its witnesses agree."""
    without_grace: bool = False
    """The operator said `--revoke-old-now`: a rotation ends the grace of all that it supersedes."""
    leaked: frozenset[int] = frozenset()
    """Superseded keys whose grace an operator ended, as a claim says, too."""

    @property
    def rotation(self) -> Rotation | None:
        """The bookkeeping of the key that the secret holds; None where it is not known which key that is."""
        return self.current.rotation if self.current else None

    @property
    def key_id(self) -> int | None:
        """The id of the key that the secret holds; None where it is not known."""
        return self.rotation.key_id if self.rotation else None

    @cached_property
    def block(self) -> Block:
        """What the secret says of itself."""
        return read_block(self.version.data, self.key.bookkeeping)

    @property
    def plaintext(self) -> str | None:
        """What the secret holds; None where nothing usable is there."""
        return read_plaintext(self.version.data, self.key.field)

    def age(self, key: Key) -> timedelta:
        """How far from now `key` was asked for: what is dated far ahead is not young, but strange."""
        return abs(self.now - self.since(key))

    def since(self, key: Key) -> datetime:
        """When `key` was asked for, by our own record; when it was made, by the gateway's, where there is none."""
        return self.asked_at.get(key.id, key.created_at)

    def lives(self, id_: int) -> bool:
        """Whether the list shows this key live. One that it omits is not known to be."""
        key = self.listed.get(id_)
        return key is not None and key.live

    def is_revoked(self, id_: int) -> bool:
        """Whether the list shows this key revoked. One that it omits is not known to be."""
        key = self.listed.get(id_)
        return key is not None and not key.live

    def is_gone(self, id_: int) -> bool:
        """Whether it may be forgotten that this key is revoked: not where a second list says otherwise."""
        return self.is_revoked(id_) and (self.gone is None or id_ in self.gone)

    @property
    def forgotten(self) -> frozenset[int]:
        """The keys that the secret names and that a write would name no more: for that a second list is asked."""
        kept = self.carried.keys() | (
            {self.key_id} if self.key_id and not self.is_gone(self.key_id) else set()
        )
        return self.block.named - kept

    def with_second_look(self, live: frozenset[int] | None) -> "Facts":
        """The same after a second list, which shows these keys `live`; None where it could not be had."""
        return replace(self, gone=frozenset() if live is None else self.forgotten - live)

    @property
    def ours(self) -> frozenset[int]:
        """The keys that we made for this managed key, live or superseded; the others a person made."""
        return self.recorded.union(key.id for key in self.family)

    def may_revoke(self, id_: int) -> bool:
        """Whether a superseded key is ours to revoke, once its grace is over."""
        return id_ not in self.protected and (id_ in self.ours or self.key.revoke_adopted)

    def is_left_to_people(self, id_: int) -> bool:
        """Whether it is only `revoke_adopted` that a listed key lacks to be revoked."""
        lacking = id_ not in self.ours and not self.key.revoke_adopted
        return lacking and id_ in self.listed and id_ not in self.protected

    def pending(self, now: datetime) -> Claim | None:
        """Return a claim whose key may be about to be stored `now`."""
        return self.claims.pending(self.version.number, now, self.timing.in_flight)

    @property
    def orphans(self) -> tuple[Key, ...]:
        """The keys of the family that were never published, young ones included."""
        return tuple(key for key in self.family if self.traces.get(key.id) is Trace.ORPHAN)

    def lives_until(self, id_: int, since: datetime) -> datetime:
        """When the grace ends of a key that is superseded `since`, by the block and by Vault's own time."""
        since = max(since, self.ended.get(id_, since))
        return since if since == WITHOUT_GRACE else since + self.key.grace_period

    def limit_of(self, id_: int, since: datetime) -> datetime:
        """When a superseded key goes that a consumer may still use."""
        ends = self.lives_until(id_, since)
        return ends if ends == WITHOUT_GRACE else ends - self.key.grace_period + self.key.grace_limit

    def awaits(self, id_: int, since: datetime) -> bool:
        """Whether it matters what consumers say: the grace of this key is over, and nothing else keeps it."""
        over = WITHOUT_GRACE < self.lives_until(id_, since) <= self.now
        return over and self.lives(id_) and self.may_revoke(id_) and id_ not in self.unproven

    def unconfirmed(self, id_: int, since: datetime, *, newest: int | None = None) -> Mapping[str, str]:
        """Return the consumers that may still use a superseded key and matter, each with the reason.

        `newest`: the key that this pass has put into the secret since.
        """
        if not self.awaits(id_, since):
            return {}
        return waiting_for(
            self.key.consumers,
            self.acks,
            since,
            current={self.key_id, newest},
            superseded=self.superseded,
            replaced_at=self.ended.get(id_),
        )

    @property
    def lacks_the_current(self) -> bool:
        """Whether the list omits a key that the secret holds: then it may omit others."""
        return self.key_id is not None and self.key_id not in self.listed

    def titles(self) -> Mapping[int, str]:
        """What each superseded key was called when it was made, as far as it is known."""
        rotation = self.rotation
        noticed = {key.id: key.title for key in self.family if key.id in self.traces}
        named = rotation.titles if rotation else self.block.titles
        return {**noticed, **named, **({rotation.key_id: rotation.title} if rotation else {})}

    @property
    def due_at(self) -> datetime | None:
        """When the current key falls due; now, when it is not known which key it is. None without one."""
        if self.rotation is None:
            return self.now if self.current else None
        return self.key.cadence.due_at(self.rotation.rotated_at)

    @property
    def due_since(self) -> datetime | None:
        """When the current key falls due or, where it is not known which key it is, since when it stands there."""
        return self.due_at if self.rotation else when_written(self.version, self.now)

    @cached_property
    def freeze(self) -> Freeze | None:
        """What a person has said of freezing the secret, in force or not."""
        return read_freeze(self.version.custom)

    @cached_property
    def owner(self) -> Owner:
        """Whose the secret is, as people say."""
        return read_owner(self.version.custom)

    def is_leaked(self, id_: int, since: datetime) -> bool:
        """Whether a key that is superseded `since` has no grace because an operator ended it."""
        return since == WITHOUT_GRACE and (self.without_grace or id_ in self.leaked)

    def frozen_until(self, since: datetime | None) -> datetime | None:
        """When a freeze lets go on what should be done `since`; None where it keeps that no longer.

        Without knowing since when, nothing would bound it, so it keeps nothing.
        """
        if self.freeze is None or since is None:
            return None
        ends = self.freeze.keeps_until(since)
        return ends if ends > self.now else None

    def frozen_or_thawed(self, id_: int, since: datetime) -> datetime | None:
        """When a freeze lets a superseded key go, also one that has ended; None where it keeps none."""
        ends = self.lives_until(id_, since)
        if self.freeze is None or self.is_leaked(id_, since) or ends == WITHOUT_GRACE:
            return self.revocation_frozen_until(id_, since)
        return self.freeze.keeps_until(ends)

    def revocation_frozen_until(self, id_: int, since: datetime) -> datetime | None:
        """The same of the revocation of a key that is superseded `since`. A leak passes a freeze."""
        if self.is_leaked(id_, since):
            return None
        ends = self.lives_until(id_, since)
        if (
            ends == WITHOUT_GRACE
        ):  # its revocation has begun: it was superseded by this rotation, at the latest
            ends = self.rotation.rotated_at + self.key.grace_period if self.rotation else ends
        return self.frozen_until(ends)

    @property
    def doubted(self) -> bool:
        """Whether the list gives cause to ask if the current plaintext still works."""
        if self.current is None or self.rotation is None:
            return self.current is not None
        if key := self.listed.get(self.rotation.key_id):
            return not key.well
        # One that is new the list may not show yet.
        made_at = min(self.rotation.created_at, self.rotation.rotated_at)
        return made_at <= self.now - self.timing.in_flight

    @property
    def omitted(self) -> bool:
        """Whether the list omits the current key, though it works and is not so new that the list may lag."""
        return self.doubted and not self.refused and self.lacks_the_current

    @cached_property
    def superseded(self) -> Mapping[int, datetime]:
        """Every key that was current once, with the time since when it is superseded.

        One that the secret does not name counts from now on, when it was noticed.
        """
        known = named_by(self.version, self.key, self.current, self.now)
        return {**known, **{id_: self.now for id_, trace in self.traces.items() if trace is Trace.PUBLISHED}}

    @cached_property
    def carried(self) -> Mapping[int, datetime]:
        """`superseded` without what is dead, or is no longer listed and past its grace: the list may lag."""

        def still(id_: int, since: datetime) -> bool:
            if self.gone is not None and id_ not in self.gone:
                return True
            if id_ in self.listed or self.doubt or self.lacks_the_current:
                return not self.is_revoked(id_)
            if since == WITHOUT_GRACE and self.rotation:  # noticed anew, it would have a whole grace again
                since = self.rotation.rotated_at
            return since + self.key.longest_grace > self.now

        return {id_: since for id_, since in self.superseded.items() if still(id_, since)}
