"""The acting half of a pass, one managed key at a time: rotate or note, then revoke.

Every revocation is fenced by a write: before a key is revoked, the secret must have been written on top of the very
version that was decided on, by this pass's rotation, or as it is, or empty where nothing was stored. No late write
can publish it after that.
"""

from dataclasses import replace

import structlog

from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.fence import Moved, write_on_top
from rotator.passes.result import KeyResult, Outcome
from rotator.passes.revoke import Revoker
from rotator.passes.rotate import Lost, look_again, rotate
from rotator.passes.state import PassState
from rotator.passes.stopping import Stopped
from rotator.rules.bookkeeping import Rotation
from rotator.rules.decide import Plan
from rotator.rules.facts import Facts
from rotator.rules.fates import Revocation
from rotator.rules.model import Version

log = structlog.get_logger()


class Actor:
    """Acts on the managed keys of one pass. Thread-safe."""

    def __init__(self, account: Account, installation: str, state: PassState) -> None:
        self._account, self._installation, self._state = account, installation, state

    def act(self, facts: Facts, plan: Plan) -> KeyResult:
        """Do what `plan` says, and say what came of it. Raises nothing that this program names."""
        result = KeyResult.of(facts.key, Outcome.DONE, plan)
        try:
            self._state.go_on(facts.key.path, plan)
            result = result.written(facts, self._write(facts, plan))
        except (Lost, Moved):
            log.info("rotation.yielded", reason=plan.reason)
            return replace(result, outcome=Outcome.YIELDED)
        except Stopped:
            return replace(result, outcome=Outcome.STOPPED)
        except RotatorError as error:
            self._state.failed("rotation.failed", error, reason=plan.reason)
            result = replace(result, outcome=Outcome.FAILED, errors=(*result.errors, error))
        return self._revoke(facts, plan, result)

    def _write(self, facts: Facts, plan: Plan) -> Rotation | None:
        """Rotate, or write the bookkeeping alone, or nothing; return what now stands in the secret."""
        if plan.rotates:
            self._state.check_token()
            log.info("rotation.started", reason=plan.reason)
            claimed = self._claim(facts, plan)
            rotation = rotate(self._account, claimed, self._installation, changing=self._state.changing)
            if self._account.is_bearer(facts.key):
                self._account.bearer.forget()
            return rotation
        if plan.note is None:
            return None
        self._overwrite(facts, plan)
        log.info("secret.noted", note=plan.note, key_id=plan.bookkeeping and plan.bookkeeping.key_id)
        return plan.bookkeeping

    def _claim(self, facts: Facts, plan: Plan) -> Facts:
        """Return the facts on which to rotate. Raises when another rotator, or a person, was here first.

        Of several rotators that decided the same, only one can write on top of the version that they decided on.
        The others make no key. Whoever forces a rotation wants one whatever the others do, and an empty secret in
        place of none is nothing to show to programs: there a look must be enough.
        """
        look_again(self._account, facts)
        if facts.forced or facts.version.data is None:
            return facts
        return replace(facts, version=self._overwrite(facts, plan, alone=True))

    def _revoke(self, facts: Facts, plan: Plan, result: KeyResult) -> KeyResult:
        revoker = Revoker(self._account, facts, proven=plan.rotates and result.rotation is not None)
        revoked: list[Revocation] = []
        errors = list(result.errors)
        fenced = result.rotation is not None
        for revocation in plan.revocations:
            try:
                self._state.go_on(facts.key.path, plan)
                revoker.check(revocation)
                if not fenced:
                    self._overwrite(facts, plan)
                    fenced = True
                self._state.changing()
                revoker.revoke(revocation)
            except (Moved, Stopped) as error:
                log.info("key.kept", key_id=revocation.key_id, error=error.message)
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

    def _overwrite(self, facts: Facts, plan: Plan, *, alone: bool = False) -> Version:
        """Write the secret, with its key as it is, on top of the version that was decided on; return what is there.

        Where there is none an empty one: only a version that exists keeps a late write out.
        """
        self._state.changing()
        path, number = facts.key.path, facts.version.number
        data = facts.version.data or {}
        if plan.bookkeeping:
            data = plan.bookkeeping.merged_into(data, number + 1)
        return write_on_top(self._account, path, data, of=number, alone=alone)
