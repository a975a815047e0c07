"""What programs read after a pass: the JSON, field by field, and what is counted."""

from dataclasses import replace

import pytest

from rotator.errors import RotatorError
from rotator.passes.result import Action, KeyResult, Outcome, PassResult, action_of, held_back
from rotator.rules.decide import decide
from rotator.rules.facts import Facts
from rotator.rules.history import Trace
from rotator.rules.holds import MAX_ORPHANS, Hold
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Victim
from tests.facts import at, block, facts, key, managed, plaintext, secret

ERROR = RotatorError("it failed", request_id="req_1", cure="mend it")


def _result(observed: Facts, outcome: Outcome = Outcome.DONE) -> KeyResult:
    plan = decide(observed)
    return KeyResult(observed.key, outcome, plan, others=plan.others)


def _pass(*keys: KeyResult, **others: object) -> PassResult:
    made = PassResult("run", dry_run=False, installation="3f9a2c", now=at(8), keys=keys, foreign=())
    return replace(made, **others)  # type: ignore[arg-type]


def _observed() -> Facts:
    """Due, and held by a young orphan; one superseded key goes, one is in its grace, two are a person's."""
    superseded = {1: at(3), 3: at(3), 4: at(7.5), 5: at(7.5)}
    data = secret(block(2, rotated=at(1), superseded=superseded))
    listed = [key(1), key(2), key(3, ours=False), key(4), key(5, ours=False)]
    orphans = [key(8), key(9, created=at(8))]
    return facts([*listed, *orphans], data, now=at(8), traces=dict.fromkeys((8, 9), Trace.ORPHAN))


def test_a_managed_key_as_json() -> None:
    result = _result(_observed())
    assert result.plan
    revocations, why = result.plan.revocations, result.others[1].stays
    assert replace(result, revoked=revocations, errors=(ERROR,)).to_json() == {
        "name": "Backend",
        "path": "apimall/backend",
        "action": "hold",
        "reason": "due",
        "hold": "in_flight",
        "outcome": "done",
        "key_id": 2,
        "rotated_at": "2026-11-02T00:00:00Z",
        "due_at": "2026-11-09T00:00:00Z",
        "superseded": [
            {"key_id": 3, "revoke_at": None, "stays": why, "unconfirmed": []},
            {"key_id": 4, "revoke_at": "2026-11-09T12:00:00Z", "stays": None, "unconfirmed": []},
            {"key_id": 5, "revoke_at": None, "stays": why, "unconfirmed": []},
        ],
        "orphans": [9],
        "revoked": [{"key_id": 1, "reason": "superseded"}, {"key_id": 8, "reason": "orphan"}],
        "behind": [],
        "untold": [],
        "frozen": None,
        "owner": None,
        "contact": None,
        "warnings": [f"key 3 is superseded, and stays: {why}"],
        "errors": [{"message": "it failed", "request_id": "req_1", "cure": "mend it"}],
    }


def test_one_whose_secret_could_not_be_read_as_json() -> None:
    assert KeyResult(managed(), Outcome.FAILED).to_json() == {
        "name": "Backend",
        "path": "apimall/backend",
        "action": None,
        "reason": None,
        "hold": None,
        "outcome": "failed",
        "key_id": None,
        "rotated_at": None,
        "due_at": None,
        "superseded": [],
        "orphans": [],
        "revoked": [],
        "behind": [],
        "untold": [],
        "frozen": None,
        "owner": None,
        "contact": None,
        "warnings": [],
        "errors": [],
    }


def test_what_was_written_in_the_pass_is_what_is_told() -> None:
    written = block(20, rotated=at(8), superseded={2: at(8)})
    result = _result(_observed()).written(_observed(), written)
    assert (result.key_id, result.rotated_at, result.due_at) == (20, at(8), at(15))
    assert [(it.key_id, it.goes_at) for it in result.left if it.victim is Victim.SUPERSEDED] == [(2, at(9))]


