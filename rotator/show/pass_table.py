"""The result of a pass for a person: a table, what needs attention, and one line that sums it up."""

import io
import shutil
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.errors import RotatorError
from rotator.passes.result import Action, KeyResult, Outcome, PassResult
from rotator.redaction import redact
from rotator.rules.times import short, until

_DONE: Final = {
    Action.ROTATE: "rotated",
    Action.ADOPT: "adopted",
    Action.RECORD: "noted",
    Action.HOLD: "held",
    Action.NONE: "ok",
}
_PLANNED: Final = {
    Action.ROTATE: "would rotate",
    Action.ADOPT: "would adopt",
    Action.RECORD: "would note",
    Action.HOLD: "would hold",
    Action.NONE: "ok",
}
_STYLE: Final = {
    Action.ROTATE: "green",
    Action.ADOPT: "green",
    Action.RECORD: "green",
    Action.HOLD: "yellow",
    Action.NONE: "",
}
_PIPE_WIDTH: Final = 120
_SHOWN: Final = 3
_NO_BREAK: Final = "\ue000"  # a space at which no line is broken; rich knows none


def render(result: PassResult, console: Console) -> str:
    """Return what is printed for `result`, redacted."""
    return captured(console, (_table(result), *_attention(result), _sum(result)))


def captured(console: Console, parts: Iterable[Table | Text]) -> str:
    """Return what `console` makes of the parts, redacted. A line of text is not broken; a table is."""
    with console.capture() as capture:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, Text))
    lines = capture.get().replace(_NO_BREAK, " ").splitlines()
    return redact("".join(line.rstrip() + "\n" for line in lines), short=True)


def console_for_stdout() -> Console:
    """A console that renders for stdout and does not write: as wide as it or, in a pipe, as a table wants it."""
    return Console(
        file=io.StringIO(),
        force_terminal=sys.stdout.isatty(),
        width=shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns,
        highlight=False,
        markup=False,
    )


def plain_table() -> Table:
    """A table without lines, as wide as what is in it."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _table(result: PassResult) -> Table:
    table = plain_table()
    for heading, justify in (
        ("managed key", "left"),
        ("state", "left"),
        ("key id", "right"),
        ("age", "right"),
    ):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("next rotation", justify="right", no_wrap=True)
    table.add_column("other keys", overflow="fold")
    for key in result.keys:
        table.add_row(
            key.key.name,
            _state(key),
            str(key.key_id or "-"),
            short(max(timedelta(), result.now - key.rotated_at)) if key.rotated_at else "-",
            _in(key.due_at, result.now),
            _other_keys(key, result.now),
        )
    return table


def _state(key: KeyResult) -> Text:
    why = (key.plan.hold or key.plan.reason) if key.plan else None
    because = f": {why}" if why else ""
    if key.outcome in (Outcome.FAILED, Outcome.STOPPED, Outcome.YIELDED) or key.action is None:
        return Text(key.outcome + because, style="bold red" if key.failed else "yellow")
    words = _PLANNED if key.outcome is Outcome.PLANNED else _DONE
    if key.failed and key.action is not Action.HOLD:
        because += ", revoke failed"
    return Text(words[key.action] + because, style="bold red" if key.failed else _STYLE[key.action])


def _other_keys(key: KeyResult, now: datetime) -> str:
    """The first few; each on one line, whatever the width."""
    others = list(_each_other(key, now))
    shown = "; ".join(other.replace(" ", _NO_BREAK) for other in others[:_SHOWN])
    return (shown + (f"; +{len(others) - _SHOWN}{_NO_BREAK}more" if len(others) > _SHOWN else "")) or "-"


def _each_other(key: KeyResult, now: datetime) -> Iterator[str]:
    for id_ in key.orphans:
        yield f"{id_} is an orphan"
    for id_, revoke_at in key.superseded.items():
        yield f"{id_} goes {_in(revoke_at, now)}" if revoke_at else f"{id_} stays"
    verb = "would revoke" if key.outcome is Outcome.PLANNED else "revoked"
    for revocation in key.revoked:
        yield f"{verb} {revocation.key_id}"


def _in(at: datetime | None, now: datetime) -> str:
    return until(at, now) if at else "-"


def _attention(result: PassResult) -> Iterator[Text]:
    for key in result.keys:
        yield from concerns_of(key.key.name, key.errors, key.warnings)
    for foreign in result.foreign:
        yield Text(f"! key {foreign.id} “{foreign.title}” is not of this installation and config: left alone")
    if result.refused:
        yield from lines_of("the account", result.refused)


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


def _sum(result: PassResult) -> Text:
    would = "would be " if result.dry_run else ""
    text = (
        f"{len(result.keys)} managed: {result.rotated} {would}rotated, {result.revoked} {would}revoked, "
        f"{result.failed} failed"
    )
    text += "; nothing was changed" if result.dry_run else ""
    text += "; stopped before all was done" if result.stopped else ""
    return Text(text, style="bold" if result.converged else "bold red")
