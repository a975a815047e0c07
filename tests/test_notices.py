"""What is told of a pass, and that nothing is told twice."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from rotator.errors import Denied, Rejected, RotatorError
from rotator.passes.result import KeyResult, Outcome, PassResult
from rotator.rules.decide import decide
from rotator.rules.history import Trace
from rotator.rules.model import ManagedKey
from rotator.service.notices import Event, Told, after_error, after_pass
from tests.facts import at, block, facts, key, managed, secret

ERROR = Rejected("POST /keys: 400 (too many)", request_id="req_1", cure="ask the gateway's support")
ERRORS = [{"message": ERROR.message, "request_id": "req_1", "cure": ERROR.cure}]
BOTH = managed(), replace(managed(), name="Reporting", path="apimall/reporting")


def a_pass(*keys: KeyResult, dry_run: bool = False, refused: RotatorError | None = None) -> PassResult:
    return PassResult("run1", dry_run, "3f9a2c", at(8), keys, (), refused=refused)


def failed(*errors: RotatorError, key: ManagedKey = BOTH[0]) -> KeyResult:
    return KeyResult(key, Outcome.FAILED, errors=errors or (ERROR,))


def rotated(outcome: Outcome = Outcome.DONE) -> KeyResult:
    seen = facts([key(7)], secret(block(7)), now=at(8))
    now_stored = block(8, rotated=at(8), superseded={7: at(8)})
    rotation = now_stored if outcome is Outcome.DONE else None
    return KeyResult.of(seen.key, outcome, decide(seen)).written(seen, rotation)


def unrevoked(*errors: RotatorError) -> KeyResult:
    """Two keys are to be revoked; with errors, only the one that is superseded was."""
    data = secret(block(8, rotated=at(6), superseded={7: at(6)}))
    seen = facts([key(7), key(8), key(9)], data, now=at(8), traces={9: Trace.ORPHAN})
    plan = decide(seen)
    assert [revocation.key_id for revocation in plan.revocations] == [7, 9]
    done = plan.revocations[:1] if errors else plan.revocations
    return replace(KeyResult.of(seen.key, Outcome.DONE, plan), revoked=done, errors=errors)


def told_of(*passes: PassResult | RotatorError) -> list[list[Event]]:
    told, log = Told(), []
    for number, seen in enumerate(passes):
        if isinstance(seen, PassResult):
            events, told = after_pass(seen, told)
        else:
            events, told = after_error(seen, f"run{number}", told)
        log.append(list(events))
    return log


def types(*passes: PassResult | RotatorError) -> list[list[str]]:
    return [[event.notice.type for event in events] for events in told_of(*passes)]


def one(*passes: PassResult | RotatorError) -> dict[str, Any]:
    ((event,),) = told_of(*passes)
    return event.to_json()


class TestWhatIsTold:
    def test_a_rotation(self) -> None:
        assert one(a_pass(rotated())) == {
            "specversion": "1.0",
            "id": "run1-1",
            "source": "urn:apimall:rotator:3f9a2c",
            "type": "com.apimall.rotator.rotation.succeeded",
            "subject": "Backend",
            "time": "2026-11-09T00:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "key_id": 8,
                "reason": "due",
                "rotated_at": "2026-11-09T00:00:00Z",
                "due_at": "2026-11-16T00:00:00Z",
                "superseded": [
                    {"key_id": 7, "revoke_at": "2026-11-10T00:00:00Z", "stays": None, "unconfirmed": []}
                ],
                "frozen": None,
                "owner": None,
                "contact": None,
            },
        }

    def test_nothing_where_nothing_was_rotated(self) -> None:
        noted = replace(rotated(), plan=decide(facts([key(7)], secret(block(7)), now=at(1))))
        assert types(a_pass(noted), a_pass(unrevoked())) == [[], []]
        assert types(a_pass(rotated(Outcome.YIELDED))) == [[]]

    def test_a_failed_rotation(self) -> None:
        failure = replace(rotated(Outcome.FAILED), errors=(ERROR,))
        event = one(a_pass(failure))
        assert (event["type"], event["subject"]) == ("com.apimall.rotator.rotation.failed", "Backend")
        assert event["time"] == "2026-11-09T00:00:00Z"
        assert event["data"] == {
            "key_id": 7,
            "reason": "due",
            "hold": None,
            "rotated_at": "2026-11-01T00:00:00Z",
            "due_at": "2026-11-08T00:00:00Z",
            "severity": "late",
            "frozen": None,
            "owner": None,
            "contact": None,
            "errors": ERRORS,
        }

    def test_a_secret_that_could_not_be_read(self) -> None:
        event = one(a_pass(failed()))
        assert event["type"].endswith(".rotation.failed")
        assert (event["data"]["key_id"], event["data"]["errors"]) == (None, ERRORS)

    def test_a_rotation_that_backs_off(self) -> None:
        orphans = dict.fromkeys((8, 9, 10), Trace.ORPHAN)
        seen = facts(map(key, (7, *orphans)), secret(block(7)), now=at(7), traces=orphans)
        plan = decide(seen)
        assert plan.revocations
        held = KeyResult.of(seen.key, Outcome.DONE, plan)
        events = told_of(a_pass(replace(held, revoked=plan.revocations)))[0]
        assert [(event.notice.type, event.notice.data["hold"]) for event in events] == [
            ("rotation.failed", "backing_off")
        ]

    def test_an_overdue_revocation(self) -> None:
        event = one(a_pass(unrevoked(ERROR)))
        assert event["type"] == "com.apimall.rotator.revocation.overdue"
        assert event["data"] == {
            "key_id": 9,
            "reason": "orphan",
            "created_at": "2026-11-01T00:00:00Z",
            "frozen": None,
            "owner": None,
            "contact": None,
            "errors": ERRORS,
        }
        neither = replace(unrevoked(ERROR), revoked=())
        events = [event.to_json()["data"] for event in told_of(a_pass(neither))[0]]
        assert [(data["key_id"], data["reason"]) for data in events] == [(7, "superseded"), (9, "orphan")]
        assert events[0]["superseded_at"] == "2026-11-07T00:00:00Z"

    def test_a_revocation_that_was_only_put_off_is_not_overdue(self) -> None:
        assert types(a_pass(replace(unrevoked(), revoked=()))) == [[]]

    def test_what_refuses_the_account_is_told_once(self) -> None:
        denied = Denied("POST /keys: 401", request_id="req_9", cure="put a live key there")
        same = Rejected(denied.message)
        (events,) = told_of(a_pass(failed(denied), failed(same, ERROR, key=BOTH[1]), refused=denied))
        assert [event.id for event in events] == ["run1-1", "run1-2"]
        first, second = (event.to_json() for event in events)
        assert (first["subject"], first["data"]["errors"]) == ("Reporting", ERRORS)
        assert second["type"] == "com.apimall.rotator.pass.failed"
        assert "subject" not in second
        assert second["data"]["errors"][0]["request_id"] == "req_9"

    def test_a_pass_that_could_not_be_made(self) -> None:
        assert one(ERROR) == {
            "specversion": "1.0",
            "id": "run0-1",
            "source": "urn:apimall:rotator",
            "type": "com.apimall.rotator.pass.failed",
            "datacontenttype": "application/json",
            "data": {"errors": ERRORS},
        }
        assert told_of(a_pass(), ERROR)[1][0].source == "urn:apimall:rotator:3f9a2c"

    def test_nothing_of_a_dry_run(self) -> None:
        assert types(a_pass(failed(), dry_run=True), a_pass(failed()), a_pass(dry_run=True)) == [
            [],
            ["rotation.failed"],
            [],
        ]


class TestOnce:
    def test_a_failure_that_lasts_is_told_once(self) -> None:
        again = a_pass(failed(), unrevoked(ERROR), refused=None)
        assert types(again, again, again) == [["rotation.failed", "revocation.overdue"], [], []]

    def test_a_failure_that_changed_is_told_again(self) -> None:
        other = Rejected("POST /keys: 403")
        assert (
            types(a_pass(failed()), a_pass(failed(other)), a_pass(failed(other, ERROR)))
            == [["rotation.failed"]] * 3
        )

    def test_a_failure_by_which_programs_are_refused_now_is_told_again(self) -> None:
        late = replace(rotated(Outcome.FAILED), errors=(ERROR,))
        dead = replace(late, plan=decide(facts([key(7)], secret(block(7)), now=at(8), refused=True)))
        first, second, third = told_of(a_pass(late), a_pass(dead), a_pass(dead))
        assert [event.notice.data["severity"] for event in (*first, *second)] == ["late", "refused"]
        assert third == []

    def test_another_request_id_is_no_change(self) -> None:
        later = Rejected(ERROR.message, request_id="req_2")
        assert types(a_pass(failed()), a_pass(failed(later))) == [["rotation.failed"], []]

    def test_a_failure_that_healed_and_came_back_is_told_again(self) -> None:
        for healed in (rotated(), rotated(Outcome.YIELDED), unrevoked()):
            assert types(a_pass(failed()), a_pass(healed), a_pass(failed()))[2] == ["rotation.failed"]
        overdue = a_pass(unrevoked(ERROR))
        assert types(overdue, a_pass(unrevoked()), overdue)[2] == ["revocation.overdue"]

    def test_a_pass_that_did_not_get_to_a_key_says_nothing_of_it(self) -> None:
        stopped = rotated(Outcome.STOPPED), KeyResult(BOTH[0], Outcome.STOPPED)
        assert types(a_pass(failed()), *map(a_pass, stopped), a_pass(), a_pass(failed())) == [
            ["rotation.failed"],
            [],
            [],
            [],
            [],
        ]
        assert types(a_pass(failed()), ERROR, a_pass(failed())) == [["rotation.failed"], ["pass.failed"], []]

    def test_a_secret_that_could_not_be_read_heals_nothing(self) -> None:
        overdue = a_pass(unrevoked(ERROR))
        assert types(overdue, a_pass(failed()), overdue) == [["revocation.overdue"], ["rotation.failed"], []]

    def test_each_key_for_itself(self) -> None:
        first, second = (failed(key=key) for key in BOTH)
        assert types(a_pass(first), a_pass(first, second), a_pass(first, second)) == [
            ["rotation.failed"],
            ["rotation.failed"],
            [],
        ]

    def test_each_victim_for_itself(self) -> None:
        neither = replace(unrevoked(ERROR), revoked=())
        events = told_of(a_pass(unrevoked(ERROR)), a_pass(neither))[1]
        assert [event.notice.data["key_id"] for event in events] == [7]

    def test_a_pass_that_could_not_be_made_heals_with_one_that_could(self) -> None:
        assert types(ERROR, ERROR, a_pass(), ERROR) == [["pass.failed"], [], [], ["pass.failed"]]
        refused = a_pass(refused=ERROR)
        assert types(refused, refused, a_pass(), refused) == [["pass.failed"], [], [], ["pass.failed"]]

    def test_good_news_is_told_each_time(self) -> None:
        assert types(a_pass(rotated()), a_pass(rotated())) == [["rotation.succeeded"]] * 2

    def test_what_could_not_be_delivered_is_told_anew(self) -> None:
        told = Told()
        (event,), told = after_pass(a_pass(failed()), told)
        assert after_pass(a_pass(failed()), told)[0] == ()
        (again,), _ = after_pass(a_pass(failed()), told.without({event.notice.topic}))
        assert again.notice == event.notice


def test_the_time_of_an_event_is_the_gateways() -> None:
    late = replace(a_pass(failed()), now=at(8) + timedelta(hours=3))
    assert one(late)["time"] == "2026-11-09T03:00:00Z"
