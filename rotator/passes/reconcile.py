"""One pass over an account: observe, decide, act. The same for all ways of running."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import uuid4

import structlog

from rotator.errors import RotatorError
from rotator.log import log_failure
from rotator.passes.account import Account
from rotator.passes.act import Actor
from rotator.passes.observe import Observation, observe
from rotator.passes.pool import each
from rotator.passes.preflight import Preflight
from rotator.passes.result import KeyResult, Outcome, PassResult, planned
from rotator.passes.stopping import Stopped
from rotator.rules.decide import Plan, decide
from rotator.rules.facts import Facts
from rotator.rules.model import ManagedKey

Progress = Callable[[int, int], None]
"""Told how many of how many managed keys are done."""

log = structlog.get_logger()


def new_run_id() -> str:
    """By which the log lines of one pass are found."""
    return uuid4().hex[:12]


def reconcile(
    account: Account,
    *,
    only: frozenset[str] = frozenset(),
    forced: bool = False,
    without_grace: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    run_id: str | None = None,
) -> PassResult:
    """Make one pass. `only` names the managed keys to act on; empty means all of the shard.

    `without_grace`: whatever a rotation of this pass supersedes falls to the next pass at once.

    Raises what kept it from observing, or the Vault token from being fit; then no key was changed.
    """
    run_id, began = run_id or new_run_id(), time.monotonic()
    with structlog.contextvars.bound_contextvars(run_id=run_id):
        log.info("reconcile.started", dry_run=dry_run, forced=forced, shard=str(account.shard))
        account.bearer.forget()  # of an earlier pass; another replica may have rotated it since
        observation = observe(account, forced=forced, without_grace=without_grace, dry_run=dry_run)
        chosen = [key for key in account.keys if account.shard.holds(key.name)]
        if only:
            _tell_left_out(account, only)
            chosen = [key for key in chosen if key.name in only]
        work = _Pass(account, observation, chosen, dry_run=dry_run, progress=progress)
        keys = work.run()
        result = PassResult(
            run_id=run_id,
            dry_run=dry_run,
            installation=observation.installation,
            now=observation.now,
            keys=keys,
            foreign=observation.foreign,
            changed=work.actor.changed,
            refused=work.actor.refused,
        )
        log.info(
            "reconcile.finished",
            converged=result.converged,
            rotated=result.rotated,
            revoked=result.revoked,
            failed=result.failed,
            foreign=len(result.foreign),
            duration_ms=round((time.monotonic() - began) * 1000),
        )
    return result


class _Pass:
    """The deciding and acting halves of one pass."""

    def __init__(
        self,
        account: Account,
        observation: Observation,
        keys: list[ManagedKey],
        *,
        dry_run: bool,
        progress: Progress | None,
    ) -> None:
        self._account, self._observation, self._keys = account, observation, keys
        self._dry_run, self._progress = dry_run, progress
        self._preflight = Preflight(account.store, account.timing)
        self._lock, self._finished = threading.Lock(), 0
        self.actor = Actor(account, observation.installation or "", self._preflight)

    def run(self) -> tuple[KeyResult, ...]:
        plans = each(self._keys, self._decide, workers=1)
        if self._progress:
            self._progress(0, len(self._keys))
        self._check_token(plans)
        results: dict[str, KeyResult | RotatorError] = {}
        # The bearer is last, so that no other call of this pass is made with a key that is going away.
        bearer = [key for key in self._keys if self._account.is_bearer(key)]
        others = [key for key in self._keys if not self._account.is_bearer(key)]
        for batch in (others, bearer):
            results |= each(batch, lambda key: self._one(key, plans), workers=self._account.concurrency)
        return tuple(_result(key, results[key.name]) for key in self._keys)

    def _decide(self, key: ManagedKey) -> Plan:
        facts = self._observation.facts[key.name]
        if isinstance(facts, RotatorError):
            if not isinstance(facts, Stopped):
                log_failure("rotation.failed", facts)
            raise facts
        plan = decide(facts)
        for orphan in facts.orphans:
            log.warning("orphan.found", key_id=orphan.id, title=orphan.title)
        for warning in plan.warnings:
            log.warning("secret.warning", error=warning)
        if plan.hold:
            log.warning("rotation.held", reason=plan.reason, hold=plan.hold)
        return plan

    def _check_token(self, plans: Mapping[str, Plan | RotatorError]) -> None:
        """Never create what cannot be stored: ask what the token may do before anything is done with it."""
        made = {key.path: plan for key in self._keys if isinstance(plan := plans[key.name], Plan)}
        if any(plan.rotates for plan in made.values()):
            self._preflight.check_token()
        if writing := [path for path, plan in made.items() if plan.writes]:
            self.actor.unfit = self._preflight.refused_paths(writing)
        if self._observation.installation is None:
            self._preflight.check_identity(self._account.state_path)

    def _one(self, key: ManagedKey, plans: Mapping[str, Plan | RotatorError]) -> KeyResult:
        facts, plan = self._observation.facts[key.name], plans[key.name]
        if isinstance(plan, RotatorError) or isinstance(facts, RotatorError):
            raise plan if isinstance(plan, RotatorError) else RotatorError("not decided")
        result = self._foretell(facts, plan) if self._dry_run else self.actor.act(facts, plan)
        with self._lock:
            self._finished += 1
            if self._progress:
                self._progress(self._finished, len(self._keys))
        return result

    def _foretell(self, facts: Facts, plan: Plan) -> KeyResult:
        """What acting would do, as far as can be known before it is tried."""
        if plan.writes and (error := self.actor.unfit.get(facts.key.path)):
            return KeyResult(facts.key, Outcome.FAILED, facts, plan, errors=(error,))
        return planned(facts, plan)


def _tell_left_out(account: Account, only: frozenset[str]) -> None:
    """Somebody asked for just these: that nothing came of one must not look like success."""
    for key in account.keys:
        if key.name in only and not account.shard.holds(key.name):
            log.warning("shard.left_out", key=key.name, shard=str(account.shard))


def _result(key: ManagedKey, seen: KeyResult | RotatorError) -> KeyResult:
    if isinstance(seen, KeyResult):
        return replace(seen, facts=seen.facts and seen.facts.without_plaintext())
    if isinstance(seen, Stopped):
        return KeyResult(key, Outcome.STOPPED)
    return KeyResult(key, Outcome.FAILED, errors=(seen,))
