"""One account at the gateway, with all that a pass over it needs, and the port to Vault."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from rotator.clients.gateway.bearer import Bearer
from rotator.clients.gateway.client import Gateway
from rotator.clients.retry import Policy
from rotator.passes.stopping import Stopping
from rotator.rules.installation import Whereabouts
from rotator.rules.model import ManagedKey, Receiver, Timing, Version
from rotator.rules.shard import Shard
from rotator.rules.titles import TitleTemplate


class Store(Protocol):
    """A KV v2 mount. Paths are below the mount.

    Every method raises the errors of `rotator.errors`. Reads repeat what failed transiently, unless `once`;
    `write` is one attempt, for only its caller knows what a second one would mean. A read may be stale for
    seconds; a write never goes by a stale version.
    """

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        """Return the latest or the given version. One that was never written is `Version(0, None)`."""
        ...

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        """Write a version on top of version `cas` and return its number. Raises Conflict on a lost race."""
        ...

    def read_custom(self, path: str) -> Mapping[str, str] | None:
        """Return the secret's custom metadata alone; None where nothing was ever written."""
        ...

    def write_custom(self, path: str, changes: Mapping[str, str | None]) -> None:
        """Set these entries of the custom metadata, or remove those that are None; the others stay."""
        ...

    def check_mount(self) -> None:
        """Raise Rejected, with the cure, when the mount is missing or is not KV version 2."""
        ...

    def whereabouts(self) -> Whereabouts:
        """Return what tells this Vault and mount from others."""
        ...

    def missing_capabilities(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        """Return what the token lacks of the capabilities `needed` by path; a path that lacks none is left out."""
        ...

    def token_ttl(self, *, at_least: timedelta = timedelta()) -> timedelta | None:
        """Return how long the token lives on; None when it does not expire.

        One that lives for less than `at_least` is renewed first, or another one is got, where that can be done.
        """
        ...


Tell = Callable[[Receiver, str, bytes], None]
"""Tells a consumer's receiver: the event's id, and its body. One attempt; raises what its client does."""


def tell_nobody(receiver: Receiver, id_: str, body: bytes) -> None:
    """Tell: what an account does that has no receivers."""


class CopyStore(Protocol):
    """A KV v2 mount in a further Vault, which holds copies. What it raises is what a `Store` raises.

    Each call is one attempt: nothing of a pass may wait for it.
    """

    def log_in(self) -> None:
        """Get a token, unless there is one. Raises what kept us from it."""
        ...

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        """As a `Store` does."""
        ...

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        """As a `Store` does."""
        ...


def no_vaults(name: str) -> CopyStore:
    """What an account has that keeps no copies."""
    raise KeyError(name)


@dataclass(frozen=True)
class Account:
    """What is configured, and the two authorities."""

    gateway: Gateway
    store: Store
    bearer: Bearer
    bearer_path: str | None
    """The path of the secret that the bearer is read from, if it is in Vault."""
    keys: tuple[ManagedKey, ...]
    shard: Shard
    """Which of `keys` are acted on; all are observed."""
    titles: TitleTemplate
    timing: Timing
    state_path: str
    """Where the installation's identity is kept, below the mount."""
    acks_path: str
    """Below which the consumers write their confirmations."""
    concurrency: int
    policy: Policy
    stopping: Stopping
    vaults: Callable[[str], CopyStore] = no_vaults
    """Returns a further Vault by its name, which is opened when it is first asked for."""
    limits: Callable[[], Mapping[str, float]] = dict
    """By server, `gateway` or `vault`: the calls a second that it seems to allow, where it has refused one."""
    mount: str = "secret"
    """Where the KV engine is: consumers are told it."""
    tell: Tell = tell_nobody

    def is_bearer(self, key: ManagedKey) -> bool:
        """Whether the bearer is read from this managed key's secret. Such a key is rotated last."""
        return key.path == self.bearer_path
