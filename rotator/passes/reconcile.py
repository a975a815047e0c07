"""One pass over an account: observe, decide, act. The same for all ways of running."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from uuid import uuid4

import structlog

from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.act import Actor, Written
from rotator.passes.by_hand import by_hand
from rotator.passes.each import Each, each
from rotator.passes.observe import Observation, observe, second_look, with_second_look
from rotator.passes.result import UNBEGUN, KeyResult, Outcome, PassResult, planned, unacted
from rotator.passes.state import PassState
from rotator.passes.stopping import NotReached, Stopped
from rotator.passes.tell import tell
from rotator.printing.log import log_failure
from rotator.rules.copies import Content
from rotator.rules.decide import Plan, decide
from rotator.rules.facts import Facts
from rotator.rules.model import ManagedKey
from rotator.rules.reasons import Reason

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
    bound = account.stopping.within(account.timing.pass_deadline.total_seconds())
    with structlog.contextvars.bound_contextvars(run_id=run_id), bound:
        log.info("reconcile.started", dry_run=dry_run, forced=forced, shard=str(account.shard))
        chosen = _chosen(account, only)
        observation = observe(
            account,
            only=[key.name for key in chosen],
            forced=forced,
            without_grace=without_grace,
            dry_run=dry_run,
        )
        state = PassState(account)
        asked = _asked(forced, without_grace)
        work = _Work(account, observation, state, asked=asked, dry_run=dry_run, progress=progress)
        keys = work.do(chosen)
        if not (dry_run or without_grace):  # what leaked is revoked by the next pass, which waits for nobody
            keys = tell(account, observation, keys)
        result = PassResult(
            run_id=run_id,
            dry_run=dry_run,
            installation=observation.installation,
            now=observation.now,
            keys=keys,
            foreign=tuple(sorted((*observation.foreign, *observation.leftovers), key=lambda key: key.id)),
            changed=state.changed,
            forced=forced,
            refused=state.refused and (state.refused.again() if forced else state.refused),
        )
        _log_finished(result, time.monotonic() - began)
    return result


class _Work:
    """The deciding and acting halves of one pass."""

    def __init__(
        self,
        account: Account,
        observation: Observation,
        state: PassState,
        *,
        asked: Callable[[str], str] | None,
        dry_run: bool,
        progress: Progress | None,
    ) -> None:
        self._account, self._observation, self._state = account, observation, state
        self._asked, self._dry_run, self._progress = asked, dry_run, progress
        self._lock, self._finished, self._total = threading.Lock(), 0, 0
        self._actor = Actor(account, observation.installation or "", state, observation.copies)
        self._second_look = cache(partial(second_look, account))

    def do(self, keys: Sequence[ManagedKey]) -> tuple[KeyResult, ...]:
        """Decide and act on these managed keys; return what came of each."""
        decided = each(keys, self._decide, workers=1)
        self._total = len(keys)
        self._show_progress()
        self._state.prepare(
            {facts.key.path: plan for facts, plan in decided.done.values()},
            identity=self._observation.installation is None,
        )
        results: dict[str, KeyResult] = {}
        failed: dict[str, RotatorError] = dict(decided.failed)
        # The bearer is last, so that no other call of this pass is made with a key that is going away.
        for is_bearer in (False, True):
            batch = {
                name: (facts, plan)
                for name, (facts, plan) in decided.done.items()
                if self._account.is_bearer(facts.key) is is_bearer
            }
            acted = self._act(batch)
            results |= acted.done
            failed |= acted.failed
        done = tuple(results.get(key.name) or unacted(key, failed[key.name]) for key in keys)
        return done if self._dry_run else self._verified(done)

    def _verified(self, results: tuple[KeyResult, ...]) -> tuple[KeyResult, ...]:
        """Hold what was revoked against a later list: a DELETE is believed when both agree."""
        try:
            left = self._account.gateway.unrevoked()
        except (Stopped, NotReached):
            return results  # the list of the next pass shows it
        except RotatorError as error:
            log_failure("key.unverified", error)
            return tuple(result.unverified(error) for result in results)
        for id_ in left:
            log.error("key.revoke_failed", key_id=id_, error="the gateway still lists it as live")
        return tuple(result.without(left) for result in results)

    def _decide(self, key: ManagedKey) -> tuple[Facts, Plan]:
        if error := self._observation.failed.get(key.name):
            if not isinstance(error, (Stopped, NotReached)):
                error = error.again(self._asked(key.name)) if self._asked else error
                log_failure("rotation.failed", error)
            raise error
        facts = self._observation.facts[key.name]
        plan = decide(facts)
        if plan.writes:
            facts = with_second_look(facts, self._second_look)
            plan = decide(facts)
        for orphan in facts.orphans:
            log.warning("orphan.found", key_id=orphan.id, title=orphan.title)
        for warning in plan.warnings:
            log.warning("secret.warning", error=warning)
        if plan.hold:
            log.warning("rotation.held", reason=plan.reason, hold=plan.hold)
        return facts, plan

    def _act(self, decided: Mapping[str, tuple[Facts, Plan]]) -> Each[KeyResult]:
        """Write for all of these keys, what is most urgent first; then revoke for all, in the same order.

        In between the copies are brought: no rotation waits for them, and what is revoked stands in none of them.
        """
        workers = self._account.concurrency
        keys = [facts.key for facts, _ in sorted(decided.values(), key=_urgency)]
        first = each(keys, lambda key: self._write(*decided[key.name]), workers=workers)
        first = Each(self._copy(keys, decided, first.done), first.failed)
        left = [key for key in keys if key.name in first.done and not first.done[key.name].over]
        then = each(left, lambda key: self._revoke(*decided[key.name], first.done[key.name]), workers=workers)
        written = {name: one.result for name, one in first.done.items() if name not in then.failed}
        return Each({**written, **then.done}, {**first.failed, **then.failed})

    def _write(self, facts: Facts, plan: Plan) -> Written:
        if self._dry_run:
            written = Written(self._foretell(facts.key, plan), over=True)
        else:
            written = self._actor.write(facts, plan)
        if written.over:
            self._count()
        return written

    def _copy(
        self,
        keys: Sequence[ManagedKey],
        decided: Mapping[str, tuple[Facts, Plan]],
        written: Mapping[str, Written],
    ) -> Mapping[str, Written]:
        """Bring the copies of these keys to what the secrets hold now. No error of a copy is one of its key."""
        contents: dict[str, Content] = {}
        for key in keys:
            if key.copies and key.name in written and not self._dry_run:
                content = self._content(decided[key.name][0], written[key.name])
                contents |= {key.name: content} if content else {}
        copied = [key for key in keys if key.name in contents]
        with self._account.stopping.within(self._account.timing.copying.total_seconds()):
            done = each(
                random.sample(copied, len(copied)),  # what is not reached must not be the same in each pass
                lambda key: self._observation.copies.bring(contents[key.name]),
                workers=self._account.concurrency,
            )
        copies = {
            key.name: done.done.get(key.name) or dict.fromkeys(key.copies, done.failed.get(key.name))
            for key in copied
        }
        return {name: one.copied(copies.get(name, {})) for name, one in written.items()}

    def _content(self, facts: Facts, written: Written) -> Content | None:
        """What the copies are to hold; None where another rotator may have written, or nothing was begun."""
        if written.result.outcome in (Outcome.YIELDED, *UNBEGUN):
            return None
        plaintext = written.proven.plaintext if written.proven else None
        return self._observation.content(facts, written.result.rotation, plaintext)

    def _revoke(self, facts: Facts, plan: Plan, written: Written) -> KeyResult:
        result = self._actor.revoke(facts, plan, written)
        self._count()
        return result

    def _count(self) -> None:
        with self._lock:
            self._finished += 1
            self._show_progress()

    def _show_progress(self) -> None:
        if self._progress:
            self._progress(self._finished, self._total)

    def _foretell(self, key: ManagedKey, plan: Plan) -> KeyResult:
        """What acting would do, as far as can be known before it is tried."""
        if error := self._state.unfit(key.path, plan):
            return replace(KeyResult.of(key, Outcome.FAILED, plan), errors=(error,))
        return planned(key, plan)


def _asked(forced: bool, without_grace: bool) -> Callable[[str], str] | None:
    """The command with which a person asked for a rotation of a key; None where nobody did."""
    return partial(by_hand, without_grace=without_grace) if forced else None


def _urgency(decided: tuple[Facts, Plan]) -> tuple[int, datetime]:
    """What comes first where a limit holds all up: keys that programs cannot use, then what is due for longest."""
    facts, plan = decided
    reasons = list(Reason)
    rank = reasons.index(plan.because.name) if plan.because and plan.rotates else len(reasons)
    return rank, facts.due_at or facts.now


def _chosen(account: Account, only: frozenset[str]) -> Sequence[ManagedKey]:
    """Return the managed keys to act on: those of the shard, and of them `only` these where there are any."""
    for key in account.keys:
        # Somebody asked for just these: that nothing came of one must not look like success.
        if key.name in only and not account.shard.holds(key.name):
            log.warning("shard.left_out", key=key.name, shard=str(account.shard))
    return [key for key in account.keys if account.shard.holds(key.name) and (not only or key.name in only)]


def _log_finished(result: PassResult, seconds: float) -> None:
    log.info(
        "reconcile.finished",
        converged=result.converged,
        rotated=result.rotated,
        revoked=result.revoked,
        failed=result.failed,
        foreign=len(result.foreign),
        installation=result.installation,
        duration_ms=round(seconds * 1000),
    )
