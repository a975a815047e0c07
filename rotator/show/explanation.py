"""An explanation for a person: the rows of the decision tables, those that hold marked."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.rules.explain import Explanation
from rotator.show.console import captured, folded


def render(explanation: Explanation, console: Console) -> str:
    """Return what is printed, redacted."""
    return captured(console, _parts(explanation))


def _parts(explanation: Explanation) -> Iterator[Table | Text]:
    facts, plan = explanation.facts, explanation.plan
    yield Text(facts.key.name, style="bold")
    yield folded([f"{facts.key.path}, as it is {facts.now:%Y-%m-%d %H:%M} UTC"])
    yield from _section(
        "Rotate because (the first ✓ counts)",
        [(row.holds, row.name, row.text) for row in explanation.reasons],
    )
    yield from _section(
        "Hold back because" if plan.reason else "Hold back, if it were due now, because",
        [(row.holds, row.name, row.text) for row in explanation.holds],
    )
    yield from _section(
        "Revoke",
        [(it.kept is None, f"{it.victim} {it.key_id}", it.text) for it in plan.others],
    )
    yield Text("")
    yield folded([explanation.verdict], style="bold")
    yield folded([explanation.note] if explanation.note else [])
    yield folded([f"cure: {plan.held.cure}"] if plan.held and plan.held.cure else [])
    yield folded([f"! {warning}" for warning in plan.warnings], style="yellow")


def _section(heading: str, rows: Iterable[tuple[bool, str, str]]) -> Iterator[Table | Text]:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for holds, name, text in rows:
        mark = "✓" if holds else "–"  # noqa: RUF001
        table.add_row(f"  {mark}", name, text, style="yellow" if holds else "")
    if table.row_count:
        yield Text("")
        yield Text(heading, style="bold")
        yield table