def test_an_unknown_plaintext_has_no_key_and_no_date() -> None:
    result = _result(facts([], {"api_key": plaintext(5)}, now=at(8)))
    assert (result.key_id, result.rotated_at, result.due_at) == (None, None, None)


def test_a_pass_as_json() -> None:
    done = replace(_result(_observed()), revoked=decide(_observed()).revocations)
    result = _pass(done, dry_run=True, foreign=(key(30, ours=False),), refused=ERROR)
    assert result.to_json() == {
        "run_id": "run",
        "dry_run": True,
        "converged": False,
        "rotated": 0,
        "revoked": 2,
        "failed": 0,
        "not_reached": 0,
        "installation": "3f9a2c",
        "now": "2026-11-09T00:00:00Z",
        "gateway_now": "2026-11-09T00:00:00Z",
        "keys": [done.to_json()],
        "foreign": [{"key_id": 30, "title": "Made by hand"}],
        "error": {"message": "it failed", "request_id": "req_1", "cure": "mend it"},
    }
    assert replace(result, refused=None).to_json()["error"] is None


@pytest.mark.parametrize(
    ("outcome", "rotated", "failed", "stopped"),
    [
        (Outcome.DONE, 1, 0, False),
        (Outcome.PLANNED, 1, 0, False),
        (Outcome.YIELDED, 0, 0, False),
        (Outcome.STOPPED, 0, 0, True),
        (Outcome.NOT_REACHED, 0, 0, False),
        (Outcome.FAILED, 0, 1, False),
    ],
)
def test_what_is_counted(outcome: Outcome, rotated: int, failed: int, stopped: bool) -> None:
    missing = _result(facts([], None, now=at(1)), outcome)
    fresh = _result(facts([key(2)], secret(block(2)), now=at(1)))
    result = _pass(fresh, missing)
    assert (result.rotated, result.failed, result.stopped) == (rotated, failed, stopped)
    assert result.not_reached == (outcome is Outcome.NOT_REACHED)
    assert result.converged is not (failed or stopped or result.not_reached)


def test_an_error_is_a_failure_whatever_else_was_done() -> None:
    result = _pass(replace(_result(facts([], None, now=at(1))), errors=(ERROR,)))
    assert (result.rotated, result.failed, result.converged) == (1, 1, False)
    assert not _pass(refused=ERROR).converged
    assert _pass().converged


def test_the_action_is_the_note_when_a_rotation_is_held() -> None:
    observed = facts(
        [key(2), key(8), key(9, created=at(8))],
        secret(block(2)),
        now=at(8),
        traces={8: Trace.PUBLISHED, 9: Trace.ORPHAN},
    )
    assert action_of(decide(observed)) is Action.RECORD
    assert action_of(decide(_observed())) is Action.HOLD


class TestHeldBack:
    FRESH = secret(block(2))

    def test_only_backing_off_is_a_failure(self) -> None:
        plan = decide(_observed())
        assert (plan.reason, plan.hold) == (Reason.DUE, Hold.IN_FLIGHT)
        assert held_back(plan) == ()

    def test_by_the_orphans_that_are_left(self) -> None:
        """Also where the list omits the current key: the orphans are what can be mended."""
        traces = dict.fromkeys(range(10, 10 + MAX_ORPHANS), Trace.ORPHAN)
        orphans = [key(id_) for id_ in traces]
        for listed in ([key(2), *orphans], orphans):
            observed = facts(listed, self.FRESH, now=at(8), traces=traces)
            (error,) = held_back(decide(observed))
            assert error.message.startswith("held: 3 orphans of 3, 0 superseded of 12")
            assert str(error.cure).startswith("they are revoked in time; if not, find out why")

    def test_by_a_list_that_omits_the_current_key(self) -> None:
        observed = facts([], self.FRESH, now=at(8))
        (error,) = held_back(decide(observed))
        assert error.message.startswith("held: the list omits key 2, though it works")
        assert error.cure == "ask the gateway's support; or --rotate-now"
