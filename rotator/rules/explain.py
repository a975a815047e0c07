"""Why a managed key is rotated now or not, and its other keys revoked or not: every row of the tables. Pure.

Times are UTC, by the gateway's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rotator.rules.decide import Note, Plan, decide
from rotator.rules.facts import Facts
from rotator.rules.history import Trace
from rotator.rules.holds import HOLDS, Hold
from rotator.rules.reasons import REASONS, Reason, Row, first
from rotator.rules.times import time_to_json, when


@dataclass(frozen=True)
class Explanation:
    """One managed key, row by row."""

    facts: Facts
    plan: Plan
    reasons: tuple[Row[Reason], ...]
    holds: tuple[Row[Hold], ...]
    """As they are or, without a reason, as they would be if it were due now."""
    note: str | None
    verdict: str
    copies: Mapping[str, str | None] = field(default_factory=dict)
    """By consumer that reads a copy: why that does not hold the current key, in words; None where it does."""

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator explain --json`."""
        facts, plan = self.facts, self.plan
        return {
            "name": facts.key.name,
            "path": facts.key.path,
            "version": facts.version.number,
            "now": time_to_json(facts.now),
            "gateway_now": time_to_json(facts.now),
            "verdict": self.verdict,
            "rotates": plan.rotates,
            "reason": plan.reason,
            "hold": plan.hold,
            "key_id": plan.current.key_id if plan.current else None,
            "rotated_at": time_to_json(plan.current.rotated_at) if plan.current else None,
            "due_at": time_to_json(facts.due_at),
            "reasons": [_row_to_json(row) for row in self.reasons],
            "holds": [_row_to_json(row) for row in self.holds],
            "others": [
                {"key_id": it.key_id, "victim": it.victim, "kept": it.kept, "text": it.text}
                for it in plan.others
            ],
            "behind": [name for name, why in self.copies.items() if why],
            "note": plan.note,
            "frozen": plan.freeze.to_json() if plan.freeze else None,
            **plan.owner.to_json(),
            "warnings": list(plan.warnings),
        }


def explain(facts: Facts, copies: Mapping[str, str | None] | None = None) -> Explanation:
    """Say what `decide` decides, and why; `copies`: how each copy is."""
    plan = decide(facts)
    return Explanation(
        facts=facts,
        plan=plan,
        reasons=tuple(_reason(rule.row(facts), facts) for rule in REASONS),
        holds=tuple(rule.row(facts) for rule in HOLDS),
        note=_note(facts, plan.note) if plan.note else None,
        verdict=_verdict(facts, plan),
        copies=copies or {},
    )


def _reason(row: Row[Reason], facts: Facts) -> Row[Reason]:
    """Of what nobody has asked for, what would come of it."""
    if row.name is not Reason.FORCED or row.holds:
        return row
    hold = first(HOLDS, replace(facts, forced=True))
    would = f"would be held, too: {hold.name}" if hold else "would rotate it at once"
    return replace(row, text=f"{row.text} {would}")


def _verdict(facts: Facts, plan: Plan) -> str:
    if plan.rotates:
        text = f"the next pass rotates it: {plan.reason}"
    elif plan.hold:
        text = f"not rotated now: {plan.reason}, but held: {plan.hold}"
    else:
        due = f", and it falls due {when(facts.due_at, facts.now)}" if facts.due_at else ""
        text = f"not rotated now: there is no reason to{due}"
    ids = ", ".join(str(revocation.key_id) for revocation in plan.revocations)
    return f"{text}; {'it' if plan.rotates else 'the next pass'} revokes {ids}" if ids else text


def _note(facts: Facts, note: Note) -> str:
    if note is Note.ADOPT:
        return (
            f"adopt: somebody put key {facts.key_id} there, and the bookkeeping that names it "
            "is to be written"
        )
    if facts.current and facts.current.rolled_back:
        return "record: somebody restored an older version; the grace of the keys that it names begins again"
    if facts.current and facts.current.redated:
        return "record: a time in the bookkeeping is missing or impossible, and is to be written again"
    found = [id_ for id_, trace in facts.traces.items() if trace is Trace.PUBLISHED]
    return f"record: published once, and to be named now: {', '.join(map(str, found))}"


def _row_to_json(row: Row[Any]) -> dict[str, Any]:
    return {"name": row.name, "holds": row.holds, "text": row.text}
