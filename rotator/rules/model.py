"""The vocabulary: what is configured, what was observed. Values only; no I/O and no clock.

Every time is aware and in UTC. Times of keys and of bookkeeping are the gateway's clock, never the local one.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.redaction import Secret
from rotator.rules.cadence import Cadence


@dataclass(frozen=True)
class Key:
    """One API key as the gateway lists it."""

    id: int
    title: str
    status: str
    created_at: datetime
    preview: str

    @property
    def live(self) -> bool:
        """Only `revoked` means dead: the contract's statuses are examples, not a closed set."""
        return self.status.lower() != "revoked"

    @property
    def well(self) -> bool:
        """Whether its status is known to be that of a key that works. Of another, only the gateway can tell."""
        return self.status in ("created", "active")


@dataclass(frozen=True)
class CreatedKey:
    """The one answer that holds a plaintext."""

    id: int
    title: str
    created_at: datetime
    plaintext: Secret
    request_id: str | None


@dataclass(frozen=True)
class Version:
    """A version of a KV v2 secret. `data` is None where it was deleted, destroyed or never there."""

    number: int
    """The version's number; 0 when the path was never written. It is what check-and-set compares."""
    data: Mapping[str, Any] | None
    written_at: datetime | None = field(default=None, compare=False)
    """By Vault's clock; None where it does not say."""
    deletes_at: datetime | None = field(default=None, compare=False)
    """When Vault deletes it by itself; None where it does not."""
    custom: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The secret's custom metadata, as it was when this was read: it is of no version, and people write it."""

    def __repr__(self) -> str:  # `data` holds a plaintext
        return f"Version({self.number}, {'data' if self.data is not None else 'no data'})"


@dataclass(frozen=True)
class Receiver:
    """Where a consumer is told which key is current."""

    consumer: str
    url: str = field(repr=False)
    """It may hold a token."""
    place: str
    """The field of the config that names the source of what signs: one of the next two."""
    file: str | None = None
    env: str | None = None


@dataclass(frozen=True)
class CopyTarget:
    """Where a copy of the current key is kept."""

    vault: str
    """What the config calls that Vault."""
    path: str
    """The secret's path below the mount of that Vault."""


@dataclass(frozen=True)
class ManagedKey:
    """One entry of the config."""

    name: str
    path: str
    """The secret's path below the KV mount."""
    field: str
    """The secret's field that holds the plaintext."""
    cadence: Cadence
    grace_period: timedelta
    """How long a superseded key lives on."""
    revoke_adopted: bool
    """Whether a superseded key whose title is not ours may be revoked too."""
    bookkeeping: str = "rotation"
    """The secret's field that holds our own record."""
    consumers: tuple[str, ...] = ()
    """Who confirms that it has taken up a new key; also those that read a copy."""
    grace_limit: timedelta = timedelta(days=7)
    """How long a superseded key lives on at most while a consumer has not confirmed its successor."""
    receivers: tuple[Receiver, ...] = ()
    """Of the consumers that are told which key is current. The others find a new one out by themselves."""
    copies: Mapping[str, CopyTarget] = dataclasses.field(default_factory=dict, hash=False)
    """By consumer, of those that read a copy: it confirms by what it holds."""

    @property
    def confirming(self) -> tuple[str, ...]:
        """The consumers that confirm in words, each at a path of its own."""
        return tuple(name for name in self.consumers if name not in self.copies)

    @property
    def longest_grace(self) -> timedelta:
        """How long a superseded key may be in use, as far as is known without asking the consumers."""
        return self.grace_limit if self.consumers else self.grace_period


PATIENCE: Final = timedelta(minutes=2)
"""How long a single call is repeated within a rotation, at most."""


@dataclass(frozen=True)
class Timing:
    """The clocks of a rotation, the same for all managed keys."""

    in_flight: timedelta
    orphan_after: timedelta
    verify_deadline: timedelta
    store_deadline: timedelta
    clock_tolerance: timedelta = timedelta(minutes=5)
    """How far the clocks of the gateway and of this machine may be apart before nothing final rests on the time."""
    pass_deadline: timedelta = timedelta(minutes=30)
    """How long a pass may last; a rotation that has begun is finished."""

    @property
    def patience(self) -> timedelta:
        """How long a rate limit may hold up each of its two steps, so that no key is swept meanwhile."""
        return max(timedelta(), (self.orphan_after - self.rotation - PATIENCE) / 2)

    @property
    def copying(self) -> timedelta:
        """How long a pass may be busy with copies."""
        return self.pass_deadline / 4

    @property
    def rotation(self) -> timedelta:
        """How long one may take, from create to store."""
        return self.verify_deadline + self.store_deadline
