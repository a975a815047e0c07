"""The result of a pass for a person: a table, what needs attention, and one line that sums it up."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from rich.console import Console
from rich.text import Text

from rotator.lines import NO_BREAK
from rotator.passes.result import Action, KeyResult, Outcome, PassResult
from rotator.rules.holds import Hold
from rotator.rules.revocations import Kept, Victim, going
from rotator.rules.times import short, until
from rotator.show.console import Rows, captured, concerns_of, lines_of
from rotator.show.key_status import key_status

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
_SHOWN: Final = 3
_MANY: Final = 50
"""Managed keys; of more, those that are well, and with which nothing was done, are only counted."""


def render(result: PassResult, console: Console) -> str:
    """Return what is printed for `result`, redacted."""
    ranked = sorted(result.keys, key=lambda key: -key_status(key, result.now).severity)
    shown = [key for key in ranked if len(result.keys) <= _MANY or not _is_quiet(key)]
    table = (_table(result, shown),) if shown else ()
    return captured(console, (*table, *_left_out(result, shown), *_attention(result), _sum(result)))


def _is_quiet(key: KeyResult) -> bool:
    began = key.outcome in (Outcome.DONE, Outcome.PLANNED)
    return began and key.action is Action.NONE and not (key.failed or key.warnings or key.others)


def _left_out(result: PassResult, shown: Sequence[KeyResult]) -> Iterator[Text]:
    if left := len(result.keys) - len(shown):
        yield Text(f"{left} {'more ' if shown else ''}are ok, and there is nothing to do")


def _table(result: PassResult, shown: Sequence[KeyResult]) -> Rows:
    cells = [
        (
            key.key.name,
            _state(key),
            str(key.key_id or "-"),
            short(max(timedelta(), result.now - key.rotated_at)) if key.rotated_at else "-",
            _next(key, result),
            _other_keys(key, result.now),
        )
        for key in shown
    ]
    headings = ("managed key", "state", "key id", "age", "next rotation", "other keys")
    return Rows(cells, headings, right=frozenset({2, 3, 4}))


def _next(key: KeyResult, result: PassResult) -> str:
    if key.plan and key.plan.hold is Hold.FROZEN and key.plan.frozen_until:
        return _in(key.plan.frozen_until, result.now)
    return "next pass" if key.unrotated and not result.dry_run else _in(key.due_at, result.now)


def _state(key: KeyResult) -> Text:
    why = (key.plan.hold or key.plan.reason) if key.plan else None
    because = f": {why}" if why else ""
    if key.outcome not in (Outcome.DONE, Outcome.PLANNED) or key.action is None:
        return Text(key.outcome + because, style="bold red" if key.failed else "yellow")
    words = _PLANNED if key.outcome is Outcome.PLANNED else _DONE
    if key.failed and key.action is not Action.HOLD:
        held = key.plan is not None and not key.plan.revocations
        because += ", revocation held" if held else ", revocation failed"
    return Text(words[key.action] + because, style="bold red" if key.failed else _STYLE[key.action])


def _other_keys(key: KeyResult, now: datetime) -> str:
    """The first few; each on one line, whatever the width."""
    others = list(_each_other(key, now))
    shown = "; ".join(other.replace(" ", NO_BREAK) for other in others[:_SHOWN])
    return (shown + (f"; +{len(others) - _SHOWN}{NO_BREAK}more" if len(others) > _SHOWN else "")) or "-"


def _each_other(key: KeyResult, now: datetime) -> Iterator[str]:
    for other in sorted(key.left, key=lambda other: other.victim is not Victim.ORPHAN):
        if other.victim is Victim.ORPHAN:
            yield f"orphan {other.key_id} {'stays' if other.stays else going(other.goes_at, now)}"
        else:
            kept = other.kept is Kept.WITHOUT_SUCCESSOR and key.unrotated
            stays = "is kept" if kept else "stays" if other.stays else ""
            yield f"{other.key_id} {stays or going(other.goes_at, now)}"
    verb = "would revoke" if key.outcome is Outcome.PLANNED else "revoked"
    for revocation in key.revoked:
        yield f"{verb} {revocation.key_id}"


def _in(at: datetime | None, now: datetime) -> str:
    return until(at, now).replace(" ", NO_BREAK) if at else "-"


def _attention(result: PassResult) -> Iterator[Text]:
    for key in result.keys:
        if key.plan and key.plan.freeze:
            yield Text(f"{key.key.name} is {key.plan.freeze.say(result.now)}")
        yield from concerns_of(key.key.name, key.errors, key.warnings)
    for foreign in result.foreign:
        yield Text(
            f"! key {foreign.id} “{foreign.title}” is unmanaged: another installation or config made it"
        )
    if result.refused:
        yield from lines_of("the account", result.refused)


def _sum(result: PassResult) -> Text:
    would = "would be " if result.dry_run else ""
    held = sum(key.held and key.failed for key in result.keys)  # waits for a person: no try of it went wrong
    text = (
        f"{len(result.keys)} managed: {result.rotated} {would}rotated, {result.revoked} {would}revoked, "
        f"{result.failed - held} failed"
    )
    text += f", {held} held" if held else ""
    text += "; nothing was changed" if result.dry_run else ""
    if result.not_reached:
        rest = "run this again for them" if result.forced else "and first in the next pass"
        text += f"; {result.not_reached} not reached within pass_deadline, {rest}"
    if result.stopped:
        rest = "run this again for the rest" if result.forced else "and the next pass does the rest"
        text += f"; stopped before all was done, {rest}"
    return Text(text, style="bold" if result.converged else "bold red")
