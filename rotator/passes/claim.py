"""Claiming: before a key is asked for, Vault has a record of the intent. Of several rotators, one can write it."""

import secrets
from contextlib import suppress

from rotator.clients import retry
from rotator.errors import BrokenContract, Conflict, RotatorError, Transient
from rotator.passes.account import Account
from rotator.passes.fence import Moved
from rotator.passes.rotate import look_again
from rotator.rules.claims import Claim, Claims, claims_path, read_claims
from rotator.rules.facts import Facts
from rotator.rules.holds import MAX_ORPHANS
from rotator.rules.times import age, short


class _Lost(Transient):
    """Somebody else wrote the record first, or what was read of it was out of date."""


class Claiming:
    """The claim of one rotation."""

    def __init__(self, account: Account, facts: Facts) -> None:
        self._account, self._facts = account, facts
        self._path = claims_path(account.state_path, facts.key.path)
        self._claims = facts.claims
        self._written: Claim | None = None

    def claim(self) -> Claim:
        """Write the claim, and see that the secret is as it was decided on.

        Raises Moved when another rotator, or a person, was first; where a rotation was asked for, that is said. A
        claim as old as `in_flight` is taken over. It changes no key, and no secret that anybody reads.
        """
        account = self._account
        self._written = claim = retry.call(
            self._attempt,
            account.policy,
            event="vault.retry",
            sleep=account.stopping.sleep,
            again=lambda error: isinstance(error, _Lost),
        )
        try:
            look_again(account, self._facts)
        except RotatorError:
            self.end()
            raise
        return claim

    def _attempt(self) -> Claim:
        """Write a claim on top of what was read last of the record. Raises _Lost where that was not the latest."""
        facts, account = self._facts, self._account
        now = account.gateway.now()
        if pending := self._claims.pending(facts.version.number, now, facts.timing.in_flight):
            look_again(account, facts)
            if not facts.forced:
                raise Moved
            patience = short(facts.timing.in_flight)
            raise RotatorError(
                f"a claim on this key is {age(pending.at, now)}: another rotator may be making a "
                f"new key, or an earlier run was cut off",
                cure=f"see whether a new key appears within {patience}: `rotator status`; if "
                f"none does, run this again",
            )
        nonces = tuple(secrets.token_hex(4) for _ in range(MAX_ORPHANS))
        claim = Claim(facts.version.number + 1, now, nonces, without_grace=facts.without_grace)
        self._write(self._claims.adding(claim, facts.live_nonces), claim)
        return claim

    def end(self, unknown: int = 0) -> None:
        """Say that no key of it will be published: nobody waits. If that fails, they wait for `in_flight`.

        `unknown`: how many creates may have made a key.
        """
        if self._written:
            # A wait for a turn is short so, and nobody has to wait for `in_flight`.
            with self._account.stopping.committed(), suppress(RotatorError):
                self._claims = read_claims(self._account.store.read(self._path), self._path)
                ending = self._claims.ending(self._written, unknown)
                self._account.store.write(self._path, ending.to_json(), cas=ending.number)

    def _write(self, claims: Claims, claim: Claim) -> None:
        """Write the record on top of the one that was read. Where another is there, read that, and raise _Lost."""

        def attempt() -> None:
            self._account.store.write(self._path, claims.to_json(), cas=claims.number)

        try:
            retry.call(attempt, self._account.policy, event="vault.retry", sleep=self._account.stopping.sleep)
        except (Conflict, BrokenContract, Transient) as error:
            # It may be ours all the same: its answer was lost, or somebody in between sent it twice.
            self._claims = read_claims(self._account.store.read(self._path), self._path)
            if self._claims.of(claim.nonces[0]):
                return
            if not isinstance(error, Conflict):
                raise
            raise _Lost(
                f"the record at {self._path} was written by somebody else, or a standby that "
                "lags behind answered",
                ambiguous=False,
                request_id=error.request_id,
            ) from None
        self._claims = Claims(claims.number + 1, claims.kept)
