"""How a text is broken into lines: between words, and nowhere else.

Nothing is broken inside a word, so an id, a path and a name stay whole. A command in backticks is there to be
copied: it stands alone on its line, whole, however long it is, and without the backticks.
"""

import os
import re
import shutil
from collections.abc import Iterator
from textwrap import TextWrapper
from typing import Final, TextIO

NO_BREAK: Final = "\ue000"
"""A space at which no line is broken."""
PROGRAMS: Final = ("rotator", "vault", "kubectl", "curl", "pip")
"""What a command begins with, if no variable is set before it; other words in backticks, such as a field's name,
stay in their sentence."""
_COMMAND: Final = re.compile(rf"`((?:[A-Z_]+=\S+ )?(?:{'|'.join(PROGRAMS)}) [^`]*)`[.,;:]?")
_WHOLE: Final = re.compile(r"`[^`]*`|\(request_id [^)]*\)")
_LABELS: Final = ("cure: ", "retry: ", "then: ")
_STEP: Final = "  "


def in_lines(text: str, width: int | None) -> list[str]:
    """Return the lines of `text`, as wide as `width` where no word or command is longer; None: however wide.

    What goes on below a mark (`✗ `, `cure: `) begins where the words after the mark begin.
    """
    return [line.replace(NO_BREAK, " ") for given in text.split("\n") for line in _of_one(given, width)]


def width_of(stream: TextIO) -> int | None:
    """How wide the lines of a text may be there; None in a pipe, unless COLUMNS says how wide its end is."""
    if not (stream.isatty() or os.environ.get("COLUMNS")):
        return None
    return shutil.get_terminal_size().columns


def _of_one(text: str, width: int | None) -> Iterator[str]:
    first = _mark(text)
    below = " " * len(first)
    lead, at, begun = first, 0, False
    for found in [*_COMMAND.finditer(text), None]:
        prose = text[max(at, len(first)) : found.start() if found else len(text)].strip(" ")
        if prose or (not begun and (first.strip() or found is None)):
            yield from _wrapped(prose, lead, below, width)
            lead, begun = below, True
        if found:
            yield below + _STEP + found[1]
            lead, at, begun = below, found.end(), True


def _mark(text: str) -> str:
    """What stands before the words: spaces, a mark, a label."""
    spaces = text[: len(text) - len(text.lstrip(" "))]
    rest = text[len(spaces) :]
    for mark in (*_LABELS, "✗ ", "✓ ", "! ", "– "):  # noqa: RUF001
        if rest.startswith(mark):
            return spaces + mark
    return spaces


def _wrapped(text: str, lead: str, below: str, width: int | None) -> list[str]:
    if width is None:
        return [lead + text]
    room = max(width, len(below) + 1)
    whole = _WHOLE.sub(
        lambda one: one[0].replace(" ", NO_BREAK) if len(below + one[0]) <= room else one[0], text
    )
    wrapper = TextWrapper(
        room,
        initial_indent=lead,
        subsequent_indent=below,
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )
    return wrapper.wrap(whole) or [lead.rstrip()]
