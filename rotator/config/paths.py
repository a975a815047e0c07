"""Where a value stands in the config, and how that is written."""

import re
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Names of fields and indices of lists, from the top level down."""

_HARMLESS = re.compile(r"[A-Za-z_-]{1,40}")


def echo(name: str) -> str:
    """Return a field's name in backticks, unless it could be a key that was pasted in its place."""
    return f"`{name}`" if _HARMLESS.fullmatch(name) else "a field"


def dotted(path: Path) -> str:
    """Write a path as `keys[1].rotation_period`, with `?` for a name that is better not repeated."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        else:
            text += f".{segment}" if _HARMLESS.fullmatch(segment) else ".?"
    return text.removeprefix(".")
