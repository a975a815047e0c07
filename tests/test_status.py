"""How a managed key stands after the last passes. Pure."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import Rejected
from rotator.passes.result import KeyResult, Outcome, PassResult
from rotator.rules.cadence import CronSchedule
from rotator.rules.decide import decide
from rotator.rules.model import Key
from rotator.rules.revocations import Revocation, Victim
from rotator.rules.times import short
from rotator.sandbox.faults import Fault, Phase, Status
from rotator.show.key_status import KeyStatus, key_statuses, to_json
from rotator.show.severity import KeyState
from rotator.show.snapshot import Snapshot
from tests.facts import DAY, at, block, facts, key, managed, secret
from tests.shown import REFUSED, of_each_state, one, passed, snapshot, together
from tests.world import World


def status(result: KeyResult, later: timedelta = timedelta()) -> KeyStatus:
    """How it stands so long after a pass with this result."""
    (found,) = key_statuses(snapshot(passed(together(result), at(30)), now=at(30) + later))
    return found


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3_500, "58m"),
        (3_599, "1h"),
        (3_600, "1h"),
        (5_400, "1h 30m"),
        (86_399, "1d"),
        (7 * 86_400 - 2, "7d"),
        (7 * 86_400 - 7_200, "6d 22h"),
    ],
)
def test_durations_are_short_and_rounded(seconds: int, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("result", "state", "why"),
    [
        (one(1), KeyState.OK, None),
        (one(1, age=7), KeyState.OK, "rotated: due"),
        (one(1, age=7, outcome=Outcome.PLANNED), KeyState.DUE, "to be rotated: due"),
        (one(1, age=7, orphan=0.001), KeyState.HELD, "another replica may be about to store it"),
        (one(1, errors=(REFUSED,)), KeyState.FAILED, None),
        (one(1, age=8, outcome=Outcome.FAILED, errors=(REFUSED,)), KeyState.FAILED, "to be rotated: due"),
        (one(1, outcome=Outcome.STOPPED), KeyState.STOPPED, "the next pass does it"),
        (KeyResult(managed(), Outcome.STOPPED), KeyState.STOPPED, "the next pass does it"),
        (one(1, outcome=Outcome.YIELDED), KeyState.UNKNOWN, "another rotator was first"),
        (KeyResult(managed(), Outcome.FAILED, errors=(REFUSED,)), KeyState.FAILED, None),
    ],
)
def test_a_state_and_why(result: KeyResult, state: KeyState, why: str | None) -> None:
    rotated = result.plan and result.plan.rotates and result.outcome is Outcome.DONE
    if rotated:
        result = replace(result, rotation=block(2, rotated=at(30)))
    found = status(result)
    assert found.state is state
    assert (why or "") in (found.why or "")
    assert bool(why) is bool(found.why)


def test_what_falls_due_between_two_passes_is_due() -> None:
    result = one(1, age=6.98)
    assert status(result).state is KeyState.OK
    later = status(result, timedelta(days=0.04))
    assert later.state is KeyState.DUE
    assert later.age == timedelta(days=7.02)


def test_ages_go_on_by_this_machines_clock_from_the_gateways() -> None:
    """The two clocks are days apart; only what has passed here since the pass is added."""
    result = together(one(1, age=2))
    seen = snapshot(passed(result, at(100)), now=at(100) + timedelta(hours=6))
    assert seen.gateway_now == at(30.25)
    (found,) = key_statuses(seen)
    assert found.age == timedelta(days=2.25)
    assert found.due_at == at(35)


def test_a_clock_that_was_put_back_makes_nothing_younger() -> None:
    assert snapshot(passed(together(one(1)), at(100)), now=at(99)).gateway_now == at(30)


def test_a_schedules_period_is_from_the_rotation_to_its_next_firing() -> None:
    entry = managed(CronSchedule("0 0 * * SUN"))
    seen = facts([key(1, created=DAY)], secret(block(1, rotated=DAY)), now=at(1), managed_key=entry)
    result = KeyResult.of(entry, Outcome.DONE, decide(seen))
    (found,) = key_statuses(snapshot(passed(together(result, now=at(1)), at(1)), now=at(1)))
    assert found.due_at == at(7)


class TestOtherKeys:
    def test_superseded_keys_go_when_their_grace_is_over(self) -> None:
        found = status(one(1, superseded={7: 0.25, 8: 0.5}))
        assert [(other.id, other.since, other.goes_at) for other in found.superseded] == [
            (7, at(29.75), at(30.75)),
            (8, at(29.5), at(30.5)),
        ]
        assert found.overdue == 0

    def test_overdue_is_what_a_pass_had_to_revoke_and_did_not(self) -> None:
        left = one(1, superseded={7: 1.5, 8: 0.5}, errors=(REFUSED,))
        assert [other.overdue for other in status(left).superseded] == [True, False]
        assert [other.overdue for other in status(left, timedelta(days=2)).superseded] == [True, False]

    def test_what_was_revoked_is_gone_and_what_a_dry_run_would_revoke_is_not(self) -> None:
        done = one(1, superseded={7: 1.5}, revoked=(7,))
        assert status(done).superseded == ()
        assert [other.id for other in status(replace(done, outcome=Outcome.PLANNED)).superseded] == [7]

    def test_an_orphan(self) -> None:
        (orphan,) = status(one(1, orphan=0.005)).orphans
        assert orphan.since
        assert orphan.goes_at == orphan.since + timedelta(minutes=15)
        assert not orphan.overdue
        (old,) = status(one(1, orphan=0.5)).orphans
        assert old.overdue
        swept = replace(one(1, orphan=0.5), revoked=(Revocation(5001, Victim.ORPHAN, at(29.5)),))
        assert status(swept).orphans == ()

    def test_what_is_not_ours_stays(self) -> None:
        data = secret(block(1, rotated=at(29), superseded={7: at(27)}))
        seen = facts([key(1, created=at(29)), key(7, ours=False)], data, now=at(30))
        by_hand = KeyResult.of(seen.key, Outcome.DONE, decide(seen))
        (other,) = status(by_hand).superseded
        assert other.goes_at is None
        assert not other.overdue


class TestSeveralPasses:
    def test_nothing_is_known_before_the_first_result(self) -> None:
        seen = snapshot(passed(None, at(30), Rejected("Vault is sealed")))
        assert key_statuses(seen) == ()
        assert seen.gateway_now == seen.now

    def test_a_pass_that_could_not_observe_leaves_what_was_known(self) -> None:
        down = passed(None, at(30, minutes=10), Rejected("Vault is sealed"))
        seen = snapshot(down, passed(together(one(1, age=2)), at(30)), now=at(31))
        (found,) = key_statuses(seen)
        assert (found.state, found.age) == (KeyState.OK, timedelta(days=3))

    def test_a_secret_that_could_not_be_read_is_as_it_was_last_seen(self) -> None:
        unread = KeyResult(one(1).key, Outcome.FAILED, errors=(REFUSED,))
        seen = snapshot(
            passed(together(unread, now=at(31)), at(31)), passed(together(one(1, age=2)), at(30)), now=at(31)
        )
        (found,) = key_statuses(seen)
        assert (found.state, found.key_id, found.age) == (KeyState.FAILED, 1, timedelta(days=3))
        assert found.errors == (REFUSED,)

    def test_an_error_that_is_over_is_no_longer_shown(self) -> None:
        failed, well = one(1, errors=(REFUSED,)), one(1)
        seen = snapshot(passed(together(well), at(30)), passed(together(failed), at(30, minutes=-10)))
        assert key_statuses(seen)[0].errors == ()


def test_as_json() -> None:
    seen = of_each_state(8)
    foreign = (Key(99, "sk-a title that somebody wrote", "created", at(1), "sk-0000...0000"),)
    first = seen.passes[0]
    assert first.result
    result: PassResult = replace(first.result, foreign=foreign, refused=REFUSED)
    seen = replace(seen, passes=(replace(first, result=result), *seen.passes[1:]))
    told = to_json(seen)
    assert json.loads(json.dumps(told)) == told
    assert told["foreign"] == [99]
    assert told["error"] == {
        "message": REFUSED.message,
        "request_id": REFUSED.request_id,
        "cure": REFUSED.cure,
    }
    assert [entry["converged"] for entry in told["passes"]][:3] == [False, True, False]
    reporting = next(entry for entry in told["keys"] if entry["name"] == "Reporting")
    assert reporting["state"] == "failed"
    assert reporting["age_seconds"] == round(7.2 * 86_400) + 240
    assert reporting["errors"][0]["request_id"] == REFUSED.request_id
    batch = next(entry for entry in told["keys"] if entry["name"] == "Batch")
    assert batch["superseded"] == [
        {
            "key_id": 7003,
            "since": "2026-11-29T16:48:00Z",
            "revoke_at": "2026-11-30T16:48:00Z",
            "stays": None,
            "unconfirmed": [],
            "overdue": True,
        }
    ]
    assert "title" not in json.dumps(told)


def test_of_a_worlds_passes(world: World) -> None:
    """A rotation, a key that is superseded by it, and an orphan: as a real pass leaves them."""

    def seen() -> KeyStatus:
        now = world.server.account.clock.now()
        records = [passed(result, result.now) for result in reversed(world.log)]
        (found,) = key_statuses(Snapshot(now, now, True, None, tuple(records), None))
        return found

    world.one()
    assert (seen().state, seen().key_id, seen().why) == (KeyState.OK, 2, "rotated: missing")
    world.advance(7)
    world.one()
    assert [other.id for other in seen().superseded] == [2]
    world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
    world.one(forced=True)
    world.one()
    assert [other.id for other in seen().orphans] == [4]
    world.advance(1, minutes=16)
    assert seen().overdue == 0
    world.one()
    assert (seen().superseded, seen().orphans) == ((), ())
    assert sorted(revocation.key_id for revocation in world.log[-1].keys[0].revoked) == [2, 3, 4]
