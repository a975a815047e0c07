"""How click's own texts read: help is broken between words alone, and a wrong use says what was typed."""

import sys
from collections.abc import Iterable
from typing import Any, Final

import click

from rotator.lines import in_lines, width_of
from rotator.redaction import shown

_HYPHEN: Final = "\ue001"
"""A hyphen at which no line is broken: that of `--dry-run`."""


class WholeWords(click.HelpFormatter):
    """Breaks no option in two at its hyphen, as click does."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage."""
        super().write_usage(prog, _kept(args), prefix)

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        super().write_text(_kept(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        """Write options or commands."""
        super().write_dl([(_kept(first), _kept(second)) for first, second in rows], *args, **kwargs)

    def getvalue(self) -> str:
        """Return all that was written."""
        return super().getvalue().replace(_HYPHEN, "-")


def _kept(text: str) -> str:
    return text.replace("-", _HYPHEN)


def without_secrets(error: click.UsageError) -> str:
    """Return the message of a wrong use; what was typed is left out of it where it may be a secret."""
    said = error.format_message()
    for word in sorted(set(sys.argv[1:]), key=len, reverse=True):
        for part in {word, word.partition("=")[2]} - {""}:
            if part in said and shown(part) != f"“{part}”":
                said = said.replace(part, shown(part))
    return said


def in_lines_for(error: click.UsageError, said: str) -> click.UsageError:
    """Return the error for a person, who is told `said`."""
    lines = in_lines(f"Error: {said}", width_of(sys.stderr))
    return click.UsageError("\n".join(lines).removeprefix("Error: "), error.ctx)
