"""How a gateway may show what it keeps: titles, previews and times otherwise than they were made. Pure.

Each is named as it is switched on: `titles("cut 50")`, `previews("weak")`, `times("local +5h45m")`. So is how
a plaintext is made of random letters: `plaintexts("project")`.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Final, TypeVar

TextOf = Callable[[str], str]
TimeOf = Callable[[datetime], str]
T = TypeVar("T")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """Parse `90s`, `30d` or `1h30m`. Raises ValueError and OverflowError."""
    if not re.fullmatch(r"([0-9]{1,9}[smhd])+", text):
        raise ValueError("a duration is written like 90s, 15m, 24h or 30d")
    parts = re.findall(r"([0-9]+)([smhd])", text)
    return sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in parts), timedelta())


def parse_offset(text: str) -> timedelta:
    """Parse a duration with its sign: `+2d`, `-90m`. Raises ValueError and OverflowError."""
    if text[:1] not in ("+", "-"):
        raise ValueError("an offset is a duration with a sign, like +2d or -90m")
    return parse_duration(text[1:]) * (-1 if text[0] == "-" else 1)


def format_time(at: datetime) -> str:
    """ISO 8601 with milliseconds and `Z`, as the contract writes a time."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_short(letters: str) -> str:
    """A plaintext of random letters, as short as the contract's examples: `sk-…`."""
    return f"sk-{letters}"


def masked(plaintext: str) -> str:
    """The contract's preview: `sk-abcd...wxyz`."""
    return f"{plaintext[:7]}...{plaintext[-4:]}"


_TITLES: Final[Mapping[str, TextOf]] = {
    "as sent": str,
    "lower": str.lower,
    "folded": lambda title: " ".join(title.split()),
    "html": html.escape,
    "nfkc": lambda title: unicodedata.normalize("NFKC", title),
}
_PLAINTEXTS: Final[Mapping[str, TextOf]] = {
    "as promised": in_short,
    "project": lambda letters: f"sk-proj-{letters[:24]}_-{letters[24:]}",
}
_PREVIEWS: Final[Mapping[str, TextOf]] = {
    "as promised": masked,
    "weak": lambda plaintext: f"sk-...{plaintext[-4:]}",
    "stars": lambda plaintext: f"****{plaintext[-4:]}",
    "empty": lambda _: "",
    "equal": lambda _: "sk-0000...0000",
}
_TIMES: Final[Mapping[str, TimeOf]] = {
    "as promised": format_time,
    "year 1": lambda _: "0001-01-01T00:00:00.000Z",
    "year 9999": lambda _: "9999-12-31T23:59:59.999Z",
    "no milliseconds": lambda at: at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    "offset +14:00": lambda at: at.astimezone(timezone(timedelta(hours=14))).isoformat(
        timespec="milliseconds"
    ),
}


def titles(name: str) -> TextOf:
    """How the list shows a title; POST echoes it as it was sent. Raises ValueError."""
    if cut := re.fullmatch(r"cut ([0-9]{1,3})", name):
        return lambda title: title[: int(cut[1])]
    return _named(_TITLES, name, ", cut N")


def plaintexts(name: str) -> TextOf:
    """What a new key's plaintext is made of so many random letters. Raises ValueError."""
    return _named(_PLAINTEXTS, name)


def previews(name: str) -> TextOf:
    """How the list masks a plaintext. Raises ValueError."""
    return _named(_PREVIEWS, name)


def times(name: str) -> TimeOf:
    """How `created_at` is written. `local OFFSET` is a local time that is labelled UTC. Raises ValueError."""
    if name.startswith("local "):
        by = parse_offset(name.removeprefix("local "))
        return lambda at: format_time(at + by)
    return _named(_TIMES, name, ", local +5h45m")


def _named(table: Mapping[str, T], name: str, more: str = "") -> T:
    if name not in table:
        raise ValueError(f"there are {', '.join(table)}{more}")
    return table[name]
