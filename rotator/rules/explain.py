"""Why a managed key is rotated now or not, and its other keys revoked or not: the decision tables, in words.

Pure. The rows are those that `decide` goes by; only what they are called here is added. Times are UTC, by the
gateway's clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from rotator.redaction import words
from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.cadence import Period
from rotator.rules.decide import (
    HOLDS,
    MAX_ORPHANS,
    REASONS,
    Hold,
    Kept,
    Note,
    Plan,
    Reason,
    Revocation,
    Rule,
    Victim,
    decide,
    in_flight,
    is_urgent,
    kept,
    most_piled,
    omitted,
    others,
    outside_window,
    piled,
    piled_up,
    youngest,
)
from rotator.rules.facts import Facts
from rotator.rules.history import Trace
from rotator.rules.times import count, short, time_to_json, when

Words = Callable[[Facts], str]


@dataclass(frozen=True)
class Row:
    """A row of a decision table, and the facts that it goes by."""

    name: Reason | Hold
    holds: bool
    text: str


@dataclass(frozen=True)
class Fate:
    """A live key beside the current one, and why it goes or stays."""

    key_id: int
    victim: Victim
    kept: Kept | None
    """None for one that is revoked now."""
    text: str


@dataclass(frozen=True)
class Explanation:
    """One managed key, row by row."""

    facts: Facts
    plan: Plan
    reasons: tuple[Row, ...]
    holds: tuple[Row, ...]
    """As they are or, without a reason, as they would be if it were due now."""
    others: tuple[Fate, ...]
    note: str | None
    verdict: str

    def to_json(self) -> dict[str, Any]:
        facts, plan = self.facts, self.plan
        rotation = facts.current.rotation if facts.current else None
        return {
            "name": facts.key.name,
            "path": facts.key.path,
            "version": facts.version.number,
            "now": time_to_json(facts.now),
            "verdict": self.verdict,
            "rotates": plan.rotates,
            "reason": plan.reason,
            "hold": plan.hold,
            "key_id": rotation.key_id if rotation else None,
            "rotated_at": time_to_json(rotation.rotated_at) if rotation else None,
            "due_at": time_to_json(facts.due_at),
            "reasons": [_row_to_json(row) for row in self.reasons],
            "holds": [_row_to_json(row) for row in self.holds],
            "others": [
                {"key_id": it.key_id, "victim": it.victim, "kept": it.kept, "text": it.text}
                for it in self.others
            ],
            "note": plan.note,
            "warnings": list(plan.warnings),
        }


def explain(facts: Facts) -> Explanation:
    """Say what `decide` decides, and why."""
    plan = decide(facts)
    return Explanation(
        facts=facts,
        plan=plan,
        reasons=tuple(Row(row.name, row.holds(facts), _REASONS[row.name](facts)) for row in REASONS),
        holds=tuple(Row(row.name, row.holds(facts), _hold(row, facts)) for row in HOLDS),
        others=tuple(_fate(facts, other) for other in others(facts)),
        note=_NOTES[plan.note](facts) if plan.note else None,
        verdict=_verdict(facts, plan),
    )


def _verdict(facts: Facts, plan: Plan) -> str:
    if plan.rotates:
        text = f"the next pass rotates it: {plan.reason}"
    elif plan.hold:
        text = f"not rotated now: {plan.reason}, but held back: {plan.hold}"
    else:
        due = f", and it falls due {when(facts.due_at, facts.now)}" if facts.due_at else ""
        text = f"not rotated now: there is no reason to{due}"
    ids = ", ".join(str(revocation.key_id) for revocation in plan.revocations)
    return f"{text}; {'it' if plan.rotates else 'the next pass'} revokes {ids}" if ids else text


def _missing(facts: Facts) -> str:
    number, field = facts.version.number, facts.key.field
    if facts.current:
        return f"version {number} of the secret holds a plaintext, in the field {field}"
    if facts.version.data is not None:
        return f"version {number} of the secret holds no plaintext in the field {field}"
    return f"version {number} of the secret was deleted" if number else "nothing was ever written to its path"


def _revoked(facts: Facts) -> str:
    if facts.current is None:
        return "there is no plaintext that could be refused"
    listed = _listed(facts)
    if facts.refused:
        return f"{listed}, and the gateway answered 401 to its plaintext"
    if facts.doubted:
        return f"{listed}, so the gateway was asked, and did not answer 401"
    return f"{listed}, so the gateway was not asked"


def _listed(facts: Facts) -> str:
    """What the list says of the current key."""
    rotation = facts.current.rotation if facts.current else None
    if rotation is None:
        return "the plaintext fits no listed key, or several"
    if key := facts.listed.get(rotation.key_id):
        return f"key {key.id} is listed as {words(key.status)}"
    young = "" if facts.doubted else f", but younger than {short(facts.timing.in_flight)}"
    return f"key {rotation.key_id} is not listed{young}"


def _due(facts: Facts) -> str:
    if facts.current is None or facts.due_at is None:
        return "there is no key that could be due"
    rotation, cadence = facts.current.rotation, facts.key.cadence
    if rotation is None:
        return "the plaintext fits no listed key, or several: due at once"
    if isinstance(cadence, Period):
        by = f"period {short(cadence.every)}" + (f" (spread {short(cadence.early)})" if cadence.early else "")
    else:
        by = f"schedule {cadence}"
    since = f"{'created' if facts.current.adopted else 'rotated'} at {rotation.rotated_at:%Y-%m-%d %H:%M}"
    return f"{since}, {by}, so due {when(facts.due_at, facts.now)}"


def _forced(facts: Facts) -> str:
    if facts.forced:
        return "--rotate-now"
    hold = decide(replace(facts, forced=True)).hold
    return f"--rotate-now would be held back, too: {hold}" if hold else "--rotate-now would rotate it at once"


def _in_flight(facts: Facts) -> str:
    if not facts.orphans:
        return "there is no orphan"
    orphan = min(facts.orphans, key=facts.age)
    than = "younger" if in_flight(facts) else "not younger"
    return (
        f"orphan {orphan.id} is {_age(facts, orphan.created_at)}, {than} than {short(facts.timing.in_flight)}"
    )


def _piled_up(facts: Facts) -> str:
    orphans = f"{count(len(facts.orphans), 'orphan')} of {MAX_ORPHANS}"
    text = f"{orphans}, {piled(facts)} superseded of {most_piled(facts)}"
    if is_urgent(facts) and piled(facts) >= most_piled(facts):
        text += (
            f"; one more in each grace of {short(facts.key.grace_period)}: "
            f"the youngest is {short(youngest(facts))} old"
        )
    return text


def _omitted(facts: Facts) -> str:
    if facts.current is None or facts.current.rotation is None:
        return "it is not known which key the list should show"
    if facts.omitted:
        return f"the list omits key {facts.current.key_id}, though it works, so it may omit others"
    return _listed(facts) + (", and is refused" if facts.refused else "")


def _outside_window(facts: Facts) -> str:
    cadence, now = facts.key.cadence, facts.now
    if not cadence.window_open(now):
        return f"its window is closed, and opens {when(cadence.due_at(now), now)}"
    ends = cadence.window_ends(now)
    return f"its window is open until {when(ends, now)}" if ends else "it has no window"


_REASONS: Final[Mapping[Reason, Words]] = {
    Reason.MISSING: _missing,
    Reason.REVOKED: _revoked,
    Reason.DUE: _due,
    Reason.FORCED: _forced,
}
_HOLDS: Final[Mapping[Callable[[Facts], bool], Words]] = {
    in_flight: _in_flight,
    piled_up: _piled_up,
    omitted: _omitted,
    outside_window: _outside_window,
}
"""By the row's predicate, for a name may stand in several rows."""


