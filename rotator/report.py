"""The result of a pass for a person: a table, what needs attention, and one line that sums it up."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.errors import RotatorError
from rotator.redaction import redact
from rotator.result import Action, KeyResult, Outcome, PassResult

_DONE: Final = {
    Action.ROTATE: "rotated",
    Action.ADOPT: "adopted",
    Action.RECORD: "noted",
    Action.HOLD: "held",
    Action.NONE: "fresh",
}
_PLANNED: Final = {
    Action.ROTATE: "would rotate",
    Action.ADOPT: "would adopt",
    Action.RECORD: "would note",
    Action.HOLD: "would hold",
    Action.NONE: "fresh",
}
_STYLE: Final = {
    Action.ROTATE: "green",
    Action.ADOPT: "green",
    Action.RECORD: "green",
    Action.HOLD: "yellow",
    Action.NONE: "",
}
_PIPE_WIDTH: Final = 120


def render(result: PassResult, console: Console) -> str:
    """Return what is printed for `result`, redacted."""
    with console.capture() as captured:
        console.print(_table(result))
        for line in (*_attention(result), _sum(result)):
            console.print(line, soft_wrap=True)
    return redact("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def console_for_stdout() -> Console:
    """A console as wide as the terminal or, in a pipe, as `COLUMNS` or a table wants it."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def short(duration: timedelta) -> str:
    """Say a duration with its two largest units: `3d 4h`, `15m`, `2s`."""
    seconds = int(duration.total_seconds())
    for unit, size, below, below_size in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60)):
        # To the nearest of the smaller unit: a key made for 7d two seconds ago has 7d left.
        whole, part = divmod((seconds + below_size // 2) // below_size, size // below_size)
        if whole:
            return f"{whole}{unit} {part}{below}" if part else f"{whole}{unit}"
    return f"{seconds // 60}m" if seconds >= 60 else f"{seconds}s"


def _table(result: PassResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, justify in (
        ("managed key", "left"),
        ("state", "left"),
        ("key id", "right"),
        ("age", "right"),
    ):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("next rotation", justify="right", no_wrap=True)
    table.add_column("also live", overflow="fold")
    for key in result.keys:
        table.add_row(
            key.key.name,
            _state(key),
            str(key.key_id or "-"),
            short(result.now - key.rotated_at) if key.rotated_at else "-",
            _in(key.due_at, result.now),
            "; ".join(_also_live(key, result.now)) or "-",
        )
    return table


def _state(key: KeyResult) -> Text:
    if key.outcome in (Outcome.FAILED, Outcome.STOPPED, Outcome.YIELDED) or key.plan is None:
        return Text(key.outcome, style="bold red" if key.failed else "yellow")
    action = key.action or Action.NONE
    words = _PLANNED if key.outcome is Outcome.PLANNED else _DONE
    why = key.plan.hold or key.plan.reason
    style = "bold red" if key.failed else _STYLE[action]
    return Text(words[action] + (f": {why}" if why else ""), style=style)


def _also_live(key: KeyResult, now: datetime) -> Iterator[str]:
    for id_, revoke_at in key.superseded.items():
        yield f"{id_}, goes {_in(revoke_at, now)}"
    for id_ in key.orphans:
        yield f"{id_} (orphan)"
    verb = "would revoke" if key.outcome is Outcome.PLANNED else "revoked"
    for revocation in key.revoked:
        yield f"{verb} {revocation.key_id}"


def _in(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "-"
    return f"in {short(at - now)}" if at > now else "now"


def _attention(result: PassResult) -> Iterator[Text]:
    for key in result.keys:
        for error in key.errors:
            yield from _lines(key.key.name, error)
        for warning in key.warnings:
            yield Text(f"! {key.key.name}: {warning}", "yellow")
    for foreign in result.foreign:
        yield Text(f"! key {foreign.id} “{foreign.title}” is not of this installation and config: left alone")
    if result.refused:
        yield from _lines("the account", result.refused)


def _lines(who: str, error: RotatorError) -> Iterator[Text]:
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
