"""An explanation and a decision read the same tables: whatever is observed, they agree."""

import json
import re

from hypothesis import given, settings

from rotator.rules.decide import decide
from rotator.rules.explain import explain
from rotator.rules.facts import Facts
from rotator.rules.holds import HOLDS
from rotator.rules.reasons import REASONS, Reason
from tests.facts import any_facts, plaintext
from tests.test_explain import shown


class TestWhateverIsObserved:
    @given(any_facts())
    def test_the_first_row_that_holds_is_what_is_decided(self, observed: Facts) -> None:
        plan, told = decide(observed), explain(observed)
        assert [row.name for row in told.reasons] == [row.name for row in REASONS]
        assert [row.name for row in told.holds] == [row.name for row in HOLDS]
        assert next((row.name for row in told.reasons if row.holds), None) is plan.reason
        if plan.reason:
            assert next((row.name for row in told.holds if row.holds), None) is plan.hold
        assert bool(told.note) is bool(plan.note)
        assert (str(plan.reason) in told.verdict) is bool(plan.reason)
        assert (str(plan.hold) in told.verdict) is bool(plan.hold)

    @given(any_facts())
    def test_every_live_key_of_the_family_is_told_of_and_every_revocation(self, observed: Facts) -> None:
        told = explain(observed)
        gone = [other.key_id for other in told.plan.others if other.kept is None]
        assert gone == [revocation.key_id for revocation in decide(observed).revocations]
        assert gone == [int(id_) for id_ in re.findall(r"[0-9]+", told.verdict.partition("revokes ")[2])]
        current = {observed.current.key_id} if observed.current else set()
        assert {key.id for key in observed.family} <= current | {other.key_id for other in told.plan.others}
        assert all(
            (other.kept is None) is other.text.endswith("so it is revoked") for other in told.plan.others
        )

    @given(any_facts())
    def test_what_a_row_says_is_what_it_goes_by(self, observed: Facts) -> None:
        said = {row.name: row for row in explain(observed).reasons}
        assert said[Reason.MISSING].holds is ("holds a plaintext" not in said[Reason.MISSING].text)
        assert said[Reason.REVOKED].holds is ("answered 401" in said[Reason.REVOKED].text)
        due = said[Reason.DUE].text
        assert said[Reason.DUE].holds is bool(re.search(r"(due at once|ago|now)$", due))
        frozen, in_flight, piled_up, omitted, window, _clock = explain(observed).holds
        spared = [
            " does not hold back " in row.text for row in (in_flight, piled_up, omitted, window, frozen)
        ]
        assert (in_flight.holds or spared[0]) is (", younger than" in in_flight.text)
        assert (omitted.holds or spared[2]) is ("omits key" in omitted.text)
        assert (window.holds or spared[3]) is ("is closed" in window.text)
        keeps = (
            bool(re.match("frozen (until|, by)|frozen,", frozen.text)) and "keeps nothing" not in frozen.text
        )
        assert (frozen.holds or spared[4]) is keeps
        assert not spared[1]

    @given(any_facts())
    @settings(max_examples=40)
    def test_it_fits_80_columns_and_shows_no_secret(self, observed: Facts) -> None:
        told = explain(observed)
        text, body = shown(told), json.dumps(told.to_json())
        assert max(map(len, text.splitlines())) <= 80
        for id_ in (9, *observed.listed):
            assert plaintext(id_)[3:12] not in text + body
        assert not any(one.preview in text + body for one in observed.listed.values())
