"""The acting half of a pass: rotate or note one managed key, and later revoke for it.

A pass does the first for all keys before it does the second for any: a limit on revocations holds no rotation up.

Every revocation is fenced by a write: before a key is revoked, the secret must have been written on top of the very
version that was decided on, by this pass's rotation, or as it is, or empty where nothing was stored. No late write
can publish it after that.
"""

from dataclasses import replace
from typing import NamedTuple

import structlog

from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.by_hand import asked_again
from rotator.passes.claim import Claiming
from rotator.passes.confirm import Confirmations
from rotator.passes.copy import Copied, Copies
from rotator.passes.create import Creating
from rotator.passes.fence import Frozen, Moved, Unconfirmed, write_on_top
from rotator.passes.result import KeyResult, Outcome, outcome_of
from rotator.passes.revoke import Revoker
from rotator.passes.rotate import Making, Unsettled
from rotator.passes.state import PassState
from rotator.passes.stopping import NotReached, Stopped
from rotator.rules.bookkeeping import Rotation
from rotator.rules.copies import content_of
from rotator.rules.decide import Plan
from rotator.rules.evidence import Fence, Proven, fenced, to_update
from rotator.rules.facts import Facts
from rotator.rules.revocations import Revocation, Victim

log = structlog.get_logger()


class Written(NamedTuple):
    """What came of the first half of acting on a key."""

    result: KeyResult
    proven: Proven | None = None
    """The new key, where one was stored."""
    over: bool = False
    """Whether nothing is to be revoked."""

    def copied(self, copies: Copied) -> "Written":
        """The same after the copies were brought."""
        return self._replace(result=replace(self.result, copies=copies))


