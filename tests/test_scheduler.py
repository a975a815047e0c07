"""The schedule of the long-running mode: at once, then as configured, one call at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Semaphore

import pytest

from rotator.rules.cadence import CronSchedule, Every, PassSchedule
from rotator.service.scheduler import Scheduler, _Trigger
from tests.logs import captured

BOUND = 30.0
HOURLY = Every(timedelta(hours=1), timedelta(0))
AT_ONCE = Every(timedelta(milliseconds=10), timedelta(0))


@contextmanager
def scheduled(schedule: PassSchedule, work: Callable[[], timedelta | None]) -> Iterator[Scheduler]:
    scheduler = Scheduler(schedule, work)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()


def _next_at(scheduler: Scheduler) -> datetime:
    assert scheduler.next_at
    return scheduler.next_at


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline, f"not within {BOUND} s"
        time.sleep(0.01)


def test_the_first_call_comes_at_once_and_the_next_on_schedule() -> None:
    called = Semaphore(0)
    with scheduled(HOURLY, called.release) as scheduler:
        assert called.acquire(timeout=BOUND)
        assert scheduler.alive
        assert timedelta(minutes=59) < _next_at(scheduler) - datetime.now(UTC) <= timedelta(hours=1)
        assert not called.acquire(blocking=False)


def test_by_the_clock_of_a_time_zone() -> None:
    cron = CronSchedule("0 3 * * *", "Europe/Berlin")
    called = Semaphore(0)
    with scheduled(cron, called.release) as scheduler:
        assert called.acquire(timeout=BOUND)
        before = datetime.now(UTC)
        assert scheduler.next_at in (cron.due_at(before), cron.due_at(datetime.now(UTC)))


def test_one_at_a_time() -> None:
    begun, ended, go_on = Semaphore(0), Semaphore(0), Event()

    def work() -> None:
        begun.release()
        go_on.wait(BOUND)
        ended.release()

    with captured() as logged, scheduled(AT_ONCE, work) as scheduler:
        assert begun.acquire(timeout=BOUND)
        first = _next_at(scheduler)
        _until(lambda: _next_at(scheduler) > first + timedelta(milliseconds=50))
        assert not begun.acquire(blocking=False), (
            "its time came again and again while the first was being made"
        )
        go_on.set()
        for _ in range(5):
            assert ended.acquire(timeout=BOUND)
    assert 'job \\"pass (trigger: schedule, ' in logged.getvalue()


def test_what_raises_does_not_stop_the_schedule() -> None:
    called = Semaphore(0)

    def work() -> None:
        called.release()
        raise RuntimeError("for this test")

    with scheduled(AT_ONCE, work) as scheduler:
        for _ in range(3):
            assert called.acquire(timeout=BOUND)
        assert scheduler.alive


def test_another_schedule_from_now_on() -> None:
    called = Semaphore(0)
    with scheduled(HOURLY, called.release) as scheduler:
        assert called.acquire(timeout=BOUND)
        scheduler.reschedule(AT_ONCE)
        for _ in range(3):
            assert called.acquire(timeout=BOUND)
        scheduler.reschedule(HOURLY)
        assert _next_at(scheduler) > datetime.now(UTC) + timedelta(minutes=50)


@pytest.mark.parametrize("schedule", [HOURLY, AT_ONCE, CronSchedule("0 3 * * *")])
def test_a_clock_that_is_set_forward_by_years_skips_them_in_one_step(schedule: PassSchedule) -> None:
    now = datetime.now(UTC)
    next_at = _Trigger(schedule).get_next_fire_time(now - timedelta(days=3650), now)
    assert next_at is not None
    assert now < next_at <= now + timedelta(days=1)


def test_stopped_it_waits_for_the_call_and_is_not_alive() -> None:
    begun, ended = Event(), Event()

    def work() -> None:
        begun.set()
        _until(lambda: not scheduler._scheduler.running)  # stop was called
        ended.set()

    scheduler = Scheduler(HOURLY, work)
    assert not scheduler.alive
    scheduler.start()
    assert begun.wait(BOUND)
    scheduler.stop()
    assert ended.is_set()
    assert not scheduler.alive
    scheduler.stop()
