"""Why a managed key is rotated: the table, each row with its words. The first that holds is the reason. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from rotator.redaction import is_word, words
from rotator.rules.facts import Facts
from rotator.rules.times import moment, short, when

R = TypeVar("R", bound=StrEnum)


class Reason(StrEnum):
    """Why a managed key is rotated."""

    MISSING = "missing"
    REVOKED = "revoked"
    DUE = "due"
    FORCED = "forced"


@dataclass(frozen=True)
class Row(Generic[R]):
    """A row of a decision table, held against the facts of one managed key."""

    name: R
    holds: bool
    text: str
    """The facts that it goes by, in words; it holds no secret."""
    cure: str | None = None
    """What a person can do about it; None where time alone is the cure."""


@dataclass(frozen=True)
class Rule(Generic[R]):
    """A row of a decision table, before it is held against any facts."""

    name: R
    when: Callable[[Facts], bool]
    words: Callable[[Facts], str]
    spares: frozenset[Reason] = frozenset()
    """The reasons that it does not stand against."""
    cure: str | None = None
    """A hold that time alone does not end is a failure, and this is its cure."""

    def row(self, facts: Facts) -> Row[R]:
        """Hold it against `facts`: it does not hold where one of the reasons that it spares does."""
        holds, text = self.when(facts), self.words(facts)
        spared = [rule.name for rule in REASONS if rule.name in self.spares and holds and rule.when(facts)]
        text += f"; but that does not hold back what is {spared[0]}" if spared else ""
        return Row(self.name, holds and not spared, text, self.cure)


def first(rules: Sequence[Rule[R]], facts: Facts) -> Row[R] | None:
    """Return the first row that holds; None where none does."""
    return next((row for rule in rules if (row := rule.row(facts)).holds), None)


def listed_as(facts: Facts) -> str:
    """What the list says of the current key, in words."""
    rotation = facts.rotation
    if rotation is None:
        return "the plaintext matches no listed key, or more than one"
    if key := facts.listed.get(rotation.key_id):
        return f"key {key.id} is listed as {words(key.status)}"
    young = "" if facts.doubted else f", but younger than {short(facts.timing.in_flight)}"
    return f"key {rotation.key_id} is not listed{young}"


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
    listed = listed_as(facts)
    if facts.refused and not is_word(facts.plaintext or ""):
        return "the plaintext holds a space or another character that no key has, so it cannot work"
    if facts.refused:
        return f"{listed}, and the gateway answered 401 to its plaintext"
    if facts.doubted:
        return f"{listed}, so the gateway was asked, and did not answer 401"
    return f"{listed}, so the gateway was not asked"


def _due(facts: Facts) -> str:
    if facts.current is None or facts.due_at is None:
        return "there is no key that could be due"
    rotation = facts.rotation
    if rotation is None:
        return "the plaintext matches no listed key, or more than one: due at once"
    since = f"{'created' if facts.current.adopted else 'rotated'} at {moment(rotation.rotated_at)}"
    return f"{since}, {facts.key.cadence}, so due {when(facts.due_at, facts.now)}"


REASONS: Final[tuple[Rule[Reason], ...]] = (
    Rule(Reason.MISSING, lambda facts: facts.current is None, _missing),
    Rule(Reason.REVOKED, lambda facts: facts.refused, _revoked),
    Rule(Reason.DUE, lambda facts: facts.due_at is not None and facts.due_at <= facts.now, _due),
    Rule(Reason.FORCED, lambda facts: facts.forced, lambda _: "--rotate-now"),
)