class Actor:
    """Acts on the managed keys of one pass. Thread-safe."""

    def __init__(self, account: Account, installation: str, state: PassState, copies: Copies) -> None:
        self._account, self._installation, self._state = account, installation, state
        self._confirmations = Confirmations(account, copies)

    def write(self, facts: Facts, plan: Plan) -> Written:
        """Rotate or note, as `plan` says, and say what came of it. Raises nothing that this program names."""
        result, proven = KeyResult.of(facts.key, Outcome.DONE, plan), None
        try:
            self._state.go_on(facts.key.path, plan)
            made, proven = self._write(facts, plan)
            result = result.written(facts, made)
        except Moved:
            log.info("rotation.yielded", reason=plan.reason)
            return Written(replace(result, outcome=Outcome.YIELDED), over=True)
        except (Stopped, NotReached) as error:
            return Written(replace(result, outcome=outcome_of(error)), over=True)
        except RotatorError as error:
            failure = error
            if not isinstance(error, Unsettled):  # the key may be stored: another would be one too many
                failure = asked_again(error, facts.key, plan, without_grace=facts.without_grace)
            self._state.failed("rotation.failed", failure, reason=plan.reason)
            result = replace(result, outcome=Outcome.FAILED, errors=(*result.errors, failure))
        return Written(result, proven, over=not plan.revocations)

    def _write(self, facts: Facts, plan: Plan) -> tuple[Rotation | None, Proven | None]:
        """Rotate, or write the bookkeeping alone, or nothing; return what now stands in the secret."""
        if plan.rotates:
            return self._rotate(facts, plan)
        if plan.note is None:
            return None, None
        self._overwrite(facts, plan)
        log.info("secret.noted", note=plan.note, key_id=plan.bookkeeping and plan.bookkeeping.key_id)
        return plan.bookkeeping, None

    def _rotate(self, facts: Facts, plan: Plan) -> tuple[Rotation, Proven]:
        self._state.check_token()
        log.info("rotation.started", reason=plan.reason)
        claiming = Claiming(self._account, facts)
        claim = claiming.claim()
        creating = Creating(self._account, facts, self._installation, claim, changing=self._state.changing)
        try:
            made = Making(self._account, facts, creating).rotate()
        except Unsettled:
            raise
        except RotatorError:
            claiming.end(creating.unknown)
            raise
        if self._account.is_bearer(facts.key):
            self._account.bearer.forget()
        return made

    def revoke(self, facts: Facts, plan: Plan, written_before: Written) -> KeyResult:
        """Revoke what `plan` says, after `write`. Raises nothing that this program names."""
        result, proven, over = written_before
        if over:
            return result
        revoker = Revoker(self._account, facts, proven)
        revoked: list[Revocation] = []
        errors = list(result.errors)
        written = Fence(facts.version.number) if result.rotation else None
        for revocation in plan.revocations:
            try:
                self._state.go_on(facts.key.path, plan)
                revoker.check(revocation)
                fence = written or fenced(facts, revocation)
                if fence is None:
                    self._yield_to_another(facts)
                    fence = written = self._overwrite(facts, plan)
                self._look_again(facts, revocation, fence, written_before)
                self._state.changing()
                revoker.revoke(revocation, fence)
            except (Moved, Stopped, NotReached) as error:
                log.info("key.kept", key_id=revocation.key_id, error=error.message)
                if isinstance(error, NotReached):
                    result = replace(result, outcome=outcome_of(error))
                break
            except RotatorError as error:
                self._state.failed(
                    "key.revoke_failed", error, key_id=revocation.key_id, reason=revocation.victim
                )
                if error not in errors:
                    errors.append(error)
            else:
                revoked.append(revocation)
        return replace(result, revoked=tuple(revoked), errors=tuple(errors))

    def _look_again(self, facts: Facts, revocation: Revocation, fence: Fence, written: Written) -> None:
        """Raise Moved if a superseded key may be back by now, or if people or consumers want it to stay by now.

        `written`: what this pass has put into the secret. What leaked waits for no read, unless an earlier pass
        wrote the fence.
        """
        stands = fence.key_id is not None
        leaked = facts.is_leaked(revocation.key_id, revocation.since)
        if revocation.victim is Victim.ORPHAN or (leaked and not stands):
            return
        latest = self._account.store.read(facts.key.path)
        if latest.number > facts.version.number + (not stands) or (stands and latest != facts.version):
            raise Moved
        # What was written since is ours: only what people say beside it may be new.
        seen = replace(facts, version=replace(facts.version, custom=latest.custom))
        if seen.revocation_frozen_until(revocation.key_id, revocation.since):
            raise Frozen
        self._ask_consumers(seen, revocation, written)

    def _ask_consumers(self, facts: Facts, revocation: Revocation, written: Written) -> None:
        """Raise Unconfirmed if a consumer may use the key by now: the pass may have taken long until here."""
        id_, since = revocation.key_id, revocation.since
        if not facts.key.consumers or not facts.awaits(id_, since) or facts.limit_of(id_, since) <= facts.now:
            return
        made, plaintext = written.result.rotation, written.proven.plaintext if written.proven else None
        newest = content_of(facts, self._installation, made, plaintext)
        before = content_of(facts, self._installation)
        seen = replace(facts, acks=self._confirmations.of(facts.key, newest, before))
        waiting = seen.unconfirmed(id_, since, newest=made.key_id if made else None)
        if waiting:
            raise Unconfirmed("; ".join(f"{name} {why}" for name, why in waiting.items()))

    def _yield_to_another(self, facts: Facts) -> None:
        """Raise Moved while another rotator may be about to store a key: a write of ours would undo its work."""
        if facts.pending(self._account.gateway.now()):
            raise Moved

    def _overwrite(self, facts: Facts, plan: Plan) -> Fence:
        """Write the secret, with its key as it is, on top of the version that was decided on.

        Where there is none an empty one: only a version that exists keeps a late write out.
        """
        update = to_update(facts, plan.bookkeeping, self._account.gateway.clock.doubt)
        self._state.changing()
        return write_on_top(self._account, facts.key.path, update, alone=False)
