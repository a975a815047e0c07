"""One account at the gateway, with all that a pass over it needs."""

from dataclasses import dataclass
from datetime import datetime

from rotator.gateway.bearer import Bearer
from rotator.gateway.client import Gateway
from rotator.model import Key, ManagedKey, Timing
from rotator.retry import Policy
from rotator.stopping import Stopping
from rotator.store import Store
from rotator.titles import TitleTemplate


@dataclass(frozen=True)
class Account:
    """What is configured, and the two authorities."""

    gateway: Gateway
    store: Store
    bearer: Bearer
    bearer_path: str | None
    """The path of the secret that the bearer is read from, if it is in Vault."""
    keys: tuple[ManagedKey, ...]
    titles: TitleTemplate
    timing: Timing
    state_path: str
    """Where the installation's identity is kept, below the mount."""
    concurrency: int
    policy: Policy
    stopping: Stopping

    def is_bearer(self, key: ManagedKey) -> bool:
        return key.path == self.bearer_path


@dataclass(frozen=True)
class Seen:
    """What both sides said at the start of a pass, before any secret was read."""

    installation: str | None
    """None in a dry run before the first pass: no key can be ours yet."""
    now: datetime
    """The gateway's clock. All ages of a pass are measured against this one reading."""
    keys: tuple[Key, ...]
