"""A whole small world for one test: the sandbox's gateway over real HTTP, a store, and passes over them."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from rotator.clients.exchange import Watch
from rotator.clients.gateway.bearer import Bearer, usable
from rotator.clients.gateway.client import Gateway
from rotator.clients.gateway.clock import GatewayClock, LocalClock
from rotator.clients.governor import Governor
from rotator.clients.retry import Policy
from rotator.passes.account import Account, CopyStore, Store, Tell, tell_nobody
from rotator.passes.prune import Pruned, PrunePlan, plan_prune, prune
from rotator.passes.reconcile import reconcile
from rotator.passes.result import KeyResult, PassResult
from rotator.passes.rollback import RolledBack, roll_back
from rotator.passes.stopping import Stopping
from rotator.redaction import Secret
from rotator.rules.bookkeeping import FIELD
from rotator.rules.model import ManagedKey, Timing
from rotator.rules.shard import WHOLE, Shard
from rotator.rules.titles import TitleTemplate
from rotator.sandbox.ledger import AccountKey, Clock, Ledger
from rotator.sandbox.server import GatewayServer
from tests.facts import DAY, PATH, TIMING, managed
from tests.memory_store import MemoryStore

QUICK = Policy(attempts=4, deadline=5, first_wait=0.001, longest_wait=0.002, longest_retry_after=0.01)
STATE = "rotator/installation"
CLAIMS = f"rotator/claims/{PATH}"
ANY_CLOCK = "3650d"
"""A clock_tolerance for a gateway whose clock is not this machine's."""


def loopback_only_environment() -> Mapping[str, str]:
    """This process's environment without what would reach into it: proxies, a width, Vault's, ours."""
    drop = ("ROTATOR_", "VAULT_", "BAO_", "APIMALL_", "NO_COLOR", "HTTP_PROXY", "HTTPS_PROXY", "COLUMNS")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(drop)}


Gate = Callable[[], None]


class GatedGateway(Gateway):
    """Calls `gate` before each of its requests."""

    gate: Gate | None = None

    def _send(self, call: Any, bearer: Secret) -> Any:
        if self.gate:
            self.gate()
        return super()._send(call, bearer)


class GatedStore:
    """Calls `gate` before each use of the store behind it."""

    def __init__(self, store: Store | CopyStore, gate: Gate) -> None:
        self._store, self._gate = store, gate

    def __getattr__(self, name: str) -> Any:
        used = getattr(self._store, name)

        def gated(*args: Any, **kwargs: Any) -> Any:
            self._gate()
            return used(*args, **kwargs)

        return gated


