"""Orphan, or published once? What is known of a live key of ours that the secret does not name.

Pure. A key's title says which version of the secret it was to become. A check-and-set write on top of version
N can only ever become version N + 1, so that one version decides. In doubt a key lives longer.
"""

from collections.abc import Callable
from enum import StrEnum

from rotator.bookkeeping import read_plaintext, rotation_or_none
from rotator.model import Key, Version
from rotator.previews import matches_preview
from rotator.titles import Title

Read = Callable[[int], Version]


class Trace(StrEnum):
    """What became of a live key of the family that is neither current nor named in `superseded`."""

    PUBLISHED = "published"
    """It was current once, or nothing proves that it was not."""
    ORPHAN = "orphan"
    """It was never published: nobody holds its plaintext."""


def trace(suspect: Key, title: Title, latest: Version, read: Read, field: str) -> Trace:
    """Judge by the version that `suspect` was to become; `read` returns an earlier one than `latest`."""
    became = title.version(latest.number)
    if became is None:
        return Trace.PUBLISHED
    if became > latest.number:
        return Trace.ORPHAN
    version = latest if became == latest.number else read(became)
    if version.data is None:  # deleted, destroyed or trimmed
        return Trace.PUBLISHED
    rotation, plaintext = rotation_or_none(version.data), read_plaintext(version.data, field)
    named = rotation is not None and rotation.key_id == suspect.id
    held = plaintext is not None and matches_preview(suspect, plaintext) is True
    return Trace.PUBLISHED if named or held else Trace.ORPHAN
