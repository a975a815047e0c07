"""Which witnesses each act needs that cannot be undone. Pure.

A key is revoked only when independent witnesses say so, and none says otherwise. Where one is silent, the key
lives longer and a person is told. A `Warrant` is what the gateway's client wants to see before it revokes, and it
cannot be made without its witnesses:

- *superseded*: it stood in this secret, by its title and a claim or by a version that held it; the secret holds
  another key, and that one works; it is not the bearer; the clocks agree that its grace is over, or it has none; a
  write landed on top of the version that was decided on.
- *orphan*: a claim of this Vault, on a version that it can never become any more; it is not the bearer; the clocks
  agree that it is old; a write landed on top of the version that was decided on.
- *unpublished*: this process made it a moment ago, and knows that no write of it landed, nor will.
"""

from dataclasses import dataclass, field
from typing import Final

from rotator.errors import Rejected
from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE, read_plaintext, written_as
from rotator.rules.facts import Facts
from rotator.rules.holds import clock_in_doubt
from rotator.rules.model import CreatedKey
from rotator.rules.previews import matches_preview
from rotator.rules.revocations import Revocation, Victim

_SEAL: Final = object()


@dataclass(frozen=True)
class Fence:
    """A write that landed on top of the version that was decided on: no late one can publish a victim any more."""

    version: int
    """As which it landed."""


@dataclass(frozen=True)
class Proven:
    """A plaintext that the gateway was seen to take."""

    plaintext: Secret


@dataclass(frozen=True)
class Warrant:
    """Leave to revoke one key. Only this module makes one."""

    key_id: int
    victim: str
    _seal: object = field(repr=False)

    def __post_init__(self) -> None:
        if self._seal is not _SEAL:
            raise TypeError("a warrant is made of its witnesses, by rotator.rules.evidence")


def examine(facts: Facts, revocation: Revocation, bearer: Secret, doubt: str | None) -> None:
    """Raise Rejected when a witness speaks against revoking, as far as can be told without asking or writing.

    `doubt`: why the time is not to be relied on, as of now.
    """
    victim = facts.listed[revocation.key_id]
    plaintext = read_plaintext(facts.version.data, facts.key.field)
    current = facts.current.key_id if facts.current else None
    if doubt and revocation.since != WITHOUT_GRACE:
        raise clock_in_doubt(f"{victim.id} not revoked", doubt)
    if victim.id == current or (plaintext and matches_preview(victim, plaintext)):
        raise Rejected(f"key {victim.id} is current; it was not revoked")
    if matches_preview(victim, bearer.reveal()) or facts.texts.get(victim.id) == bearer:
        raise Rejected(f"key {victim.id} is the bearer; it was not revoked")
    if (
        revocation.victim is Victim.ORPHAN
    ):  # it stands in for nothing; a superseded key may be all that its users have
        return
    if plaintext is None:
        raise Rejected(f"key {victim.id} was not revoked: nothing has taken its place")
    if matches_preview(victim, plaintext) is None and facts.texts.get(victim.id) in (None, Secret(plaintext)):
        raise Rejected(f"key {victim.id} was not revoked: its preview may be the current key's")


def fenced(facts: Facts, revocation: Revocation) -> Fence | None:
    """Return the fence that stands already: what an earlier pass wrote for this victim, with nothing on top.

    So a DELETE that has no effect does not write a version in each pass.
    """
    number = facts.version.number
    if revocation.victim is Victim.ORPHAN:
        # Claims are written to the second: of two of one moment, both must be over.
        kept = facts.claims.kept if facts.claims else ()
        versions = [claim.version for claim in kept if claim.at == revocation.since]
        return Fence(number + 1) if versions and max(versions) <= number else None
    marked = revocation.since == WITHOUT_GRACE and written_as(facts.version.data) == number
    return Fence(number + 1) if marked else None


def to_revoke(facts: Facts, revocation: Revocation, fence: Fence, proven: Proven | None) -> Warrant:
    """Return leave to revoke what was examined. Raises Rejected when a witness is missing."""
    if fence.version <= facts.version.number:
        raise Rejected(f"key {revocation.key_id} was not revoked: nothing was written since the decision")
    if revocation.victim is Victim.SUPERSEDED and proven is None:
        raise Rejected(f"key {revocation.key_id} was not revoked: its successor was not seen to work")
    return Warrant(revocation.key_id, revocation.victim, _SEAL)


def to_discard(created: CreatedKey) -> Warrant:
    """Return leave to revoke a key that this process made, and that was never published."""
    return Warrant(created.id, "unpublished", _SEAL)
