"""What a copy of a current key holds, and whether what stands in its place may be written over. Pure.

A copy is a secret in another Vault, mount or namespace, with the plaintext and a block that says what it is a copy
of. One authority stays: nothing is ever taken from a copy but what it proves by itself, that it holds the key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.errors import RETRIED, Rejected
from rotator.redaction import Secret
from rotator.rules import claims, consumers, installation
from rotator.rules.bookkeeping import COPY_OF, Rotation, managed_by, read_block
from rotator.rules.consumers import Ack
from rotator.rules.facts import Facts
from rotator.rules.model import CopyTarget, ManagedKey, Version
from rotator.rules.times import age, format_time, moment, parse_time

COPIED_AT: Final = "copied_at"
_RECORDS: Final = (
    {installation.FIELD, installation.BOUND},
    {claims.FIELD},
    {consumers.FIELD, consumers.EVENT},
)
"""The fields of what else a rotator keeps in Vault, or is told there."""
_AHEAD: Final = timedelta(hours=1)
"""A copy that is dated further ahead was not written by another instance, even during a pass of ours."""


@dataclass(frozen=True)
class Content:
    """What a copy is to hold: the key that stands in the secret, as far as is known."""

    key: ManagedKey
    key_id: int
    rotated_at: datetime
    plaintext: Secret
    origin: str
    """`INSTALLATION:PATH`, which nothing else in any Vault is a copy of."""
    now: datetime
    """When the secret was read, by the gateway's clock."""
    settled_after: timedelta
    """So long after a rotation a read of the secret may miss it."""
    longest_pass: timedelta
    """So long ago may be `now`."""
    superseded: Mapping[int, datetime] = field(default_factory=dict)
    """Since when the secret does not hold earlier keys."""
    doubt: bool = False
    """Whether the time is not to be relied on."""

    def block(self, late: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bookkeeping of a copy. `late`: its `copied_at`, if it has one."""
        return {
            "key_id": self.key_id,
            "rotated_at": format_time(self.rotated_at),
            COPY_OF: self.origin,
            **late,
        }

    def copied_now(self) -> dict[str, Any]:
        """Return `copied_at` for now: nothing where the clocks differ, until a pass whose clocks agree."""
        return {COPIED_AT: None if self.doubt else format_time(self.now)}

    def is_late(self, before: int | None) -> bool:
        """Whether the key that a copy held `before` was replaced long ago.

        Where it is not known which one that was, its programs may have any that the secret names.
        """
        since = self.superseded.get(before or 0) or min(self.superseded.values(), default=None)
        return since is not None and (self.doubt or self.now - since > self.settled_after)

    def begun(self, block: Mapping[str, Any]) -> datetime | None:
        """Return when the grace of a copy's programs began, while it lasts and if its block says so."""
        try:
            at = parse_time(str(block.get(COPIED_AT)))
        except ValueError:
            return None
        return at if self.now - self.key.grace_period < at <= self.now + _AHEAD else None


def content_of(
    facts: Facts, of: str | None, made: Rotation | None = None, plaintext: Secret | None = None
) -> Content | None:
    """Return what the copies are to hold; None where it is not known which key is current, or it does not work.

    `of`: this installation. `made`, `plaintext`: the bookkeeping that has been written since, and the new key where
    one was made.
    """
    rotation = made or facts.rotation
    text = plaintext or (Secret(facts.plaintext) if facts.plaintext else None)
    if of is None or rotation is None or text is None or (facts.refused and plaintext is None):
        return None
    return Content(
        facts.key,
        rotation.key_id,
        rotation.rotated_at,
        text,
        origin_of(of, facts.key.path),
        facts.now,
        facts.timing.orphan_after,
        facts.timing.pass_deadline,
        _superseded(facts, rotation),
        doubt=facts.doubt is not None,
    )


def _superseded(facts: Facts, rotation: Rotation) -> Mapping[int, datetime]:
    """Since when the secret does not hold earlier keys: the one that was just replaced, since now."""
    replaced = {} if facts.key_id in (None, rotation.key_id) else {facts.key_id: facts.now}
    return {**facts.superseded, **replaced}


def to_copy(there: Version, content: Content) -> Mapping[str, Any] | None:
    """Return what is to be written on top of what is `there`; None where that is the copy already.

    Raises Rejected for something that is not ours to write over, and for the copy of a key that may be newer.
    """
    data, key = there.data or {}, content.key
    raise_unless_ours(data, key, content.origin, content.plaintext)
    text, block = content.plaintext.reveal(), data.get(key.bookkeeping)
    before = block if isinstance(block, dict) else {}
    if data.get(key.field) == text and before.get("key_id") == content.key_id:
        undated = COPIED_AT in before and before[COPIED_AT] is None
        same = content.block(
            content.copied_now()
            if undated
            else {name: before[name] for name in [COPIED_AT] if name in before}
        )
        same |= {"rotated_at": before.get("rotated_at")} if content.doubt else {}
        return None if before == same else {**data, key.bookkeeping: same}
    read = read_block(data, key.bookkeeping)
    dated = read.rotated_at
    newest = max(content.rotated_at, content.now - content.settled_after)
    if dated and newest < dated <= content.now + content.longest_pass + _AHEAD:
        raise Rejected(
            f"it holds a key that became current {age(dated, content.now)}, later than the one that was read here: "
            "another instance may have rotated the key",
            cure=RETRIED,
        )
    late = content.copied_now() if content.is_late(read.key_id) else {}
    if not late and content.begun(before):  # of the key before this one
        late = {COPIED_AT: before[COPIED_AT]}
    return {**data, key.field: text, key.bookkeeping: content.block(late)}


def confirmed_by(there: Version, content: Content) -> Ack:
    """Return what a copy confirms that holds the key: not yet that, where it got the key late.

    Its programs may have read the earlier one until then, and have their grace from then on.
    """
    block = (there.data or {}).get(content.key.bookkeeping)
    if isinstance(block, dict) and COPIED_AT in block:
        if block[COPIED_AT] is None:
            return Ack(fault=f"got key {content.key_id} in its copy while the clocks differed")
        if began := content.begun(block):
            return Ack(fault=f"has had key {content.key_id} in its copy only since {moment(began)}")
    return Ack(content.key_id)


def holds(there: Version, content: Content) -> str:
    """Say in words what stands in place of the copy that should be there. It holds no secret."""
    if there.data is None:
        return "it is empty"
    id_ = read_block(there.data, content.key.bookkeeping).key_id
    return (
        f"it holds key {id_}" if id_ and id_ != content.key_id else f"it does not hold key {content.key_id}"
    )


def place_of(target: CopyTarget) -> str:
    """Name a target as the config does."""
    return f"{target.path} in {target.vault}"


def origin_of(of: str | None, path: str) -> str:
    """Return what the copies of the secret at `path` say that they are copies of; `of`: this installation."""
    return f"{of}:{path}"


def raise_unless_ours(
    data: Mapping[str, Any], key: ManagedKey, origin: str, plaintext: Secret | None
) -> None:
    """Raise Rejected unless what is there is our copy, or the same `plaintext` that a person put there."""
    block, text = data.get(key.bookkeeping), data.get(key.field)
    if isinstance(block, dict) and block.get(COPY_OF) == origin:
        return
    if isinstance(block, dict) and COPY_OF in block:
        raise Rejected(
            "it is the copy of another secret, or of another installation's; nothing was written over it",
            cure="name another path for this copy; or delete that secret, and the next pass writes it anew",
        )
    if managed_by(data) or any(data and data.keys() <= record for record in _RECORDS):
        raise Rejected(
            "another rotator, or this one under another address, keeps a key or its records there; nothing was "
            "written over it",
            cure="name another path for this copy: one secret has one rotator",
        )
    if block is not None or text not in (None, plaintext and plaintext.reveal()):
        raise Rejected(
            f"its field {key.bookkeeping if block is not None else key.field} holds something that the rotator did "
            "not write; nothing was written over it",
            cure="name another path for this copy; or remove that field, and the next pass writes it",
        )
