"""One account at the gateway, with all that a pass over it needs."""

from dataclasses import dataclass

from rotator.clients.gateway.bearer import Bearer
from rotator.clients.gateway.client import Gateway
from rotator.clients.retry import Policy
from rotator.passes.stopping import Stopping
from rotator.passes.store import Store
from rotator.rules.model import ManagedKey, Timing
from rotator.rules.shard import Shard
from rotator.rules.titles import TitleTemplate


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
    concurrency: int
    policy: Policy
    stopping: Stopping

    def is_bearer(self, key: ManagedKey) -> bool:
        return key.path == self.bearer_path
