"""One revocation, and what must be true of its victim."""

import structlog

from rotator.errors import Rejected
from rotator.passes.account import Account
from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE, read_plaintext
from rotator.rules.facts import Facts
from rotator.rules.fates import Revocation, Victim
from rotator.rules.holds import clock_in_doubt
from rotator.rules.model import Key
from rotator.rules.previews import matches_preview

log = structlog.get_logger()


class Revoker:
    """Revokes victims of one managed key. `proven`: the key that the secret now holds was seen to work."""

    def __init__(self, account: Account, facts: Facts, *, proven: bool) -> None:
        self._account, self._facts = account, facts
        self._current = facts.current.key_id if facts.current else None
        self._plaintext = read_plaintext(facts.version.data, facts.key.field)
        self._proven = proven

    def check(self, revocation: Revocation) -> None:
        """Raise Rejected when the victim must not be revoked, as far as can be told without a write."""
        victim = self._facts.listed[revocation.key_id]
        doubt = self._account.gateway.clock.doubt
        if doubt and revocation.since != WITHOUT_GRACE:
            raise clock_in_doubt(f"{victim.id} not revoked", doubt)
        if victim.id == self._current or (self._plaintext and matches_preview(victim, self._plaintext)):
            raise Rejected(f"key {victim.id} is current; it was not revoked")
        if matches_preview(victim, self._account.bearer.current().reveal()):
            raise Rejected(f"key {victim.id} is the bearer; it was not revoked")
        # An orphan stands in for nothing. A superseded key may be all that its users have.
        if revocation.victim is Victim.SUPERSEDED:
            self._prove_replaced(victim)

    def revoke(self, revocation: Revocation) -> None:
        """Revoke one key that was checked, and fenced."""
        self._account.gateway.revoke(revocation.key_id)
        log.info("key.revoked", key_id=revocation.key_id, reason=revocation.victim)

    def _prove_replaced(self, victim: Key) -> None:
        """Raise Rejected unless the secret holds another key, and that one works."""
        if self._plaintext is None:
            raise Rejected(f"key {victim.id} was not revoked: nothing has taken its place")
        if matches_preview(victim, self._plaintext) is None and not self._was_another(victim):
            raise Rejected(f"key {victim.id} was not revoked: its preview may be the current key's")
        if self._proven:
            return
        probe = self._account.gateway.authenticates(Secret(self._plaintext))
        if not probe.works:
            raise Rejected(
                f"key {victim.id} was not revoked: the gateway refuses the key that the secret holds",
                request_id=probe.request_id,
                cure="rotate this managed key with --rotate-now --key, or put a working key into the secret",
            )
        self._proven = True

    def _was_another(self, victim: Key) -> bool:
        """Whether the version that published the victim is still there, and held another plaintext."""
        title = self._account.titles.parse(victim.title)
        became = title.version(self._facts.version.number) if title else None
        if became is None:
            return False
        published = self._account.store.read(self._facts.key.path, became)
        stored = read_plaintext(published.data, self._facts.key.field)
        return stored is not None and stored != self._plaintext
