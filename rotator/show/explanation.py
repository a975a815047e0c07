"""An explanation for a person: the rows of the decision tables, those that hold marked."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from rotator.lines import NO_BREAK
from rotator.rules.copies import place_of
from rotator.rules.explain import Explanation
from rotator.rules.owner import NOBODY
from rotator.rules.times import moment
from rotator.show.console import Rows, captured
from rotator.show.remedy import remedy_of


def render(explanation: Explanation, console: Console) -> str:
    """Return what is printed, redacted."""
    return captured(console, _parts(explanation))


def _parts(explanation: Explanation) -> Iterator[Rows | Text]:
    facts, plan = explanation.facts, explanation.plan
    yield Text(facts.key.name, style="bold")
    yield Text(f"{facts.key.path}, as it is {moment(facts.now)}")
    if plan.owner != NOBODY:
        yield Text(f"owner: {plan.owner}")
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
    yield from _section(
        "Copies that hold the current key",
        [
            (why is None, name, f"{place_of(facts.key.copies[name])}{f': {why}' if why else ''}")
            for name, why in explanation.copies.items()
        ],
    )
    yield Text("")
    yield Text(explanation.verdict, style="bold")
    if explanation.note:
        yield Text(explanation.note)
    remedy = remedy_of(facts.key.name, plan.reason, facts.key_id, plan.others, facts.now)
    yield from (Text(line) for line in (remedy.lines() if remedy else ()))
    if plan.held and plan.held.cure:
        yield Text(f"cure: {plan.held.cure}")
    yield from (Text(f"! {warning}", "yellow") for warning in plan.warnings)


def _section(heading: str, rows: Iterable[tuple[bool, str, str]]) -> Iterator[Rows | Text]:
    cells = []
    for holds, name, text in rows:
        style = "yellow" if holds else ""
        mark = f"  {'✓' if holds else '–'}  ".replace(" ", NO_BREAK)  # noqa: RUF001
        cells.append((Text(mark + name.replace(" ", NO_BREAK), style), Text(text, style)))
    if cells:
        yield Text("")
        yield Text(heading, style="bold")
        yield Rows(cells)
