"""A freeze and an owner, wherever a managed key is shown: held, not late, until when, and why."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.passes.freeze import Changed
from rotator.passes.result import Outcome, planned
from rotator.rules.decide import decide
from rotator.rules.explain import explain
from rotator.rules.facts import Facts
from rotator.rules.freeze import Freeze
from rotator.rules.revocations import Kept
from rotator.service.metrics import Metrics
from rotator.service.notices import Told, after_pass
from rotator.service.web.finding import Query
from rotator.service.web.page import Page
from rotator.show import explanation, pass_table
from rotator.show.console import console_for_stdout
from rotator.show.exposed import exposed_by
from rotator.show.freeze import released
from rotator.show.incident import foretell
from rotator.show.key_status import KeyStatus, key_status, key_statuses
from rotator.show.next_rotation import next_rotation
from rotator.show.severity import KeyState, Severity
from rotator.show.snapshot import Snapshot
from tests.facts import at, block, facts, key, managed, secret
from tests.shown import REFUSED, passed, snapshot, together

CUSTOM = {"rotator-hold": "2026-12-11T00:00:00Z the <b>sale</b>", "owner": "Payments", "contact": "#pay"}
"""Forty days after at(0)."""
NOW = at(30)
TELLS = "frozen until 2026-12-11 00:00 UTC, in 10d: the <b>sale</b>"


def seen(now: float = 30, custom: dict[str, str] | None = None, rotated: float = 0) -> Facts:
    """A key that is due after a week, and one that it has replaced."""
    data = secret(block(2, rotated=at(rotated), superseded={1: at(rotated)}))
    return facts([key(1), key(2)], data, now=at(now), custom=CUSTOM if custom is None else custom)


def shot(what: Facts, later: timedelta = timedelta()) -> Snapshot:
    result = together(planned(what.key, decide(what)))
    return snapshot(passed(result, what.now), now=what.now + later)


def status(what: Facts, later: timedelta = timedelta()) -> KeyStatus:
    (found,) = key_statuses(shot(what, later))
    return found


class TestItStands:
    def test_held_not_late_for_as_long_as_it_lasts(self) -> None:
        found = status(seen())
        assert (found.state, found.severity, found.overdue) == (KeyState.HELD, Severity.HELD, 0)
        assert found.why == f"due, but held: {TELLS}"
        assert not found.severity.alarms

    def test_it_is_late_when_it_is_over_and_no_pass_comes(self) -> None:
        ends = at(40) - NOW
        assert not status(seen(), ends + timedelta(minutes=59)).severity.alarms
        assert status(seen(), ends + timedelta(minutes=61)).severity is Severity.LATE

    def test_what_was_frozen_counts_from_the_end_of_the_freeze(self) -> None:
        """Nobody is accused of the time in which it was frozen."""
        for minutes, late in ((59, False), (61, True)):
            what = seen(40 + minutes / 1440)
            found = key_status(planned(what.key, decide(what)), what.now)
            assert (found.state is KeyState.OVERDUE, found.overdue) == (late, late)
            (other,) = found.superseded
            assert other.goes_at == at(40)

    def test_without_one_it_is_late(self) -> None:
        assert status(seen(custom={})).severity is Severity.LATE

    def test_a_key_that_is_only_kept_is_held_too(self) -> None:
        found = status(seen(rotated=28))
        assert (found.state, found.why) == (KeyState.HELD, TELLS)
        assert [(other.id, other.goes_at, other.overdue) for other in found.superseded] == [
            (1, at(40), False)
        ]

    def test_one_with_nothing_to_do_is_well_and_says_it(self) -> None:
        found = status(seen(rotated=29.5))
        assert (found.state, found.severity, found.why) == (KeyState.OK, Severity.WELL, TELLS)

    @pytest.mark.parametrize("text", ["2026-11-10 over", "unreadable", "2099-01-01 long"])
    def test_what_is_wrong_with_it_is_a_note(self, text: str) -> None:
        found = status(seen(rotated=29.5, custom={"rotator-hold": text}))
        assert found.severity is Severity.NOTE
        assert "rotator release 'Backend'" in found.warnings[0]

    def test_when_it_is_rotated(self) -> None:
        found = status(seen())
        assert next_rotation(found, NOW, NOW, running=False) == "when its freeze ends, in 10d"
        assert found.frozen_until == at(40)

    def test_as_json(self) -> None:
        body = status(seen()).to_json()
        assert body["frozen"] == {"until": "2026-12-11T00:00:00Z", "reason": "the <b>sale</b>"}
        assert (body["owner"], body["contact"], body["severity"]) == ("Payments", "#pay", "held")
        assert json.dumps(body)
        unreadable = status(seen(custom={"rotator-hold": "x"})).to_json()
        assert unreadable["frozen"] == {"until": None, "reason": "x"}
        assert status(seen(custom={"rotator-hold": "2026-11-10"})).to_json()["frozen"] is None


def test_on_the_page_it_is_escaped() -> None:
    html = Page().render(shot(seen()), Query())
    assert "the &lt;b&gt;sale&lt;/b&gt;" in html
    assert "<b>sale" not in html
    assert "owner: Payments, #pay" in html
    assert "when its freeze ends, in 10d" in html


def test_by_its_owner_a_key_is_found_on_the_page() -> None:
    assert "apimall/backend" in Page().render(shot(seen()), Query(search="payments"))


def test_in_metrics() -> None:
    metrics = Metrics()
    metrics.follow(lambda: shot(seen()))
    lines = metrics.exposition().decode().splitlines()
    (until,) = (
        line.split()[1] for line in lines if line.startswith("rotator_key_frozen_until_timestamp_seconds{")
    )
    assert float(until) == at(40).timestamp()
    assert 'rotator_key_severity{key="Backend"} 2.0' in lines
    assert f'rotator_key_until_rotation_seconds{{key="Backend"}} {10 * 86400.0}' in lines
    assert "sale" not in str(lines)
    metrics.follow(lambda: shot(seen(custom={"rotator-hold": "x"})))
    assert 'rotator_key_frozen_until_timestamp_seconds{key="Backend"} +Inf' in metrics.exposition().decode()


def test_nobody_is_told_of_a_failure() -> None:
    result = together(planned(seen().key, decide(seen())))
    assert after_pass(result, Told())[0] == ()
    assert result.converged


def test_in_the_table_of_a_pass() -> None:
    result = together(planned(seen().key, decide(seen())))
    text = pass_table.render(result, console_for_stdout())
    assert "would hold: frozen" in text
    assert "in 10d" in text.splitlines()[1]
    held = replace(planned(seen().key, decide(seen())), outcome=Outcome.DONE)
    assert "next pass" not in pass_table.render(together(held), console_for_stdout())
    assert f"Backend is {TELLS}" in text


def test_in_an_explanation() -> None:
    told = explain(seen())
    assert told.holds[0].text == TELLS
    assert [other.kept for other in told.plan.others] == [Kept.FROZEN]
    assert "owner: Payments, #pay" in explanation.render(told, console_for_stdout())
    assert told.to_json()["owner"] == "Payments"


def test_in_the_record_of_a_leak() -> None:
    exposed = exposed_by(seen(), decide(seen()), is_bearer=False)
    assert exposed.going == (2, 1)
    assert "  owner: Payments, #pay" in foretell([exposed], console_for_stdout(), dry_run=True)


def test_a_frozen_key_that_failed_is_late_all_the_same() -> None:
    """A freeze hides no failure."""
    result = replace(planned(seen().key, decide(seen())), outcome=Outcome.FAILED, errors=(REFUSED,))
    (found,) = key_statuses(snapshot(passed(together(result), NOW), now=NOW))
    assert found.severity is Severity.LATE


def test_to_release_what_is_over_says_that_it_was_over() -> None:
    over = Freeze(at(0), "the sale")
    said = released(Changed(managed(), None, over, at(1)))
    assert said.startswith("Backend was no longer frozen: that ended ")
    assert "that note is removed" in said