@dataclass(repr=False)
class World:
    server: GatewayServer
    store: Store
    keys: tuple[ManagedKey, ...] = (managed(),)
    shard: Shard = WHOLE
    timing: Timing = TIMING
    bearer_path: str | None = None
    bearer: str = ""
    timeout: timedelta = timedelta(seconds=5)
    stopping: Stopping = field(default_factory=Stopping)
    log: list[PassResult] = field(default_factory=list)
    concurrency: int = 4
    watch: Watch | None = None
    """Told of each request to the gateway."""
    policy: Policy = QUICK
    tell: Tell = tell_nobody
    """Tells the receivers of consumers."""
    client: Callable[..., GatedGateway] = GatedGateway
    """Makes a rotator's client of the gateway."""
    local_skew: timedelta = timedelta()
    """How far this host's clock is ahead of the true time, which is the account's."""
    vaults: dict[str, CopyStore] = field(default_factory=dict)
    """By name: further Vaults, which hold copies."""
    moved: timedelta = timedelta()
    """How far the true time was advanced by hand."""

    @property
    def memory(self) -> MemoryStore:
        assert isinstance(self.store, MemoryStore)
        return self.store

    @contextmanager
    def account(self, store: Store | None = None, gate: Gate | None = None) -> Iterator[Account]:
        """One rotator's view of the world. `gate` is called before each of its requests, one at a time."""
        store, vaults = store or self.store, dict(self.vaults)
        if gate:
            store = cast("Store", GatedStore(store, gate))
            vaults = {name: cast("CopyStore", GatedStore(far, gate)) for name, far in vaults.items()}
        plaintext = self.bearer or self.server.account.bootstrap.plaintext
        sources = [lambda: usable(plaintext)]
        if path := self.bearer_path:
            sources.insert(0, lambda: usable((store.read(path).data or {}).get("api_key", "")))
        bearer = Bearer(sources)
        gateway = self.client(
            self.server.url,
            bearer,
            timeout=self.timeout,
            policy=self.policy,
            sleep=self.stopping.sleep,
            clock=GatewayClock(self.timing.clock_tolerance, LocalClock(self.local_now, self.monotonic)),
            governor=Governor(8, self.stopping.sleep, hurried=lambda: self.stopping.is_committed),
            watch=self.watch,
        )
        gateway.gate = gate
        with closing(gateway):
            yield Account(
                acks_path="rotator/acks",
                gateway=gateway,
                store=store,
                bearer=bearer,
                bearer_path=self.bearer_path,
                keys=self.keys,
                shard=self.shard,
                titles=TitleTemplate(),
                timing=self.timing,
                state_path=STATE,
                concurrency=1 if gate else self.concurrency,
                policy=self.policy,
                stopping=self.stopping,
                tell=self.tell,
                vaults=vaults.__getitem__,
            )

    def make_pass(self, **options: Any) -> PassResult:
        with self.account(options.pop("store", None), options.pop("gate", None)) as account:
            self.log.append(reconcile(account, **options))
        return self.log[-1]

    def one(self, **options: Any) -> KeyResult:
        """Make a pass over a world with one managed key."""
        (result,) = self.make_pass(**options).keys
        return result

    def roll_back(self, name: str = "Backend", **options: Any) -> RolledBack:
        with self.account(options.pop("store", None), options.pop("gate", None)) as account:
            return roll_back(account, name, dry_run=options.pop("dry_run", False))

    def prune(self, *ids: int, **options: Any) -> tuple[PrunePlan, tuple[Pruned, ...]]:
        """What `rotator prune --yes` does. Without a `meanwhile`, nothing happens between the plan and the word."""
        meanwhile = options.pop("meanwhile", lambda: None)
        with self.account(options.pop("store", None), options.pop("gate", None)) as account:
            plan = plan_prune(account, ids)
            if not plan.sound:
                return plan, plan.keys
            meanwhile()
            return plan, prune(account, plan)

    def contain(self, name: str = "Backend", **options: Any) -> PassResult:
        """What `--revoke-old-now` does: two passes."""
        only = frozenset({name})
        self.make_pass(only=only, forced=True, without_grace=True, **options)
        return self.make_pass(only=only, **options)

    def advance(self, days: float = 0, *, minutes: float = 0) -> None:
        by = timedelta(days=days, minutes=minutes)
        self.server.account.clock.advance(by)
        self.moved += by

    def local_now(self) -> datetime:
        """This host's clock, for what takes one."""
        return self.server.account.clock.now() + self.local_skew

    def monotonic(self) -> float:
        """This host's seconds: they run on, and with `advance`."""
        return time.monotonic() + self.moved.total_seconds()

    def impatient(self) -> None:
        """Give up proving and storing at once."""
        at_once = timedelta(milliseconds=20)
        self.timing = replace(self.timing, verify_deadline=at_once, store_deadline=at_once)

    @property
    def live(self) -> list[AccountKey]:
        """The live keys, without the bootstrap key."""
        return [key for key in self.server.account.keys[1:] if key.live]

    def secret(self, path: str = PATH) -> dict[str, Any]:
        return dict(self.store.read(path).data or {})

    def rotation(self, path: str = PATH) -> dict[str, Any]:
        return dict(self.secret(path)[FIELD])

    def works(self, path: str = PATH) -> bool:
        return self.server.account.authenticates(self.secret(path)["api_key"]) is not None

    def posts(self) -> int:
        return sum(line.method == "POST" for line in self.server.requests)


def later() -> Clock:
    """A clock that is moved by hand and begins in some years: a real Vault's clock, a witness, is behind it."""
    return Clock(DAY + timedelta(weeks=261), frozen=True)


def new_server(clock: Clock | None = None) -> GatewayServer:
    """A gateway whose time moves by hand alone, unless it is given a clock."""
    return GatewayServer(Ledger(clock or Clock(DAY, frozen=True)))
