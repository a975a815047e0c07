"""Who uses a managed key, and which key each of them says it has taken up. Pure.

A confirmation never ends a grace. Without one a superseded key lives longer, at most for its `grace_limit`. So
one that is lost or forged moves a revocation between these two moments, and does nothing else.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rotator.rules.model import ManagedKey, Version

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
FIELD: Final = "key_id"
"""The field of a confirmation."""
EVENT: Final = "event"
"""The field that names what the consumer was told: only the rotator writes it."""
_DIGITS: Final = 20
"""So many no id has; the longest numbers are slow to read."""


@dataclass(frozen=True)
class Ack:
    """What one consumer said last."""

    key_id: int | None = None
    """The key that it has taken up; None where it has not said so yet, or what it said cannot be read."""
    fault: str = ""
    """Why it cannot be read, in words."""
    at: datetime | None = None
    """When it was said, by Vault's clock; None where Vault does not say."""
    event: str = ""
    """The id of the event that its receiver has taken; empty where it has confirmed otherwise."""


def ack_path(acks_path: str, path: str, consumer: str) -> str:
    """Return where a consumer of the secret at `path` confirms."""
    return f"{acks_path}/{path}/{consumer}"


def ack_paths(keys: Iterable[ManagedKey], acks_path: str) -> Iterator[str]:
    """Yield where each consumer of `keys` confirms, of those that read no copy."""
    return (ack_path(acks_path, key.path, name) for key in keys for name in key.confirming)


def told_ack_paths(keys: Iterable[ManagedKey], acks_path: str) -> Iterator[str]:
    """Yield where the rotator confirms for the consumers that it tells."""
    return (ack_path(acks_path, key.path, one.consumer) for key in keys for one in key.receivers)


def read_ack(version: Version) -> Ack:
    """Read a confirmation, which anybody may have written: `{"key_id": 13}`, or the same as a string."""
    if version.data is None:
        return Ack()
    said = version.data.get(FIELD)
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) < _DIGITS:
        said = int(said)
    if type(said) is not int or not 0 < said < 2**63:
        return Ack(fault=f"its confirmation has no {FIELD}")
    event = version.data.get(EVENT)
    return Ack(said, at=version.written_at, event=event if isinstance(event, str) else "")


def waiting_for(
    consumers: Iterable[str],
    acks: Mapping[str, Ack],
    since: datetime,
    *,
    current: Collection[int | None],
    superseded: Mapping[int, datetime],
    replaced_at: datetime | None = None,
) -> Mapping[str, str]:
    """Return which consumers may still use a key that is superseded `since`, each with the reason in words.

    A consumer has moved on once it confirms the `current` key, or one that was superseded later than this one;
    `current` has two where a pass has just replaced one.
    What it said before this key was replaced does not count: after a rollback it may have taken this key up again.
    `replaced_at`: when that was, by Vault's clock, where it is known.
    """
    waiting = {}
    for name in consumers:
        ack = acks.get(name, Ack())
        if ack.key_id is None:
            waiting[name] = ack.fault or last_confirmed(None)
        elif ack.key_id not in current and superseded.get(ack.key_id, _NEVER) <= since:
            waiting[name] = last_confirmed(ack.key_id)
        elif ack.at and replaced_at and ack.at <= replaced_at:
            waiting[name] = f"{last_confirmed(ack.key_id)}, before this one was replaced"
    return waiting


def last_confirmed(key_id: int | None) -> str:
    """Say in words, after a consumer's name, which key it confirmed last."""
    return "has not confirmed any key" if key_id is None else f"last confirmed key {key_id}"