def _hold(row: Rule[Hold], facts: Facts) -> str:
    text = _HOLDS[row.when](facts)
    if row.when(facts) and (spared := row.spared(facts)):
        text += f"; but that does not hold back what is {spared[0]}"
    return text


def _adopt(facts: Facts) -> str:
    id_ = facts.current.key_id if facts.current else None
    return f"adopt: somebody put key {id_} there; the bookkeeping that names it is written"


def _record(facts: Facts) -> str:
    if facts.current and facts.current.rolled_back:
        return "record: somebody restored an older version; the grace of the keys that it names begins anew"
    found = [id_ for id_, trace in facts.traces.items() if trace is Trace.PUBLISHED]
    return f"record: published once, and now named: {', '.join(map(str, found))}"


_NOTES: Final[Mapping[Note, Words]] = {Note.ADOPT: _adopt, Note.RECORD: _record}
_KEPT: Final = {
    Kept.WITHOUT_SUCCESSOR: "but nothing has taken its place yet",
    Kept.IN_GRACE: "so it lives on",
    Kept.YOUNG: "so it lives on",
    Kept.PROTECTED: "but it is the bearer, or may be in use elsewhere",
    Kept.ADOPTED: "but a person made it: revoke it, or set revoke_adopted",
    None: "so it is revoked",
}


def _fate(facts: Facts, other: Revocation) -> Fate:
    why, at = kept(facts, other), other.since
    if other.victim is Victim.ORPHAN:
        text = f"created {at:%Y-%m-%d %H:%M}, {_age(facts, at)}, never published; "
        text += f"orphan_after is {short(facts.timing.orphan_after)}"
    elif at == WITHOUT_GRACE:
        text = "superseded without grace, by --revoke-old-now"
    else:
        ends = at + facts.key.grace_period
        text = f"superseded {when(at, facts.now)}; its grace of {short(facts.key.grace_period)} "
        text += f"{'ended' if ends <= facts.now else 'ends'} {when(ends, facts.now)}"
    return Fate(other.key_id, other.victim, why, f"{text}, {_KEPT[why]}")


def _age(facts: Facts, at: datetime) -> str:
    return f"{short(facts.now - at)} old" if at <= facts.now else f"dated {short(at - facts.now)} ahead"


def _row_to_json(row: Row) -> dict[str, Any]:
    return {"name": row.name, "holds": row.holds, "text": row.text}
