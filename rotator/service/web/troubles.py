"""What the banner says: what is the matter, with which managed keys, and what to do; a common cause once. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rotator.errors import RotatorError
from rotator.service.web.sections import Section, section_of
from rotator.show.key_status import KeyStatus
from rotator.show.why import tried

NAMED: Final = 5
"""Managed keys that are named above all others."""


@dataclass(frozen=True)
class Affected:
    """A managed key, and what is the matter with it alone."""

    key: KeyStatus
    said: str


@dataclass(frozen=True)
class Trouble:
    """What is the matter with managed keys for one cause."""

    affected: tuple[Affected, ...]
    errors: tuple[RotatorError, ...]
    """The cause: what the last try met, with the cure."""
    by_hand: str
    """What a person can do for those of them of which no older key can be put back."""
    section: Section | None


def troubles(alarming: Sequence[KeyStatus], now: datetime, gateway_now: datetime) -> list[Trouble]:
    """Return what is the matter with the first NAMED of these keys, the worst first."""
    groups: dict[object, list[KeyStatus]] = {}
    for key in alarming[:NAMED]:
        met = tuple((error.message, error.cure) for error in _met(key))
        groups.setdefault((met, section_of(key)) if met else key.name, []).append(key)
    return [_trouble(keys, now, gateway_now) for keys in groups.values()]


def _trouble(keys: Sequence[KeyStatus], now: datetime, gateway_now: datetime) -> Trouble:
    return Trouble(
        affected=tuple(Affected(key, "; ".join(_said(key, now, gateway_now))) for key in keys),
        errors=_met(keys[0]),
        by_hand=next((key.remedy.by_hand for key in keys if key.remedy and key.remedy.by_hand), ""),
        section=section_of(keys[0]),
    )


def _met(key: KeyStatus) -> tuple[RotatorError, ...]:
    """What the newest pass met or, where it tried nothing, one before it."""
    return key.errors or ((key.last_try.error,) if key.last_try else ())


def _said(key: KeyStatus, now: datetime, gateway_now: datetime) -> Iterator[str]:
    if why := (key.why or "").removesuffix(tried(key.last_try, now)):
        yield why
    late = [f"{other.kind} {other.id} {other.fate(gateway_now)}" for other in key.others if other.overdue]
    yield from late
    if not (why or late or key.errors):
        yield from key.warnings[:1]
