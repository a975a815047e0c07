"""The secret's `rotation` block: which key its plaintext is, since when, and what it superseded.

Reading is forgiving (a person may have edited it), writing is exact. All other fields of the secret belong
to somebody else and are handed on as they are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rotator.rules.times import format_time, parse_time

FIELD = "rotation"
WITHOUT_GRACE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Superseded since then: no grace period, whatever the config says, keeps such a key alive."""


@dataclass(frozen=True)
class Rotation:
    """The bookkeeping of one secret."""

    key_id: int
    title: str
    created_at: datetime
    rotated_at: datetime
    superseded: Mapping[int, datetime]
    """Ids of replaced keys, each with the moment at which it was replaced."""

    def merged_into(self, data: Mapping[str, Any], version: int) -> dict[str, Any]:
        """Return `data` with this block in it and nothing else changed, to be written as `version`."""
        block = {
            "version": version,
            "key_id": self.key_id,
            "title": self.title,
            "created_at": format_time(self.created_at, "milliseconds"),
            "rotated_at": format_time(self.rotated_at),
            "superseded": {str(id_): format_time(at) for id_, at in sorted(self.superseded.items())},
        }
        return {**data, FIELD: block}


class NonsenseError(ValueError):
    """The block is there and cannot be what this program wrote."""


def read_rotation(data: Mapping[str, Any]) -> Rotation | None:
    """Return the block, or None when there is none. Raises NonsenseError when it makes no sense."""
    if FIELD not in data:
        return None
    block = data[FIELD]
    if not isinstance(block, dict):
        raise NonsenseError(f"`{FIELD}` is not an object")
    superseded = block.get("superseded", {})
    if not isinstance(superseded, dict):
        raise NonsenseError("`superseded` is not an object")
    title = block.get("title", "")
    if not isinstance(title, str):
        raise NonsenseError("`title` is not a string")
    rotation = Rotation(
        key_id=_id(block.get("key_id")),
        title=title,
        created_at=_time("created_at", block.get("created_at")),
        rotated_at=_time("rotated_at", block.get("rotated_at")),
        superseded={_id(id_): _time("superseded", at) for id_, at in superseded.items()},
    )
    if rotation.key_id in rotation.superseded:
        raise NonsenseError("`superseded` names the current key")
    return rotation


def written_as(data: Mapping[str, Any] | None) -> int | None:
    """Return the version of the secret as which its block was written; None when it does not say."""
    block = (data or {}).get(FIELD)
    version = block.get("version") if isinstance(block, dict) else None
    return version if type(version) is int and version > 0 else None


def rotation_or_none(data: Mapping[str, Any] | None) -> Rotation | None:
    """Return the block, or None when there is none that makes sense."""
    try:
        return read_rotation(data or {})
    except NonsenseError:
        return None


def read_plaintext(data: Mapping[str, Any] | None, field: str) -> str | None:
    """Return the plaintext in `field`, or None when nothing usable is there."""
    value = (data or {}).get(field)
    return value if isinstance(value, str) and value else None


def _id(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,18}", text) or int(text) >= 2**63:
        raise NonsenseError("an id is not a positive integer")
    return int(text)


def _time(field: str, value: object) -> datetime:
    try:
        return parse_time(str(value))
    except ValueError as error:
        raise NonsenseError(f"`{field}` is {error}") from None
