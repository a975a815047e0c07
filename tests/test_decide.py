"""The protocol's tables, row by row."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.cadence import Cadence
from rotator.rules.decide import Note, decide, succeed
from rotator.rules.history import Trace, suspects
from rotator.rules.holds import MAX_ORPHANS, MAX_SUPERSEDED, Hold
from rotator.rules.model import CreatedKey, Key
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Revocation, Victim
from tests.facts import TIMING, at, block, facts, key, managed, plaintext, secret

FRESH = secret(block(2, rotated=at(0)))
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Windowed(Cadence):
    """Due after a week; its window is open or closed."""

    open: bool
    window: timedelta | None = None
    shortest: timedelta = timedelta(days=7)

    def due_at(self, rotated_at: datetime) -> datetime:
        return rotated_at + timedelta(days=7)

    def window_open(self, now: datetime) -> bool:
        return self.open

    def window_ends(self, now: datetime) -> None:
        return None


class TestRotateBecause:
    def test_nothing_while_the_current_key_is_fresh(self) -> None:
        plan = decide(facts([key(2)], FRESH, now=at(6.99)))
        assert (plan.reason, plan.hold, plan.note, plan.revocations, plan.warnings) == (
            None,
            None,
            None,
            (),
            (),
        )
        assert not plan.rotates

    def test_missing(self) -> None:
        for version, data in ((0, None), (3, None), (3, {"endpoint": "https://x"}), (3, {"api_key": ""})):
            plan = decide(facts([], data, version=version, now=at(1)))
            assert plan.reason is Reason.MISSING
            assert plan.rotates

    def test_revoked(self) -> None:
        for listed in ([key(2, status="revoked")], []):
            plan = decide(facts(listed, FRESH, now=at(1), refused=True))
            assert plan.reason is Reason.REVOKED
            assert plan.warnings == ()

    @pytest.mark.parametrize(("listed", "state"), [([key(2, status="revoked")], "revoked"), ([], "missing")])
    def test_a_list_that_omits_a_key_that_works_causes_a_warning_alone(
        self, listed: list[Key], state: str
    ) -> None:
        plan = decide(facts(listed, FRESH, now=at(1)))
        assert plan.reason is None
        assert plan.warnings == (
            f"key 2 is {state} in the gateway's list, yet its plaintext still authenticates",
        )

    def test_a_key_that_was_just_made_may_be_missing_from_the_list(self) -> None:
        assert decide(facts([], FRESH, now=at(0, minutes=1.9))).warnings == ()
        assert decide(facts([], FRESH, now=at(0, minutes=2))).warnings != ()

    def test_due(self) -> None:
        assert decide(facts([key(2)], FRESH, now=at(7))).reason is Reason.DUE

    def test_a_plaintext_that_fits_no_key_is_due_now(self) -> None:
        plan = decide(facts([key(2)], {"api_key": plaintext(5)}, now=at(0), traces={2: Trace.ORPHAN}))
        assert plan.reason is Reason.DUE
        assert plan.warnings[0].startswith("the secret's plaintext matches no listed key")

    def test_forced(self) -> None:
        assert decide(facts([key(2)], FRESH, now=at(1), forced=True)).reason is Reason.FORCED

    def test_the_first_reason_wins(self) -> None:
        assert decide(facts([], None, now=at(9), forced=True)).reason is Reason.MISSING
        assert decide(facts([], FRESH, now=at(9), refused=True, forced=True)).reason is Reason.REVOKED
        assert decide(facts([key(2)], FRESH, now=at(9), forced=True)).reason is Reason.DUE


class TestHoldBackBecause:
    def _with_orphans(self, count: int, *, age: timedelta, now: datetime, forced: bool = False) -> object:
        orphans = [key(10 + n, created=now - age) for n in range(count)]
        traces = {orphan.id: Trace.ORPHAN for orphan in orphans}
        return decide(facts([key(2), *orphans], FRESH, now=now, traces=traces, forced=forced)).hold

    def test_in_flight(self) -> None:
        assert self._with_orphans(1, age=1.99 * MINUTE, now=at(8)) is Hold.IN_FLIGHT
        assert self._with_orphans(1, age=2 * MINUTE, now=at(8)) is None

    def test_in_flight_does_not_hold_what_is_forced(self) -> None:
        assert self._with_orphans(1, age=MINUTE, now=at(8), forced=True) is None

    def test_in_flight_holds_what_is_missing(self) -> None:
        plan = decide(facts([key(9, created=at(1))], None, now=at(1, minutes=1), traces={9: Trace.ORPHAN}))
        assert (plan.reason, plan.hold) == (Reason.MISSING, Hold.IN_FLIGHT)

    def test_a_young_key_that_was_published_does_not_hold(self) -> None:
        young = key(9, created=at(8))
        assert decide(facts([key(2), young], FRESH, now=at(8), traces={9: Trace.PUBLISHED})).hold is None

    @pytest.mark.parametrize("forced", [False, True])
    def test_backing_off(self, forced: bool) -> None:
        assert self._with_orphans(MAX_ORPHANS, age=5 * MINUTE, now=at(8), forced=forced) is Hold.BACKING_OFF
        assert self._with_orphans(MAX_ORPHANS - 1, age=5 * MINUTE, now=at(8), forced=forced) is None

    @pytest.mark.parametrize(
        ("count", "urgent", "held"),
        [
            (MAX_SUPERSEDED - 1, False, False),
            (MAX_SUPERSEDED, False, True),
            (MAX_SUPERSEDED, True, False),
            (2 * MAX_SUPERSEDED - 1, True, False),
            (2 * MAX_SUPERSEDED, True, True),
        ],
    )
    def test_backing_off_when_superseded_keys_pile_up(self, count: int, urgent: bool, held: bool) -> None:
        ids = range(10, 10 + count)
        data = secret(block(2, superseded={id_: at(7.5) for id_ in ids}))
        current = key(2, created=at(7.5))
        for listed in ([current, *(key(id_, created=at(7.5)) for id_ in ids)], [current]):
            plan = decide(facts(listed, data, now=at(8), refused=urgent))
            assert plan.hold is (Hold.BACKING_OFF if held else None)

    def test_a_list_that_shows_none_of_what_piled_up_lets_none_through(self) -> None:
        data = secret(block(2, superseded={id_: at(7.5) for id_ in range(10, 10 + 2 * MAX_SUPERSEDED)}))
        assert decide(facts([], data, now=at(8), refused=True)).hold is Hold.BACKING_OFF

    def test_what_is_missing_is_let_through_once_in_a_grace_period(self) -> None:
        """Until there is a current key again, none of the others can go."""
        traces = dict.fromkeys(range(10, 10 + 2 * MAX_SUPERSEDED), Trace.PUBLISHED)
        listed = [key(id_, created=at(7)) for id_ in traces]
        assert decide(facts(listed, None, version=30, now=at(7.99), traces=traces)).hold is Hold.BACKING_OFF
        assert decide(facts(listed, None, version=30, now=at(8), traces=traces)).hold is None

    def test_keys_that_a_person_made_do_not_pile_up(self) -> None:
        ids = range(10, 10 + MAX_SUPERSEDED)
        data = secret(block(2, superseded={id_: at(0) for id_ in ids}))
        listed = [key(2), *(key(id_, ours=False) for id_ in ids)]
        assert decide(facts(listed, data, now=at(8))).hold is None

    def test_backing_off_when_the_list_omits_the_current_key(self) -> None:
        assert decide(facts([], FRESH, now=at(8))).hold is Hold.BACKING_OFF
        assert decide(facts([], FRESH, now=at(8), forced=True)).hold is None

    def test_a_key_from_the_future_does_not_hold_for_ever(self) -> None:
        orphan = key(9, created=at(400))
        assert decide(facts([key(2), orphan], FRESH, now=at(8), traces={9: Trace.ORPHAN})).hold is None

    def test_outside_window(self) -> None:
        shut, open_ = managed(Windowed(open=False)), managed(Windowed(open=True))
        assert decide(facts([key(2)], FRESH, now=at(8), managed_key=shut)).hold is Hold.OUTSIDE_WINDOW
        assert decide(facts([key(2)], FRESH, now=at(8), managed_key=open_)).hold is None

    def test_outside_window_holds_only_what_is_due(self) -> None:
        shut = managed(Windowed(open=False))
        assert decide(facts([], None, now=at(8), managed_key=shut)).hold is None
        assert decide(facts([], FRESH, now=at(8), managed_key=shut, refused=True)).hold is None
        assert decide(facts([key(2)], FRESH, now=at(1), managed_key=shut, forced=True)).hold is None
        assert decide(facts([key(2)], FRESH, now=at(8), managed_key=shut, forced=True)).hold is None

    def test_what_has_no_reason_is_not_held(self) -> None:
        assert self._with_orphans(MAX_ORPHANS, age=MINUTE, now=at(1)) is None


class TestRevoke:
    DATA = secret(block(2, rotated=at(3), superseded={1: at(3)}))

    def test_a_superseded_key_once_its_grace_is_over(self) -> None:
        listed = [key(1), key(2)]
        assert decide(facts(listed, self.DATA, now=at(3.99))).revocations == ()
        assert decide(facts(listed, self.DATA, now=at(4))).revocations == (
            Revocation(1, Victim.SUPERSEDED, at(3)),
        )

    def test_not_one_that_is_dead_or_not_listed(self) -> None:
        for listed in ([key(1, status="revoked"), key(2)], [key(2)]):
            plan = decide(facts(listed, self.DATA, now=at(5)))
            assert (plan.revocations, dict(plan.superseded), plan.warnings) == ((), {}, ())

    def test_one_that_stays_does_not_keep_the_others(self) -> None:
        data = secret(block(4, superseded={1: at(4.5), 2: at(3), 3: at(3)}))
        listed = [key(1), key(2, status="revoked"), key(3), key(4)]
        revocations = decide(facts(listed, data, now=at(5))).revocations
        assert revocations == (Revocation(3, Victim.SUPERSEDED, at(3)),)

    def test_not_one_that_is_protected(self) -> None:
        plan = decide(facts([key(1), key(2)], self.DATA, now=at(5), protected=[1]))
        assert plan.revocations == ()
        assert "stays: it is the bearer" in plan.warnings[0]

    def test_an_adopted_one_only_if_the_config_says_so(self) -> None:
        listed = [key(1, ours=False), key(2)]
        plan = decide(facts(listed, self.DATA, now=at(5)))
        assert plan.revocations == ()
        assert "set revoke_adopted" in plan.warnings[0]
        allowed = decide(facts(listed, self.DATA, now=at(5), managed_key=managed(revoke_adopted=True)))
        assert [revocation.key_id for revocation in allowed.revocations] == [1]

    def test_none_while_nothing_has_taken_its_place(self) -> None:
        plan = decide(facts([key(1)], None, version=3, now=at(0), traces={1: Trace.PUBLISHED}))
        assert plan.revocations == ()

    @pytest.mark.parametrize(("age", "swept"), [(14.9 * MINUTE, False), (15 * MINUTE, True)])
    def test_an_orphan_once_it_is_old(self, age: timedelta, swept: bool) -> None:
        orphan = key(9, created=at(1) - age)
        plan = decide(facts([key(2), orphan], FRESH, now=at(1), traces={9: Trace.ORPHAN}))
        expected = (Revocation(9, Victim.ORPHAN, orphan.created_at),) if swept else ()
        assert plan.revocations == expected

    def test_not_an_orphan_that_is_protected(self) -> None:
        plan = decide(facts([key(2), key(9)], FRESH, now=at(1), traces={9: Trace.ORPHAN}, protected=[9]))
        assert plan.revocations == ()

    def test_one_that_was_published_once_counts_from_now_on(self) -> None:
        plan = decide(facts([key(2), key(9)], FRESH, now=at(5), traces={9: Trace.PUBLISHED}))
        assert plan.revocations == ()
        assert plan.superseded == {9: at(5)}


class TestNote:
    def test_adopt(self) -> None:
        data = {"api_key": plaintext(5), "endpoint": "https://x"}
        plan = decide(facts([key(5, created=at(1), ours=False)], data, now=at(2)))
        assert plan.note is Note.ADOPT
        assert plan.bookkeeping
        assert (plan.bookkeeping.key_id, plan.bookkeeping.rotated_at) == (5, at(1))

    def test_adopt_keeps_what_was_published_before(self) -> None:
        data = {**secret(block(2, superseded={1: at(1.5)})), "api_key": plaintext(5)}
        plan = decide(facts([key(1), key(2), key(5, created=at(1))], data, now=at(2)))
        assert plan.bookkeeping
        assert plan.bookkeeping.superseded == {1: at(1.5), 2: at(2)}

    def test_nonsense_is_warned_of(self) -> None:
        data = {"api_key": plaintext(5), "rotation": 7}
        plan = decide(facts([key(5)], data, now=at(2)))
        assert plan.note is Note.ADOPT
        assert "cannot read the secret's bookkeeping (`rotation` is not an object)" in plan.warnings[0]

    def test_record(self) -> None:
        plan = decide(facts([key(2), key(9)], FRESH, now=at(2), traces={9: Trace.PUBLISHED}))
        assert plan.note is Note.RECORD
        titles = {2: key(2).title, 9: key(9).title}
        assert plan.bookkeeping == replace(block(2, rotated=at(0), superseded={9: at(2)}), titles=titles)

    def test_nothing_is_noted_of_orphans(self) -> None:
        assert decide(facts([key(2), key(8)], FRESH, now=at(2), traces={8: Trace.ORPHAN})).note is None

    def test_a_rotation_notes_it_all_itself(self) -> None:
        plan = decide(facts([key(2), key(9)], FRESH, now=at(8), traces={9: Trace.PUBLISHED}))
        assert plan.rotates
        assert plan.note is None

    def test_a_held_rotation_does_not_keep_from_noting(self) -> None:
        traces = {8: Trace.ORPHAN, 9: Trace.PUBLISHED}
        listed = [key(2), key(8, created=at(8)), key(9)]
        plan = decide(facts(listed, FRESH, now=at(8), traces=traces))
        assert (plan.hold, plan.note) == (Hold.IN_FLIGHT, Note.RECORD)


def test_the_secret_is_written_by_a_rotation_a_note_and_the_fence_of_a_revocation_alone() -> None:
    published = {9: Trace.PUBLISHED}
    rotates = decide(facts([], None, now=at(1)))
    notes = decide(facts([key(2), key(9)], FRESH, now=at(2), traces=published))
    revokes = decide(facts([key(1), key(2)], TestRevoke.DATA, now=at(5)))
    nothing = decide(facts([key(2)], FRESH, now=at(1)))
    held = decide(facts([key(9, created=at(1))], None, now=at(1), traces={9: Trace.ORPHAN}))
    assert [plan.writes for plan in (rotates, notes, revokes, nothing, held)] == [
        True,
        True,
        True,
        False,
        False,
    ]


class TestSucceed:
    CREATED = CreatedKey(20, "Backend [x]", at(9), Secret(plaintext(20)), "req_1")

    def test_the_current_key_is_superseded_at_the_moment_of_storing(self) -> None:
        rotation = succeed(facts([key(2)], FRESH, now=at(8)), self.CREATED, at(9))
        assert (rotation.key_id, rotation.created_at, rotation.rotated_at) == (20, at(9), at(9))
        assert rotation.superseded == {2: at(9)}

    def test_a_current_key_that_the_list_omits_is_superseded_too(self) -> None:
        assert succeed(facts([], FRESH, now=at(8)), self.CREATED, at(9)).superseded == {2: at(9)}

    def test_a_dead_key_is_not(self) -> None:
        dead = [key(2, status="revoked")]
        assert succeed(facts(dead, FRESH, now=at(8), refused=True), self.CREATED, at(9)).superseded == {}

    def test_one_that_is_refused_and_not_listed_may_only_lag(self) -> None:
        refused = facts([], FRESH, now=at(8), refused=True)
        assert succeed(refused, self.CREATED, at(9)).superseded == {2: at(9)}

    def test_nor_an_unknown_one(self) -> None:
        observed = facts([], {"api_key": plaintext(5)}, now=at(8))
        assert succeed(observed, self.CREATED, at(9)).superseded == {}

    def test_earlier_ones_are_carried_while_they_live_or_may_only_lag(self) -> None:
        superseded = {1: at(0), 3: at(7.5), 4: at(7.5), 5: at(7)}
        data = secret(block(2, superseded=superseded))
        listed = [key(1), key(2), key(3, status="revoked")]
        rotation = succeed(facts(listed, data, now=at(8)), self.CREATED, at(9))
        assert rotation.superseded == {1: WITHOUT_GRACE, 2: at(9), 4: at(7.5)}

    def test_what_only_the_history_knows_is_carried_too_and_orphans_are_not(self) -> None:
        traces = {7: Trace.PUBLISHED, 9: Trace.ORPHAN}
        observed = facts([key(2), key(7), key(9)], FRESH, now=at(8), traces=traces)
        assert succeed(observed, self.CREATED, at(9)).superseded == {2: at(9), 7: at(8)}


def test_suspects_are_the_keys_of_the_family_that_the_secret_does_not_name() -> None:
    family = (key(1), key(2), key(3))
    current = facts([key(1), key(2)], secret(block(2, superseded={1: at(0)})), now=at(1)).current
    assert suspects(current, family) == (key(3),)
    assert suspects(None, family) == family


def test_deciding_is_idempotent_between_events() -> None:
    observed = facts([key(1), key(2)], TestRevoke.DATA, now=at(5))
    assert decide(observed) == decide(observed)
    assert TIMING.orphan_after >= 2 * TIMING.store_deadline
