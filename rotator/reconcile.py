"""One pass over an account: observe, decide, act. The same for all three ways of running."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import uuid4

import structlog

from rotator import retry
from rotator.account import Account
from rotator.bookkeeping import Rotation
from rotator.decide import Facts, Plan, Revocation, decide
from rotator.errors import Conflict, Denied, RotatorError
from rotator.model import ManagedKey
from rotator.observe import Observation, observe
from rotator.pool import each
from rotator.preflight import Preflight
from rotator.result import Action, KeyResult, Outcome, PassResult, action_of
from rotator.revoke import Moved, revoke
from rotator.rotate import Lost, rotate
from rotator.stopping import Stopped

Progress = Callable[[int, int], None]
"""Told how many of how many managed keys are done."""

log = structlog.get_logger()


def reconcile(
    account: Account,
    *,
    only: frozenset[str] = frozenset(),
    forced: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PassResult:
    """Make one pass. `only` names the managed keys to act on; empty means all.

    Raises what kept it from observing, or the Vault token from being fit; then nothing was changed.
    """
    run_id, began = uuid4().hex[:12], time.monotonic()
    with structlog.contextvars.bound_contextvars(run_id=run_id):
        log.info("reconcile.started", dry_run=dry_run, forced=forced)
        observation = observe(account, forced=forced, dry_run=dry_run)
        chosen = [key for key in account.keys if not only or key.name in only]
        work = _Pass(account, observation, chosen, dry_run=dry_run, progress=progress)
        result = PassResult(
            run_id=run_id,
            dry_run=dry_run,
            installation=observation.installation,
            now=observation.now,
            keys=work.run(),
            strangers=observation.strangers,
            refused=work.refused,
        )
        _log_finished(result, began)
    return result


class _Pass:
    """The acting half of one pass."""

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
        self._unfit: Mapping[str, RotatorError] = {}
        self._lock, self._finished = threading.Lock(), 0
        self.refused: RotatorError | None = None

    def run(self) -> tuple[KeyResult, ...]:
        plans = self._plans()
        rotating = [key.path for key in self._keys if (plan := plans.get(key.name)) and plan.rotates]
        if rotating:
            self._preflight.check_token()
            self._unfit = self._preflight.refused_paths(rotating)
        results: dict[str, KeyResult | RotatorError] = {}
        # The bearer is last, so that no other call of this pass is made with a key that is going away.
        bearer = [key for key in self._keys if self._account.is_bearer(key)]
        others = [key for key in self._keys if not self._account.is_bearer(key)]
        for batch in (others, bearer):
            results |= each(batch, lambda key: self._one(key, plans), workers=self._account.concurrency)
        return tuple(_result(key, results[key.name]) for key in self._keys)

    def _plans(self) -> dict[str, Plan]:
        plans = {}
        for key in self._keys:
            facts = self._observation.facts[key.name]
            with structlog.contextvars.bound_contextvars(key=key.name):
                if isinstance(facts, RotatorError):
                    _log_failure("rotation.failed", facts)
                else:
                    plans[key.name] = decide(facts)
                    _log_decision(facts, plans[key.name])
        return plans

    def _one(self, key: ManagedKey, plans: Mapping[str, Plan]) -> KeyResult:
        facts = self._observation.facts[key.name]
        if isinstance(facts, RotatorError):
            result = _result(key, facts)
        elif self._dry_run:
            result = self._foretell(facts, plans[key.name])
        else:
            result = self._act(facts, plans[key.name])
        with self._lock:
            self._finished += 1
            if self._progress:
                self._progress(self._finished, len(self._keys))
        return result

    def _foretell(self, facts: Facts, plan: Plan) -> KeyResult:
        """What `_act` would do, as far as can be known before it is tried."""
        error = self._unfit.get(facts.key.path)
        return KeyResult(
            facts.key,
            Outcome.FAILED if error else Outcome.PLANNED,
            facts,
            plan,
            revoked=plan.revocations,
            warnings=plan.warnings,
            errors=(error,) if error else (),
        )

    def _act(self, facts: Facts, plan: Plan) -> KeyResult:
        result = KeyResult(facts.key, Outcome.DONE, facts, plan, warnings=plan.warnings)
        version = facts.version.number
        try:
            self._go_on()
            rotation = self._write(facts, plan)
        except (Lost, Conflict):
            log.info("rotation.held", reason=plan.reason, hold="yielded")
            return replace(result, outcome=Outcome.YIELDED)
        except Stopped:
            return replace(result, outcome=Outcome.STOPPED)
        except RotatorError as error:
            self._give_up_on(error)
            _log_failure("rotation.failed", error, reason=plan.reason)
            result = replace(result, outcome=Outcome.FAILED, errors=(error,))
        else:
            if rotation:
                version += 1
            result = replace(result, rotation=rotation)
        return self._revoke(facts, plan, version, result)

    def _write(self, facts: Facts, plan: Plan) -> Rotation | None:
        """Rotate, or write the bookkeeping alone, or nothing; return what now stands in the secret."""
        account = self._account
        if plan.rotates:
            if error := self._unfit.get(facts.key.path):
                raise error
            self._preflight.check_token()
            log.info("rotation.started", reason=plan.reason)
            published = rotate(account, facts, self._observation.installation or "")
            if account.is_bearer(facts.key):
                account.bearer.forget()
            return published
        if plan.bookkeeping:
            data = plan.bookkeeping.beside(facts.version.data or {})
            retry.call(
                # Should the first of two writes have landed, the second one meets a conflict and yields.
                lambda: account.store.write(facts.key.path, data, cas=facts.version.number),
                account.policy,
                event="vault.retry",
                sleep=account.stopping.sleep,
            )
            log.info("secret.noted", note=plan.note, key_id=plan.bookkeeping.key_id)
        return plan.bookkeeping

    def _revoke(self, facts: Facts, plan: Plan, version: int, result: KeyResult) -> KeyResult:
        revoked: list[Revocation] = []
        errors = list(result.errors)
        for revocation in plan.revocations:
            try:
                self._go_on()
                revoke(self._account, facts, revocation, version=version)
            except (Moved, Stopped) as error:
                log.info("key.kept", key_id=revocation.key_id, error=error.message)
            except RotatorError as error:
                self._give_up_on(error)
                _log_failure("key.revoke_failed", error, key_id=revocation.key_id, reason=revocation.victim)
                errors.append(error)
            else:
                revoked.append(revocation)
        return replace(result, revoked=tuple(revoked), errors=tuple(errors))

    def _go_on(self) -> None:
        """Raise when nothing new may be begun: asked to stop, or the bearer was refused."""
        self._account.stopping.check()
        if self.refused:
            raise self.refused

    def _give_up_on(self, error: RotatorError) -> None:
        if isinstance(error, Denied):
            self.refused = error


def _result(key: ManagedKey, seen: KeyResult | RotatorError) -> KeyResult:
    if isinstance(seen, KeyResult):
        return seen
    if isinstance(seen, Stopped):
        return KeyResult(key, Outcome.STOPPED)
    return KeyResult(key, Outcome.FAILED, errors=(seen,))


def _log_decision(facts: Facts, plan: Plan) -> None:
    for orphan in facts.orphans:
        log.warning("orphan.found", key_id=orphan.id, title=orphan.title)
    for warning in plan.warnings:
        log.warning("secret.warning", error=warning)
    if plan.hold:
        log.warning("rotation.held", reason=plan.reason, hold=plan.hold)


def _log_failure(event: str, error: RotatorError, **fields: object) -> None:
    log.error(event, error=error.message, request_id=error.request_id, cure=error.cure, **fields)


def _log_finished(result: PassResult, began: float) -> None:
    acted = [key for key in result.keys if key.outcome is Outcome.DONE and key.plan]
    log.info(
        "reconcile.finished",
        converged=result.converged,
        rotated=sum(action_of(key.plan) is Action.ROTATE for key in acted if key.plan),
        revoked=sum(len(key.revoked) for key in result.keys),
        failed=sum(key.failed for key in result.keys),
        foreign=len(result.strangers),
        duration_ms=round((time.monotonic() - began) * 1000),
    )
