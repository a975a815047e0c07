"""The secret's `rotation` block: which key its plaintext is, since when, and what it superseded.

Reading is forgiving (a person may have edited it), writing is exact. All other fields of the secret belong
to somebody else and are handed on as they are.
"""

import re
import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

from rotator.redaction import words
from rotator.rules.times import format_time, parse_time

T = TypeVar("T")
_OURS: Final = {
    "version",
    "since_version",
    "key_id",
    "title",
    "created_at",
    "rotated_at",
    "superseded",
    "titles",
}
_BLANK: Final = f"{string.whitespace}\u00a0\u200b\u200c\u200d\u2060\ufeff"
_FEW: Final = 3  # fields of ours that nobody writes together by chance
FIELD: Final = "rotation"
"""The secret's field that holds the block, unless the config names another."""
COPY_OF: Final = "copy_of"
"""The field of a block that makes it a copy's: of which installation's secret."""
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
    titles: Mapping[int, str] = field(default_factory=dict)
    """What replaced keys were called when they were made: a list may call them otherwise."""
    since_version: int | None = field(default=None, compare=False)
    """The version that held the key first, as far as is known; None for one that is yet to be stored."""

    @property
    def named(self) -> frozenset[int]:
        """Every key that it names."""
        return frozenset({self.key_id, *self.superseded})

    def merged_into(
        self,
        data: Mapping[str, Any],
        version: int,
        name: str = FIELD,
        *,
        undated: Collection[int] = (),
    ) -> dict[str, Any]:
        """Return `data` with this block in it and nothing else changed, to be written as `version`.

        `undated`: the keys whose moment is a guess. None is written; a pass whose clocks agree writes its own.
        """

        def dated(id_: int, at: datetime) -> str | None:
            return None if id_ in undated else format_time(at)

        others = {id_: at for id_, at in self.superseded.items() if id_ != self.key_id}
        block: dict[str, Any] = {
            "version": version,
            **({"since_version": self.since_version} if self.since_version not in (None, version) else {}),
            "key_id": self.key_id,
            "title": self.title,
            "created_at": format_time(self.created_at, "milliseconds"),
            "rotated_at": dated(self.key_id, self.rotated_at),
            "superseded": {str(id_): dated(id_, at) for id_, at in sorted(others.items())},
        }
        if titles := {str(id_): title for id_, title in sorted(self.titles.items()) if id_ in others}:
            block["titles"] = titles
        return {**data, name: block}


@dataclass(frozen=True)
class Block:
    """As much of a `rotation` block as makes sense: nothing where there is none. A bad field costs that field."""

    version: int | None = None
    """The version of the secret as which it was written; None when it does not say."""
    key_id: int | None = None
    """The key that it says the plaintext is, if it says so."""
    title: str = ""
    created_at: datetime | None = None
    rotated_at: datetime | None = None
    superseded: Mapping[int, datetime | None] = field(default_factory=dict)
    """Ids of replaced keys; without a time where none was written, or one that makes no sense."""
    titles: Mapping[int, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    """What makes no sense, without its value."""
    since_version: int | None = None
    """The version that held the key first: the block's own, unless it says otherwise; None when it does not say."""

    @property
    def named(self) -> frozenset[int]:
        """Every key that it names."""
        return frozenset(self.superseded) | ({self.key_id} if self.key_id else set())


def fault_of_owner(
    data: Mapping[str, Any] | None, plaintext: str, name: str = FIELD
) -> tuple[str, str] | None:
    """Say which of our two fields is its owner's, not to be written over, and what cures it; None where none is."""
    value, block = (data or {}).get(plaintext), (data or {}).get(name)
    if field := copied_by(data):
        return (
            f"its field {words(field)} says that another rotator keeps a copy here",
            "name another path for this managed key; or end the copy in the config of the other rotator, and then "
            f"remove the field {words(field)} here",
        )
    if value is not None and not isinstance(value, str):
        return (
            f"the field {plaintext} holds no text",
            "write the key there as text, or name another `field` for it",
        )
    if block is not None and not (isinstance(block, dict) and _is_ours(block)):
        cure = f"leave `{name}` as it is, and name another field in `bookkeeping` for this managed key"
        return f"the field {name} holds something that the rotator did not write", cure
    return None


def copied_by(data: Mapping[str, Any] | None) -> str | None:
    """Return the field that says of a secret that it is a copy, whatever that is called; None where none does."""

    def says(block: object) -> bool:
        return isinstance(block, dict) and COPY_OF in block

    return next((name for name, block in (data or {}).items() if says(block)), None)


def managed_by(data: Mapping[str, Any] | None) -> str | None:
    """Return the field that says of a secret that a rotator manages it, whatever that is called."""

    def says(block: object) -> bool:
        return isinstance(block, dict) and len(block.keys() & _OURS) >= _FEW

    return next((name for name, block in (data or {}).items() if says(block)), None)


def _is_ours(block: Mapping[str, Any]) -> bool:
    """Whether a block was ours once, whatever a person has edited or dropped of it since."""
    return not block or len(block.keys() & _OURS) >= _FEW


def read_block(data: Mapping[str, Any] | None, name: str = FIELD) -> Block:
    """Return what makes sense of the block."""
    block = (data or {}).get(name)
    if block is None:
        return Block()
    if not isinstance(block, dict):
        return Block(faults=(f"`{name}` is not an object",))
    faults: list[str] = []

    def sound(name: str, read: Callable[[object], T], value: object) -> T | None:
        try:
            return read(value)
        except ValueError as error:
            faults.append(f"`{name}` is {error}")
            return None

    version = _version(block.get("version"))
    key_id = sound("key_id", _id, block.get("key_id"))
    title = block.get("title", "")
    if not isinstance(title, str):
        faults.append("`title` is not a string")
        title = ""
    created_at = sound("created_at", _time, block.get("created_at"))
    rotated_at = sound("rotated_at", _time_if_any, block.get("rotated_at", ""))
    entries = block.get("superseded", {})
    if not isinstance(entries, dict):
        faults.append("`superseded` is not an object")
        entries = {}
    superseded: dict[int, datetime | None] = {}
    for text, at in entries.items():
        id_ = sound("superseded", _id, text)
        if id_ is not None and id_ == key_id:
            faults.append("`superseded` names the current key")
        elif id_ is not None:
            superseded[id_] = sound("superseded", _time_if_any, at)
    titles = sound("titles", partial(_titles, superseded), block.get("titles", {})) or {}
    return Block(
        version,
        key_id,
        title,
        created_at,
        rotated_at,
        superseded,
        titles,
        tuple(dict.fromkeys(faults)),
        since_version=_version(block.get("since_version")) or version,
    )


def stripped(text: str) -> str:
    """Return the text without white space around it, also of the kinds that nobody sees."""
    return text.strip(_BLANK)


def read_plaintext(data: Mapping[str, Any] | None, name: str) -> str | None:
    """Return the plaintext in the field `name`, without white space around it; None when none is there."""
    value = (data or {}).get(name)
    return (stripped(value) or None) if isinstance(value, str) else None


def _version(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _id(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,18}", text) or int(text) >= 2**63:
        raise ValueError("not a positive integer")
    return int(text)


def _titles(ids: Collection[int], value: object) -> dict[int, str]:
    if not isinstance(value, dict) or not all(isinstance(title, str) for title in value.values()):
        raise ValueError("not an object of titles")
    return {id_: title for id_ in ids if (title := value.get(str(id_)))}


def _time(value: object) -> datetime:
    return parse_time(str(value))


def _time_if_any(value: object) -> datetime | None:
    return None if value is None else _time(value)
