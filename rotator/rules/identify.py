"""Which key does the secret hold? Its bookkeeping tells or, where a person wrote it, the masked preview.

Pure. Nothing returns a plaintext a second time, so these two are the only links from a plaintext to an id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from rotator.rules.bookkeeping import NonsenseError, Rotation, read_plaintext, read_rotation
from rotator.rules.model import Key, Version
from rotator.rules.previews import Previews, matches_preview

_FUTURE: Final = timedelta(hours=1)
"""A time of the bookkeeping that lies further ahead than this was not written by this program."""


@dataclass(frozen=True)
class Current:
    """The key whose plaintext is in the secret, as far as it can be known."""

    rotation: Rotation | None
    """None when the plaintext fits no listed key, or several."""
    superseded: Mapping[int, datetime]
    """The keys that the secret names as current once, each with the time since when they are not."""
    adopted: bool
    """Whether a person put it there: its bookkeeping is yet to be written."""
    nonsense: str | None = None
    """What is wrong with the bookkeeping that was found."""
    rolled_back: bool = False
    """Whether a person restored an older version."""

    @property
    def key_id(self) -> int | None:
        """Its id; None when the plaintext fits no listed key, or several."""
        return self.rotation.key_id if self.rotation else None

    def as_rolled_back(self, now: datetime) -> "Current":
        """The same, with keys that may have been current until `now`."""
        return replace(self, superseded=dict.fromkeys(self.superseded, self.noticed(now)), rolled_back=True)

    def noticed(self, now: datetime) -> datetime:
        """Since when a key is superseded that is seen to be so now: not before its successor was made."""
        return max(now, self.rotation.created_at) if self.rotation else now


def identify(
    version: Version, field: str, listed: Mapping[int, Key], previews: Previews, now: datetime
) -> Current | None:
    """Return which key the secret's plaintext is; None when there is no plaintext."""
    plaintext = read_plaintext(version.data, field)
    if plaintext is None:
        return None
    rotation, nonsense = _bookkeeping(version, now)
    matches = previews.matching(plaintext)
    if rotation and not _pasted_over(rotation, listed, plaintext, matches):
        return Current(rotation, rotation.superseded, adopted=False)
    published = {**rotation.superseded, rotation.key_id: now} if rotation else {}
    if len(matches) != 1:
        return Current(None, published, adopted=True, nonsense=nonsense)
    key = matches[0]
    published.pop(key.id, None)
    adopted = Rotation(key.id, key.title, key.created_at, min(key.created_at, now), published)
    return Current(adopted, published, adopted=True, nonsense=nonsense)


def _bookkeeping(version: Version, now: datetime) -> tuple[Rotation | None, str | None]:
    try:
        rotation = read_rotation(version.data or {})
    except NonsenseError as error:
        return None, str(error)
    if rotation and max([rotation.rotated_at, *rotation.superseded.values()]) > now + _FUTURE:
        return None, "it is dated in the future"
    return rotation, None


def _pasted_over(
    rotation: Rotation, listed: Mapping[int, Key], plaintext: str, matches: Sequence[Key]
) -> bool:
    """Whether somebody put another key's plaintext over the one that the bookkeeping names."""
    key = listed.get(rotation.key_id)
    if key is None:
        return len(matches) == 1
    return matches_preview(key, plaintext) is False
