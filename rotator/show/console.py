"""What all that is printed for a person has in common: width, lines, tables, redaction, how a failure reads."""

import io
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.errors import RETRIED, RotatorError
from rotator.lines import NO_BREAK, in_lines, width_of
from rotator.redaction import redact

_PIPE_WIDTH: Final = 120
_GAP: Final = 2
"""Spaces between two columns."""


@dataclass(frozen=True)
class Rows:
    """A table without lines, as wide as what is in it. Where not even its longest words fit beside each other, each
    row is a paragraph instead: its first cell, and a line for each other one.
    """

    cells: Sequence[Sequence[Text | str]]
    headings: Sequence[str] = ()
    right: frozenset[int] = frozenset()
    """Columns that are aligned to the right."""


def captured(console: Console, parts: Iterable[Rows | Text]) -> str:
    """Return what `console` makes of the parts, redacted. Lines are broken between words, and nowhere else."""
    width = None if console.soft_wrap else console.width
    with console.capture() as capture:
        for part in parts:
            for shown in _fitted(part, width, console.width):
                console.print(shown, soft_wrap=isinstance(shown, Text))
    lines = capture.get().replace(NO_BREAK, " ").splitlines()
    return redact("".join(line.rstrip() + "\n" for line in lines), short=True)


def _fitted(part: Rows | Text, width: int | None, of_tables: int) -> Iterator[Table | Text]:
    if isinstance(part, Rows):
        yield from _of_rows(part, width, of_tables)
    elif part.no_wrap:  # it is in lines already
        yield part
    else:
        yield from (Text(line, part.style) for line in in_lines(part.plain, width))


def _of_rows(rows: Rows, width: int | None, of_tables: int) -> Iterator[Table | Text]:
    if not rows.cells:
        return
    shown = [*([list(rows.headings)] if rows.headings else []), *rows.cells]
    columns = [[_plain(cell) for cell in column] for column in zip(*shown, strict=True)]
    widths = _widths(columns, of_tables - _GAP * (len(columns) - 1))
    if widths is None:
        for row in rows.cells:
            yield from _paragraph(row, rows.headings, width or of_tables)
        return
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        header_style="bold",
        show_header=bool(rows.headings),
    )
    for at, room in enumerate(widths):
        heading = rows.headings[at] if rows.headings else ""
        table.add_column(heading, justify="right" if at in rows.right else "left", width=room)
    for row in rows.cells:
        table.add_row(*row)
    yield table


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """As wide as each column wants to be, or at least as its longest word; None where even that is too much."""
    wanted = [max(map(len, column)) for column in columns]
    widths = [max(len(word) for cell in column for word in cell.split(" ")) for column in columns]
    left = room - sum(widths)
    if left < 0:
        return None
    for at in sorted(range(len(columns)), key=lambda at: wanted[at] - widths[at]):  # the least wish first
        more = min(left, wanted[at] - widths[at])
        widths[at] += more
        left -= more
    return widths


def _paragraph(row: Sequence[Text | str], headings: Sequence[str], width: int) -> Iterator[Text]:
    for at, cell in enumerate(row):
        text, style = _plain(cell), cell.style if isinstance(cell, Text) else ""
        if at and text in ("", "-"):
            continue
        heading = f"{headings[at]}: " if headings and at else ""
        for line in in_lines(f"{'  ' * bool(at)}{heading}{text}", width):
            yield Text(line, style)


def _plain(cell: Text | str) -> str:
    return cell.plain if isinstance(cell, Text) else cell


def console_for_stdout() -> Console:
    """A console that renders for stdout and does not write: as wide as it or, in a pipe, as a table wants it.

    In a pipe lines of text stay whole, for whoever searches them, unless COLUMNS says how wide its end is.
    """
    return Console(
        file=io.StringIO(),
        force_terminal=sys.stdout.isatty(),
        width=shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns,
        soft_wrap=width_of(sys.stdout) is None,
        highlight=False,
        markup=False,
        emoji=False,  # `:key:` in a path or an error is no picture
    )


def concerns_of(name: str, errors: Iterable[RotatorError], warnings: Iterable[str]) -> Iterator[Text]:
    """What failed of a managed key, and what its owner should know."""
    for error in errors:
        yield from lines_of(name, error)
    for warning in warnings:
        yield Text(f"! {name}: {warning}", "yellow")


def copy_lines(copies: Mapping[str, RotatorError | None]) -> Iterator[Text]:
    """Which copies hold the key that is current now; of the others, why not and what to do."""
    for name, error in copies.items():
        if error is None:
            yield Text(f"  the copy for {name} holds it, too")
        else:
            request = f" (request_id {error.request_id})" if error.request_id else ""
            yield Text(f"! the copy for {name} does not hold it: {error.message}{request}", "yellow")
            yield Text(f"  cure: {error.cure}" if error.cure else f"  retry: {RETRIED}")


def lines_of(who: str, error: RotatorError, retried: str = RETRIED) -> Iterator[Text]:
    """What happened, to whom, with which request; then the cure, or that it is tried again."""
    request = f" (request_id {error.request_id})" if error.request_id else ""
    yield Text(f"✗ {who}: {error.message}{request}", "bold red")
    yield Text(f"  cure: {error.cure}" if error.cure else f"  retry: {retried}")
