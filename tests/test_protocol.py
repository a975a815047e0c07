"""docs/protocol.md: its decision tables say what the code decides, in the order in which it does."""

import re
from enum import StrEnum

import pytest

from rotator.rules.decide import Note
from rotator.rules.holds import HOLDS, MAX_ORPHANS, MAX_SUPERSEDED, MAX_UNSEEN, Hold
from rotator.rules.prune import SPARED, Spared
from rotator.rules.reasons import Reason
from rotator.rules.revocations import KEPT
from tests.program import ROOT

TEXT = (ROOT / "docs/protocol.md").read_text()


def _rows(first: str) -> list[list[str]]:
    """The rows of the table whose first column is called so."""
    (table,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines()]


@pytest.mark.parametrize(("first", "values"), [("reason", Reason), ("hold", Hold), ("note", Note)])
def test_each_table_names_what_the_code_knows_in_its_order(first: str, values: type[StrEnum]) -> None:
    assert list(dict.fromkeys(row[0] for row in _rows(first))) == [value.value for value in values]


def test_what_spares_a_key_from_a_prune_stands_in_the_order_in_which_it_is_asked() -> None:
    assert [row[0] for row in _rows("spared")] == [rule.name.value for rule in SPARED]
    assert {rule.name for rule in SPARED} == set(Spared)


def test_the_bounds_are_the_codes() -> None:
    (bounds, *_) = (row[1] for row in _rows("hold") if row[0] == Hold.BACKING_OFF)
    expected = (MAX_ORPHANS, MAX_SUPERSEDED, 2 * MAX_SUPERSEDED, MAX_UNSEEN, 2 * MAX_UNSEEN)
    assert re.findall(r"[0-9]+", bounds) == [str(bound) for bound in expected]


def test_what_a_hold_does_not_hold_stands_beside_it() -> None:
    rows = [(row[0], set(re.findall(r"missing|revoked|due|forced", row[2]))) for row in _rows("hold")]
    assert rows == [(rule.name, {reason.value for reason in rule.spares}) for rule in HOLDS]


def test_what_keeps_a_key_stands_in_the_order_in_which_it_is_asked() -> None:
    assert [(row[0], row[1]) for row in _rows("victim")] == [
        (victim.value, kept.value) for victim, rows in KEPT.items() for kept in (row.name for row in rows)
    ]
