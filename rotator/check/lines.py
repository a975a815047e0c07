"""How findings are printed: a line each, with its cure below."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.text import Text

from rotator.check.findings import Finding, Found, State, well
from rotator.rules.times import count
from rotator.show.console import captured

_MARK: Final = {State.OK: "✓", State.NOTE: "!", State.BAD: "✗", State.SKIPPED: "–"}  # noqa: RUF001
_STYLE: Final = {State.OK: "green", State.NOTE: "yellow", State.BAD: "bold red", State.SKIPPED: "dim"}
_NAMES: Final = 16
"""Columns of the names; the longest has two fewer."""
_LEAST: Final = 30
"""Columns of what was seen, however narrow the terminal is."""
_WHOLE: Final = re.compile(r"`[^`]*`|\(request_id [^)]*\)")


def render(name: str, finding: Finding, console: Console) -> str:
    """Return what is printed for a finding, redacted."""
    return captured(console, _lines(name, finding, console.width))


def render_sum(found: Sequence[Found], console: Console) -> str:
    """Return the last line, redacted: how many checks there were, and how they came out."""
    counts = Counter(finding.state for _, finding in found)
    notes = "warning" if counts[State.NOTE] == 1 else "warnings"
    words = {State.OK: "ok", State.NOTE: notes, State.BAD: "failed", State.SKIPPED: "not tried"}
    parts = ", ".join(f"{counts[state]} {words[state]}" for state in State if counts[state])
    style = "bold" if well(found) else "bold red"
    return captured(console, (Text(f"{count(len(found), 'check')}: {parts}", style=style),))


def _lines(name: str, finding: Finding, width: int) -> Iterator[Text]:
    request = f" (request_id {finding.request_id})" if finding.request_id else ""
    first, *others = _wrapped(finding.seen + request, width)
    style = _STYLE[finding.state]
    plain = style if finding.state in (State.BAD, State.SKIPPED) else ""
    yield Text.assemble((_MARK[finding.state], style), f" {name:<{_NAMES}}", (first, plain))
    for other in others:
        yield _below(other, plain)
    for at, line in enumerate((finding.cure or "").splitlines()):
        if at:  # a command or a block of a policy: it is to be copied
            yield _below(line)
        else:
            for part in _wrapped(f"cure: {line}", width):
                yield _below(part)


def _below(line: str, style: str = "") -> Text:
    return Text(" " * (_NAMES + 2) + line, style)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines that fit beside the names. No word is broken, for it may be a path; nor a command that fits a line."""
    columns = max(_LEAST, width - _NAMES - 2)
    text = _WHOLE.sub(lambda one: one[0].replace(" ", "\xa0") if len(one[0]) <= columns else one[0], text)
    lines = wrap(text, columns, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines] or [""]
