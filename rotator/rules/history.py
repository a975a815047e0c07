"""What a secret's version history tells that its latest version does not.

Pure. Orphan, or published once? A key's claim says which version of the secret it was to become. A
check-and-set write on top of version N can only ever become version N + 1, so that one version decides. In doubt
a key lives longer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator.redaction import Secret
from rotator.rules.bookkeeping import read_block, read_plaintext
from rotator.rules.claims import Claims
from rotator.rules.current import Current
from rotator.rules.model import Key, ManagedKey, Version
from rotator.rules.previews import matches_preview
from rotator.rules.titles import Title

_LOOKS: Final = 10
"""As many versions as Vault keeps, unless it is told otherwise."""
_LATE: Final = timedelta(minutes=5)
"""So far the clocks of Vault and of the gateway may be apart."""

Read = Callable[[int], Version]


class Trace(StrEnum):
    """What became of a live key of the family that is neither current nor named in `superseded`."""

    PUBLISHED = "published"
    """It was current once or, though this Vault asked for it, nothing proves that it was not."""
    ORPHAN = "orphan"
    """This Vault asked for it, and it was never published: nobody holds its plaintext."""
    UNASKED = "unasked"
    """Nothing shows that this Vault asked for it: it is an unmanaged key."""


def trace(
    suspect: Key,
    title: Title,
    claims: Claims,
    latest: Version,
    read: Read,
    key: ManagedKey,
    now: datetime,
) -> Trace:
    """Judge by the version that `suspect` was to become; `read` returns an earlier one than `latest`."""
    claim = claims.of(title.nonce)
    if claim:
        became: int | None = claim.version
    else:  # what version 0.1.0 wrote into a title is no proof, but says where to look for one
        became = title.version(latest.number) if title.is_for(key.path) else None
    if became is None or became > latest.number:
        if claim is None:
            return Trace.UNASKED
        # Further ahead than the next version, or older than the latest: the history was lost, and tells nothing.
        written_at = when_written(latest, now)
        lost = claim.version > latest.number + 1 or (written_at and written_at > claim.at + _LATE)
        return Trace.PUBLISHED if lost else _unless_held(suspect, latest, read, key, now)
    version = latest if became == latest.number else read(became)
    plaintext = read_plaintext(version.data, key.field)
    named = read_block(version.data, key.bookkeeping).key_id == suspect.id
    if named or (plaintext is not None and matches_preview(suspect, plaintext) is True):
        return Trace.PUBLISHED
    if claim is None:
        return Trace.UNASKED
    # Of a version that was deleted, destroyed or trimmed nothing can be told.
    return Trace.PUBLISHED if version.data is None else _unless_held(suspect, latest, read, key, now)


def when_written(version: Version, now: datetime) -> datetime | None:
    """Return Vault's time of a version; None for one that lies ahead of `now`, which is of another clock."""
    at = version.written_at
    return at if at and at <= now + _LATE else None


def _unless_held(suspect: Key, latest: Version, read: Read, key: ManagedKey, now: datetime) -> Trace:
    """An orphan, unless any version that is left says otherwise."""
    return Trace.PUBLISHED if held_by(suspect, latest, read, key, now).version else Trace.ORPHAN


@dataclass(frozen=True)
class Holders:
    """What the history tells of a key that once was current."""

    version: Version | None
    """The newest version that held it, if one is left and its preview agrees."""
    texts: frozenset[Secret]
    """The plaintext of that version; if there is none, of every version that names the key."""
    until: datetime | None = None
    """When the next version was written, by Vault's clock: until then it may have been current."""


def held_by(suspect: Key, latest: Version, read: Read, key: ManagedKey, now: datetime) -> Holders:
    """Look for the versions of the secret that held `suspect`."""
    found: Version | None = None
    until: datetime | None = None
    later: datetime | None = None
    texts: set[Secret] = set()
    others: set[Secret] = set()
    for number in range(latest.number, max(0, latest.number - 1 - _LOOKS), -1):
        version = latest if number == latest.number else read(number)
        plaintext = read_plaintext(version.data, key.field)
        named = read_block(version.data, key.bookkeeping).key_id
        written_after, later = later, when_written(version, now)
        if plaintext is None:
            continue
        fits = matches_preview(suspect, plaintext)
        if named not in (None, suspect.id):
            others.add(Secret(plaintext))
        elif named == suspect.id:
            texts.add(Secret(plaintext))
        if found is None and (fits or (named == suspect.id and fits is None)):
            found, text, until = version, Secret(plaintext), written_after
    if found is None:
        return Holders(None, frozenset(texts))
    # Who may write the secret may put any id beside a plaintext: that it once was called another key's says so.
    return Holders(None if text in others else found, frozenset({text}), until)


def rolled_back(latest: Version, read: Read, key: ManagedKey, current: Key | None) -> bool:
    """Whether another key than `current` may have stood in the secret since its bookkeeping was written.

    So it is where somebody restored an older version. What its bookkeeping says of superseded keys is then out
    of date: one of them may have been current again until now.
    """
    written = read_block(latest.data, key.bookkeeping).version
    if written is None or written > latest.number:
        return True
    plaintext = read_plaintext(latest.data, key.field)
    # Where the list does not show whose the plaintext is, that very version is looked at, too.
    known = current is not None and plaintext is not None and matches_preview(current, plaintext) is True
    # Of a version that was trimmed nothing is left, not even its number.
    first = max(written + known, latest.number - _LOOKS)
    since = (read(number) for number in range(first, latest.number))
    return any(seen.number and read_plaintext(seen.data, key.field) != plaintext for seen in since)


def suspects(current: Current | None, family: tuple[Key, ...]) -> tuple[Key, ...]:
    """Return the live keys of the family that the secret does not name: orphans, or published once."""
    named = {current.key_id, *current.superseded} if current else set()
    return tuple(key for key in family if key.id not in named)
