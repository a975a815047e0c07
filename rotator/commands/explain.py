"""`rotator explain`: look, and say why one managed key is rotated now or not."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.commands.names import load_with
from rotator.commands.output import CONVERGED, Output
from rotator.passes.result import held_back
from rotator.passes.stopping import Stopping
from rotator.passes.survey import survey
from rotator.rules.explain import Explanation, explain
from rotator.show.pass_table import captured, console_for_stdout
from rotator.wiring import open_account


def run_explain(config_path: Path | None, environ: Mapping[str, str], name: str, output: Output) -> int:
    """Print why `name` is rotated now or not; return the exit code."""

    def go() -> int:
        only = frozenset({name})
        config = load_with(only, config_path, environ)
        with open_account(config, environ, Stopping()) as account:
            (seen,) = survey(account, only=only).keys
        if seen.facts is None:
            raise seen.errors[0]
        explanation = explain(seen.facts)
        output.show(explanation.to_json, lambda: render(explanation, console_for_stdout()))
        return CONVERGED

    return output.guard(go)


def render(explanation: Explanation, console: Console) -> str:
    """Return what is printed, redacted."""
    return captured(console, _parts(explanation))


def _parts(explanation: Explanation) -> Iterator[Table | Text]:
    facts, plan = explanation.facts, explanation.plan
    yield Text(facts.key.name, style="bold")
    yield _lines([f"{facts.key.path}, as it is {facts.now:%Y-%m-%d %H:%M} UTC"])
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
        [(it.kept is None, f"{it.victim} {it.key_id}", it.text) for it in explanation.others],
    )
    yield Text("")
    yield _lines([explanation.verdict], style="bold")
    yield _lines([explanation.note] if explanation.note else [])
    yield _lines([f"cure: {error.cure}" for error in held_back(facts, plan)])
    yield _lines([f"! {warning}" for warning in plan.warnings], style="yellow")


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


def _lines(texts: Iterable[str], style: str = "") -> Table:
    """Broken at the console's width, which a Text is not."""
    table = Table.grid()
    table.add_column(overflow="fold")
    for text in texts:
        table.add_row(text, style=style)
    return table
