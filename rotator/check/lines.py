"""How findings are printed: a line each, with its cure below."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from rotator.check.findings import Finding, Found, State, well
from rotator.lines import in_lines
from rotator.rules.times import count
from rotator.show.console import captured

_MARK: Final = {State.OK: "✓", State.NOTE: "!", State.BAD: "✗", State.SKIPPED: "–"}  # noqa: RUF001
_STYLE: Final = {State.OK: "green", State.NOTE: "yellow", State.BAD: "bold red", State.SKIPPED: "dim"}
_NAMES: Final = 16
"""Columns of the names; the longest has two fewer."""
_LEAST: Final = 30
"""Columns of what was seen, however narrow the terminal is."""


def render(name: str, finding: Finding, console: Console) -> str:
    """Return what is printed for a finding, redacted."""
    return captured(console, _lines(name, finding, console.width))


def render_sum(found: Sequence[Found], console: Console, looks: int = 1) -> str:
    """Return the last line, redacted: how many checks there were, how they came out, after how many looks."""
    counts = Counter(finding.state for _, finding in found)
    notes = "warning" if counts[State.NOTE] == 1 else "warnings"
    words = {State.OK: "ok", State.NOTE: notes, State.BAD: "failed", State.SKIPPED: "not tried"}
    parts = ", ".join(f"{counts[state]} {words[state]}" for state in State if counts[state])
    style = "bold" if well(found) else "bold red"
    after = f", after {looks} looks" if looks > 1 else ""
    return captured(console, (Text(f"{count(len(found), 'check')}: {parts}{after}", style=style),))


def _lines(name: str, finding: Finding, width: int) -> Iterator[Text]:
    request = f" (request_id {finding.request_id})" if finding.request_id else ""
    columns = max(_LEAST, width - _NAMES - 2)
    first, *others = in_lines(finding.seen + request, columns)
    style = _STYLE[finding.state]
    plain = style if finding.state in (State.BAD, State.SKIPPED) else ""
    yield Text.assemble((_MARK[finding.state], style), f" {name:<{_NAMES}}", (first, plain), no_wrap=True)
    for other in others:
        yield _below(other, plain)
    said, _, block = (finding.cure or "").partition("\n")
    for line in in_lines(f"cure: {said}", columns) if said else ():
        yield _below(line)
    for line in block.splitlines():  # of a policy: it is to be copied
        yield _below(line)


def _below(line: str, style: str = "") -> Text:
    return Text(" " * (_NAMES + 2) + line, style, no_wrap=True)
