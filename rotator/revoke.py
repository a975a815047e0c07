"""One revocation, against the secret as it is now and not as it was observed.

A key dies only when the secret has not moved since the decision, and the other key it holds was seen to work.
"""

import structlog

from rotator.account import Account
from rotator.bookkeeping import could_be, read_plaintext, rotation_or_none
from rotator.decide import Facts, Revocation, Victim
from rotator.errors import Rejected, RotatorError
from rotator.redaction import Secret

log = structlog.get_logger()


class Moved(RotatorError):  # noqa: N818
    """The secret is not what the decision was made on; the next pass decides anew."""

    def __init__(self) -> None:
        super().__init__("the secret was written since the decision; the next pass decides anew")


def revoke(account: Account, facts: Facts, revocation: Revocation, *, version: int) -> None:
    """Revoke one key, provided that the secret's latest version is still `version`. Raises Moved if not."""
    account.stopping.check()
    _check(account, facts, revocation, version)
    account.gateway.revoke(revocation.key_id)
    log.info("key.revoked", key_id=revocation.key_id, reason=revocation.victim)


def _check(account: Account, facts: Facts, revocation: Revocation, version: int) -> None:
    now = account.store.read(facts.key.path)
    if now.number != version:
        raise Moved
    plaintext = read_plaintext(now.data, facts.key.field)
    if plaintext is None:
        # An orphan stands in for nothing. A superseded key may be all that its users have.
        if revocation.victim is not Victim.ORPHAN:
            raise Moved
        return
    victim = facts.listed[revocation.key_id]
    rotation = rotation_or_none(now.data)
    if (rotation and rotation.key_id == victim.id) or could_be(victim, plaintext):
        raise Rejected(f"key {victim.id} is current; it was not revoked")
    if could_be(victim, account.bearer.current().reveal()):
        raise Rejected(f"key {victim.id} is the bearer; it was not revoked")
    if not account.gateway.authenticates(Secret(plaintext)):
        raise Rejected(
            f"key {victim.id} was not revoked: the gateway refuses the key that replaced it",
            cure="rotate this managed key with --rotate-now --key, or put a working key into the secret",
        )
