import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.clients import retry
from rotator.clients.answers import parse_retry_after
from rotator.clients.retry import Policy
from rotator.errors import Limited, Rejected, Transient
from tests.logs import captured

FAILURE = Transient("GET /keys: 500", ambiguous=True, status=500, request_id="req_1")


class Calls:
    """Fails as often as it is told to, and counts."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.count = list(failures), 0
        self.slept: list[float] = []

    def __call__(self) -> str:
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "secret result"

    def run(self, policy: Policy, again: Callable[[BaseException], bool] = retry.transient) -> str:
        return retry.call(self, policy, event="gateway.retry", sleep=self.slept.append, again=again)


def test_it_returns_what_the_attempt_returns() -> None:
    calls = Calls(FAILURE, FAILURE)
    assert calls.run(Policy()) == "secret result"
    assert calls.count == 3


def test_it_is_bounded_in_attempts_and_raises_the_last_error() -> None:
    calls = Calls(*[FAILURE] * 9)
    with pytest.raises(Transient) as raised:
        calls.run(Policy(attempts=4))
    assert raised.value is FAILURE
    assert calls.count == 4


def test_it_is_bounded_in_time() -> None:
    calls = Calls(*[Transient("slow down", ambiguous=False, retry_after=30)] * 9)
    with pytest.raises(Transient):
        calls.run(Policy(attempts=0, deadline=20))
    assert calls.count == 2  # the last attempt is made at the end, however long the server asked us to wait
    assert 19 < sum(calls.slept) <= 20


def test_a_limit_counts_as_no_attempt_and_is_waited_for_elsewhere() -> None:
    limited = Limited("429", ambiguous=False, retry_after=7)
    calls = Calls(FAILURE, *[limited] * 20, FAILURE)
    assert calls.run(Policy(attempts=3)) == "secret result"
    assert sum(calls.slept) <= 0.5 + 1


def test_a_limit_counts_once_nobody_is_patient_any_more() -> None:
    calls = Calls(*[Limited("429", ambiguous=False)] * 20)
    with pytest.raises(Limited):
        retry.call(
            calls,
            Policy(attempts=3),
            event="gateway.retry",
            sleep=calls.slept.append,
            patient=lambda: calls.count < 5,
        )
    assert calls.count == 7  # four that were waited for, and three attempts


def test_where_the_time_counts_a_limit_does_too() -> None:
    calls = Calls(*[Limited("429", ambiguous=False)] * 20)
    with pytest.raises(Limited):
        calls.run(replace(Policy(attempts=3), patience=0))
    assert calls.count == 3


def test_until_has_no_bound_but_the_deadline() -> None:
    policy = Policy(attempts=3).until(timedelta(minutes=5))
    calls = Calls(*[FAILURE] * 20)
    assert calls.run(policy) == "secret result"
    assert policy.deadline == 300
    assert max(calls.slept) <= 5


def test_what_may_not_be_repeated_is_not() -> None:
    for failure in (Rejected("400"), ZeroDivisionError()):
        calls = Calls(failure)
        with pytest.raises(type(failure)):
            calls.run(Policy())
        assert calls.count == 1


def test_the_caller_says_what_may_be_repeated() -> None:
    calls = Calls(FAILURE, FAILURE)
    with pytest.raises(Transient):
        calls.run(Policy(), again=lambda _: calls.count < 2)
    assert calls.count == 2


def test_waits_are_jittered_over_the_whole_of_a_growing_interval() -> None:
    waits: list[list[float]] = [[], [], [], []]
    for _ in range(300):
        calls = Calls(*[FAILURE] * 4)
        calls.run(Policy(first_wait=1, longest_wait=3))
        for seen, wait in zip(waits, calls.slept, strict=True):
            seen.append(wait)
    for seen, ceiling in zip(waits, (1, 2, 3, 3), strict=True):
        assert 0 <= min(seen) < ceiling / 4
        assert ceiling * 3 / 4 < max(seen) <= ceiling


@pytest.mark.parametrize(("asked", "least"), [(7, 7), (3600, 60), (0, 0)])
def test_retry_after_is_honoured_and_capped(asked: float, least: float) -> None:
    calls = Calls(Transient("429", ambiguous=False, retry_after=asked))
    calls.run(Policy(deadline=1000, first_wait=1, longest_retry_after=60))
    assert least <= calls.slept[0] <= least + 1


def test_each_wait_is_logged_without_result_or_arguments() -> None:
    calls = Calls(FAILURE)
    with captured() as out:
        calls.run(Policy())
    line = json.loads(out.getvalue())
    del line["timestamp"]
    assert line == {
        "level": "warning",
        "event": "gateway.retry",
        "attempt": 1,
        "wait_s": round(calls.slept[0], 3),
        "error": "GET /keys: 500",
        "status": 500,
        "request_id": "req_1",
    }
    assert "secret result" not in out.getvalue()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("0", 0),
        (" 120 ", 120),
        ("9" * 40, 999_999_999),
        ("Sun, 01 Nov 2026 00:02:00 GMT", 120),
        ("Sun, 01 Nov 2026 00:02:00 -0000", 120),
        ("Sat, 31 Oct 2026 00:00:00 GMT", 0),
        ("Sun, 01 Nov 99999 00:00:00 GMT", None),
    ],
)
def test_both_forms_of_retry_after(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now=datetime(2026, 11, 1, tzinfo=UTC)) == seconds


def test_without_a_date_of_the_answer_the_local_clock_serves() -> None:
    assert parse_retry_after("Sun, 01 Nov 2020 00:00:00 GMT") == 0
