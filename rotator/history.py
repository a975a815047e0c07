"""Orphan, or published once? What the secret's version history says of a live key that it does not name.

Pure. In doubt a key lives longer: only what provably never stood in the secret is an orphan.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rotator.bookkeeping import could_be, read_plaintext, rotation_or_none
from rotator.model import Key, Retained, Version


class Trace(StrEnum):
    """What became of a live key of the family that is neither current nor named in `superseded`."""

    PUBLISHED = "published"
    """An earlier version held it."""
    ORPHAN = "orphan"
    """It was never published: nobody holds its plaintext."""
    UNPROVABLE = "unprovable"
    """Some version that could have held it can no longer be read."""


@dataclass(frozen=True)
class History:
    """The versions that Vault retains of one secret."""

    retained: Retained
    versions: tuple[Version, ...]
    """The readable ones."""


NEVER_WRITTEN = History(Retained(oldest=1, readable=frozenset(), current=0), ())


def trace(suspects: Iterable[Key], history: History, field: str) -> Mapping[int, Trace]:
    """Return what became of each of `suspects`."""
    return {suspect.id: _trace(suspect, history, field) for suspect in suspects}


def _trace(suspect: Key, history: History, field: str) -> Trace:
    if any(_tells_of(version, suspect, field) for version in history.versions):
        return Trace.PUBLISHED
    if not history.retained.whole:
        return Trace.UNPROVABLE
    if history.retained.oldest <= 1 or _stored_before(suspect, history):
        return Trace.ORPHAN
    return Trace.UNPROVABLE


def _tells_of(version: Version, suspect: Key, field: str) -> bool:
    rotation = rotation_or_none(version.data)
    if rotation and (suspect.id == rotation.key_id or suspect.id in rotation.superseded):
        return True
    plaintext = read_plaintext(version.data, field)
    return plaintext is not None and could_be(suspect, plaintext) is True


def _stored_before(suspect: Key, history: History) -> bool:
    """Whether the oldest retained version was stored before the suspect was made.

    Then no version that has been trimmed since can have held it.
    """
    oldest = min(history.versions, key=lambda version: version.number)
    rotation = rotation_or_none(oldest.data)
    return rotation is not None and rotation.rotated_at < suspect.created_at
