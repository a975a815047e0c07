"""What all that is printed for a person has in common: width, redaction, how a failure reads."""

import io
import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.errors import RotatorError
from rotator.redaction import redact

_PIPE_WIDTH: Final = 120
NO_BREAK: Final = "\ue000"
"""A space at which no line is broken; rich knows none."""


def captured(console: Console, parts: Iterable[Table | Text]) -> str:
    """Return what `console` makes of the parts, redacted. A line of text is not broken; a table is."""
    with console.capture() as capture:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, Text))
    lines = capture.get().replace(NO_BREAK, " ").splitlines()
    return redact("".join(line.rstrip() + "\n" for line in lines), short=True)


def console_for_stdout() -> Console:
    """A console that renders for stdout and does not write: as wide as it or, in a pipe, as a table wants it."""
    return Console(
        file=io.StringIO(),
        force_terminal=sys.stdout.isatty(),
        width=shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns,
        highlight=False,
        markup=False,
        emoji=False,  # `:key:` in a path or an error is no picture
    )


def plain_table() -> Table:
    """A table without lines, as wide as what is in it."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def folded(texts: Iterable[str], style: str = "") -> Table:
    """Lines that are broken at the console's width, which a Text is not."""
    table = Table.grid()
    table.add_column(overflow="fold")
    for text in texts:
        table.add_row(text, style=style)
    return table


def concerns_of(name: str, errors: Iterable[RotatorError], warnings: Iterable[str]) -> Iterator[Text]:
    """What failed of a managed key, and what its owner should know."""
    for error in errors:
        yield from lines_of(name, error)
    for warning in warnings:
        yield Text(f"! {name}: {warning}", "yellow")


def lines_of(who: str, error: RotatorError) -> Iterator[Text]:
    """What happened, to whom, with which request, and the cure."""
    request = f" (request_id {error.request_id})" if error.request_id else ""
    yield Text(f"✗ {who}: {error.message}{request}", "bold red")
    if error.cure:
        yield Text(f"  cure: {error.cure}")
