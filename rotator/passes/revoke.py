"""One revocation: its witnesses are gathered, then the gateway is asked."""

import structlog

from rotator.errors import Rejected
from rotator.passes.account import Account
from rotator.redaction import Secret
from rotator.rules.evidence import Fence, Proven, examine, to_revoke
from rotator.rules.facts import Facts
from rotator.rules.revocations import Revocation, Victim

log = structlog.get_logger()


class Revoker:
    """Revokes victims of one managed key."""

    def __init__(self, account: Account, facts: Facts, proven: Proven | None) -> None:
        """`proven`: the key that this pass put into the secret; None where it put none there."""
        self._account, self._facts, self._proven = account, facts, proven

    def check(self, revocation: Revocation) -> None:
        """Raise Rejected when the victim must not be revoked, as far as can be told without a write."""
        account = self._account
        examine(self._facts, revocation, account.bearer.current(), account.gateway.clock.doubt)
        plaintext = Secret(self._facts.plaintext or "")
        if revocation.victim is Victim.SUPERSEDED and self._proven is None and plaintext:
            current = self._facts.key_id
            if self._facts.omitted or (current and self._facts.is_revoked(current)):
                raise Rejected(
                    f"key {revocation.key_id} was not revoked: its successor, key {current}, is not listed as live",
                    cure="rotate this managed key with --rotate-now --key; if the list is wrong, "
                    "ask the gateway's support",
                )
            probe = account.gateway.authenticates(plaintext)
            if not probe.works:
                raise Rejected(
                    f"key {revocation.key_id} was not revoked: the gateway refuses the key that the secret holds",
                    request_id=probe.request_id,
                    cure="rotate this managed key with --rotate-now --key, or put a working key into the secret",
                )
            self._proven = Proven(plaintext)

    def revoke(self, revocation: Revocation, fence: Fence) -> None:
        """Revoke one key that was checked, and fenced."""
        self._account.gateway.revoke(to_revoke(self._facts, revocation, fence, self._proven))
        log.info("key.revoked", key_id=revocation.key_id, reason=revocation.victim)
