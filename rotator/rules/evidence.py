"""Which witnesses each act needs that cannot be undone. Pure.

Such an act is done only when independent witnesses ask for it, and none speaks against it. Where one is silent, the
key lives longer and a person is told. What the clients want to see before they act cannot be made without them.

A `Warrant`, to revoke:

- *superseded*: it stood in this secret, by its title and a claim or by a version that held it; the secret holds
  another key, and that one works; it is not the bearer; the clocks agree that its grace is over, or it has none; a
  write landed on top of the version that was decided on.
- *orphan*: a claim of this Vault, on a version that it can never become any more; it is not the bearer; the clocks
  agree that it is old; a write landed on top of the version that was decided on.
- *named*: a person named it by its id, and confirmed its title; the list and every secret, looked at before and
  after, agree that nothing of this Vault needs it; it is older than what is about to be published; where its title
  is of a managed key, a write landed on top of the version that was decided on.
- *unpublished*: this process made it a moment ago, by the answer and by the list, and knows that no write of it
  landed, nor will.

An `Update`, to write over a secret:

- *another plaintext*: the gateway was seen to take it; by check-and-set, what it replaces is what was read.
- *a key is forgotten*: two lists agree that it is gone.
- *a key is dated otherwise*: the clocks agree; else no moment is written for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rotator.errors import Rejected
from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE, Block, Rotation
from rotator.rules.facts import Facts
from rotator.rules.holds import clock_in_doubt
from rotator.rules.model import CreatedKey, Key
from rotator.rules.previews import matches_preview
from rotator.rules.prune import Sight, Word, spared
from rotator.rules.revocations import Revocation, Victim
from rotator.rules.titles import resembles

_SEAL: Final = object()


@dataclass(frozen=True)
class Fence:
    """A write landed on top of `version`: what was decided on that one, or before, can no longer be stored."""

    version: int
    key_id: int | None = None
    """The one victim that it holds for, where an earlier pass wrote it; None where this pass did."""


@dataclass(frozen=True)
class Proven:
    """A plaintext that the gateway was seen to take."""

    plaintext: Secret


@dataclass(frozen=True)
class _Sealed:
    """Leave to do what cannot be undone. Only this module gives it."""

    _seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._seal is not _SEAL:
            raise TypeError(f"leave is given on evidence, by {__name__}")


@dataclass(frozen=True)
class Warrant(_Sealed):
    """Leave to revoke one key."""

    key_id: int


@dataclass(frozen=True)
class Update(_Sealed):
    """Leave to write a secret on top of one version of it."""

    data: Mapping[str, Any] = field(repr=False)
    of: int
    """The version that was decided on: check-and-set compares it."""


def examine(facts: Facts, revocation: Revocation, bearer: Secret, doubt: str | None) -> None:
    """Raise Rejected when a witness speaks against revoking, as far as can be told without asking or writing.

    `doubt`: why the time is not to be relied on, as of now.
    """
    victim = facts.listed[revocation.key_id]
    plaintext, current = facts.plaintext, facts.key_id
    texts = facts.texts.get(victim.id, frozenset())
    if doubt and revocation.since != WITHOUT_GRACE:
        raise clock_in_doubt(f"{victim.id} not revoked", doubt)
    if victim.id == current or (plaintext and matches_preview(victim, plaintext)):
        raise Rejected(f"key {victim.id} is current; it was not revoked")
    if matches_preview(victim, bearer.reveal()) or bearer in texts:
        raise Rejected(f"key {victim.id} is the bearer; it was not revoked")
    if revocation.victim is Victim.ORPHAN:
        return
    if plaintext is None:
        raise Rejected(f"key {victim.id} was not revoked: nothing has taken its place")
    if matches_preview(victim, plaintext) is None and (not texts or Secret(plaintext) in texts):
        raise Rejected(f"key {victim.id} was not revoked: by its preview, it may be the current key")


def fenced(facts: Facts, revocation: Revocation) -> Fence | None:
    """Return the fence that stands already: what an earlier pass wrote for this victim, with nothing on top.

    So a DELETE that has no effect does not write a version in each pass. That a superseded key was not put back
    since, another read must say; of an orphan nobody holds the plaintext.
    """
    number = facts.version.number
    if revocation.victim is Victim.ORPHAN:
        # Claims are written to the second: of two of one moment, both must be over.
        versions = [claim.version for claim in facts.claims.kept if claim.at == revocation.since]
        stands = max(versions, default=number + 1) <= number
    else:
        stands = revocation.since == WITHOUT_GRACE and facts.block.version == number
    return Fence(number, revocation.key_id) if stands else None


def to_revoke(facts: Facts, revocation: Revocation, fence: Fence, proven: Proven | None) -> Warrant:
    """Return leave to revoke what was examined. Raises Rejected when a witness is missing."""
    if fence.version != facts.version.number or fence.key_id not in (None, revocation.key_id):
        raise Rejected(f"key {revocation.key_id} was not revoked: nothing was written after the decision")
    if revocation.victim is Victim.SUPERSEDED and proven is None:
        raise Rejected(f"key {revocation.key_id} was not revoked: its successor was not seen to work")
    return Warrant(_SEAL, revocation.key_id)


def to_discard(created: CreatedKey, listed: Key | None, sent: str) -> Warrant:
    """Return leave to revoke a key that this process made, and that was never published.

    `listed`: the key of its id; `sent`: its title as it was asked for. Raises Rejected unless the list shows it.
    """
    if listed is None:
        raise Rejected(f"key {created.id} is not listed yet; a later pass revokes it")
    fits = matches_preview(listed, created.plaintext.reveal())
    if not resembles(listed.title, sent) or fits is False or (fits is None and listed.title != sent):
        raise Rejected(f"key {created.id} was not revoked: the list says that it is somebody else's")
    return Warrant(_SEAL, created.id)


def to_prune(word: Word, looks: tuple[Sight, Sight], fence: Fence | None, fenced_by: Facts | None) -> Warrant:
    """Return leave to revoke an unmanaged key by a person's word. Raises Rejected when a witness is missing.

    `looks`: before the word was given, and after. `fenced_by`: the managed key whose name its title has, if any.
    """
    for sight in looks:
        if why := spared(sight, word):
            raise Rejected(f"key {word.key_id} was not revoked: {why[1]}")
    if fenced_by and (fence is None or fence.version != fenced_by.version.number):
        raise Rejected(f"key {word.key_id} was not revoked: nothing was written since the decision")
    return Warrant(_SEAL, word.key_id)


def to_update(
    facts: Facts, rotation: Rotation | None, doubt: str | None, proven: Proven | None = None
) -> Update:
    """Return leave to write the secret with this bookkeeping, and with another plaintext where one is `proven`.

    Without bookkeeping it is written as it is. Raises Rejected when a witness is missing.
    """
    data, number = dict(facts.version.data or {}), facts.version.number
    if proven:
        data[facts.key.field] = proven.plaintext.reveal()
    if rotation is None:
        return Update(_SEAL, data, number)
    if forgotten := facts.block.named - rotation.named - (facts.gone or set()):
        ids = ", ".join(map(str, sorted(forgotten)))
        raise Rejected(f"nothing was written: key {ids} would be forgotten, and no second list was asked")
    guessed = _dated_anew(facts, rotation, facts.block) if doubt else frozenset()
    if any(rotation.superseded.get(id_) == WITHOUT_GRACE for id_ in guessed):
        raise clock_in_doubt("nothing was written", doubt)
    return Update(
        _SEAL, rotation.merged_into(data, number + 1, facts.key.bookkeeping, undated=guessed), number
    )


def _dated_anew(facts: Facts, rotation: Rotation, block: Block) -> frozenset[int]:
    """Return the keys with a moment that the secret does not say yet, and that no operator asked for."""
    said = dict(block.superseded)
    if block.key_id:
        said[block.key_id] = block.rotated_at
    asked = {WITHOUT_GRACE} if facts.without_grace else set()
    dates = {**rotation.superseded, rotation.key_id: rotation.rotated_at}
    return frozenset(id_ for id_, at in dates.items() if at not in {said.get(id_), *asked})
