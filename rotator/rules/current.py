"""Which key does the secret hold? Its bookkeeping tells or, where a person wrote it, the masked preview.

Pure. Nothing returns a plaintext a second time, so these two are the only links from a plaintext to an id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from rotator.rules.bookkeeping import Block, Rotation, read_block, read_plaintext
from rotator.rules.model import Key, ManagedKey, Version
from rotator.rules.previews import Previews, matches_preview

_FUTURE: Final = timedelta(days=7)
"""A time of the bookkeeping that lies further ahead was not written by this program.

A nearer one may be of a clock that was wrong for a while: what it dates lives longer, but not for ever.
"""
_LATE: Final = timedelta(minutes=1)
"""A write that landed so long after it was made up stood still; one that lies ahead is of another clock."""


@dataclass(frozen=True)
class Current:
    """The key whose plaintext is in the secret, as far as it can be known."""

    rotation: Rotation | None
    """None when the plaintext matches no listed key, or more than one."""
    superseded: Mapping[int, datetime]
    """The keys that the secret names as current once, each with the time since when they are not."""
    adopted: bool
    """Whether a person put it there: its bookkeeping is yet to be written."""
    faults: tuple[str, ...] = ()
    """What makes no sense of the bookkeeping that was found."""
    redated: bool = False
    """Whether a moment in the block is missing, makes no sense or lies ahead, so that another one is written."""
    rolled_back: bool = False
    """Whether a person restored an older version."""

    @property
    def key_id(self) -> int | None:
        """Its id; None when the plaintext matches no listed key, or more than one."""
        return self.rotation.key_id if self.rotation else None

    def as_rolled_back(self, now: datetime) -> "Current":
        """The same, with keys that may have been current until `now`."""
        return replace(self, superseded=dict.fromkeys(self.superseded, now), rolled_back=True)


def current_of(
    version: Version, where: ManagedKey, listed: Mapping[int, Key], previews: Previews, now: datetime
) -> Current | None:
    """Return which key the secret's plaintext is; None when there is no plaintext."""
    plaintext = read_plaintext(version.data, where.field)
    if plaintext is None:
        return None
    block = read_block(version.data, where.bookkeeping)
    together = block.version == version.number
    first = together and block.since_version == version.number
    superseded, redated = _superseded(block, version.written_at if first else None, now)
    redated = redated or (block.rotated_at is None and not block.faults)
    rotation = _rotation(block, superseded, listed, now)
    matches = previews.matching(plaintext)
    # Block and plaintext of one write belong together, unless the plaintext is known to be another key's.
    doubtful = not together or len(matches) == 1
    if rotation and not (doubtful and _pasted_over(rotation, listed, plaintext, matches)):
        return Current(rotation, superseded, adopted=False, faults=block.faults, redated=redated)
    published = {**superseded, rotation.key_id: now} if rotation else superseded
    if len(matches) != 1:
        return Current(None, published, adopted=True, faults=block.faults)
    key = matches[0]
    published = {id_: since for id_, since in published.items() if id_ != key.id}
    titles = {**block.titles, **({block.key_id: block.title} if block.key_id else {})}
    adopted = Rotation(key.id, key.title, key.created_at, min(key.created_at, now), published, titles)
    return Current(adopted, published, adopted=True, faults=block.faults)


def named_by(
    version: Version, where: ManagedKey, current: Current | None, now: datetime
) -> Mapping[int, datetime]:
    """Return what the secret names as superseded; where its plaintext is gone, the key of its block, too."""
    if current:
        return current.superseded
    block = read_block(version.data, where.bookkeeping)
    known = {id_: min(at or now, now) for id_, at in block.superseded.items()}
    return {**known, block.key_id: now} if block.key_id else known


def _rotation(
    block: Block, superseded: Mapping[int, datetime], listed: Mapping[int, Key], now: datetime
) -> Rotation | None:
    """The block with each time that makes no sense, or lies ahead, replaced by what the list says."""
    if block.key_id is None:
        return None
    key = listed.get(block.key_id)
    created_at = block.created_at or (key.created_at if key else now)
    rotated_at = block.rotated_at
    if rotated_at is None or rotated_at > now + _FUTURE:
        rotated_at = min(created_at, key.created_at if key else now, now)
    return Rotation(
        block.key_id, block.title, created_at, rotated_at, superseded, block.titles, block.since_version
    )


def _superseded(block: Block, landed: datetime | None, now: datetime) -> tuple[dict[int, datetime], bool]:
    """Since when each key is superseded, and whether any of it is not as it was written, which `landed` then.

    `landed` is None for a version that only says anew what an earlier one said.

    What cannot be told, or lies ahead, counts from now. And what the current key superseded counts from when the
    version was written: a rotator may have stood still between making up its write and sending it.
    """
    since: dict[int, datetime] = {}
    redated = False
    for id_, at in block.superseded.items():
        if at is None or at > now + _FUTURE:
            since[id_], redated = now, True
        elif landed and at == block.rotated_at and at + _LATE < landed <= now + _LATE:
            since[id_] = landed
        else:
            since[id_] = at
    return since, redated


def _pasted_over(
    rotation: Rotation, listed: Mapping[int, Key], plaintext: str, matches: Sequence[Key]
) -> bool:
    """Whether somebody put another key's plaintext over the one that the bookkeeping names."""
    key = listed.get(rotation.key_id)
    if key is None:
        return len(matches) == 1
    return matches_preview(key, plaintext) is False
