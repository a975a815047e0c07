"""What a secret's version history tells that its latest version does not.

Pure. Orphan, or published once? A key's title says which version of the secret it was to become. A
check-and-set write on top of version N can only ever become version N + 1, so that one version decides. In doubt
a key lives longer.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from rotator.rules.bookkeeping import key_named, read_plaintext, written_as
from rotator.rules.identify import Current
from rotator.rules.model import Key, Version
from rotator.rules.previews import matches_preview
from rotator.rules.titles import Title

_LOOKS: Final = 10
"""As many versions as Vault keeps, unless it is told otherwise."""

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
    plaintext = read_plaintext(version.data, field)
    named = key_named(version.data) == suspect.id
    held = plaintext is not None and matches_preview(suspect, plaintext) is True
    return Trace.PUBLISHED if named or held else Trace.ORPHAN


def rolled_back(latest: Version, read: Read, field: str) -> bool:
    """Whether another key may have stood in the secret since its bookkeeping was written.

    So it is where somebody restored an older version. What its bookkeeping says of superseded keys is then out
    of date: one of them may have been current again until now.
    """
    written = written_as(latest.data)
    if written is None or written > latest.number:
        return True
    plaintext = read_plaintext(latest.data, field)
    between = (read(number) for number in range(max(written + 1, latest.number - _LOOKS), latest.number))
    # Of a version that was trimmed nothing is left, not even its number.
    return any(seen.number and read_plaintext(seen.data, field) != plaintext for seen in between)


def suspects(current: Current | None, family: tuple[Key, ...]) -> tuple[Key, ...]:
    """Return the live keys of the family that the secret does not name: orphans, or published once."""
    named = {current.key_id, *current.superseded} if current else set()
    return tuple(key for key in family if key.id not in named)
