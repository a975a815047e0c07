"""The schedule of the long-running mode: at once, then as configured, one call at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Semaphore

from rotator.schedule import CronSchedule, Every, PassSchedule
from rotator.schedule.scheduler import Scheduler

BOUND = 30.0
HOURLY = Every(timedelta(hours=1), timedelta(0))
AT_ONCE = Every(timedelta(milliseconds=10), timedelta(0))


@contextmanager
def scheduled(schedule: PassSchedule, work: Callable[[], object]) -> Iterator[Scheduler]:
    scheduler = Scheduler(schedule, work)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()


def test_the_first_call_comes_at_once_and_the_next_on_schedule() -> None:
    called = Semaphore(0)
    with scheduled(HOURLY, called.release) as scheduler:
        assert called.acquire(timeout=BOUND)
        assert scheduler.alive
        assert scheduler.next_at
        assert timedelta(minutes=59) < scheduler.next_at - datetime.now(UTC) <= timedelta(hours=1)
        assert not called.acquire(blocking=False)


def test_by_the_clock_of_a_time_zone() -> None:
    cron = CronSchedule("0 3 * * *", "Europe/Berlin")
    called = Semaphore(0)
    with scheduled(cron, called.release) as scheduler:
        assert called.acquire(timeout=BOUND)
        before = datetime.now(UTC)
        assert scheduler.next_at in (cron.due_at(before), cron.due_at(datetime.now(UTC)))


def test_one_at_a_time() -> None:
    running, more, go_on = Semaphore(0), Semaphore(0), Event()
    at_once, most = 0, 0

    def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        running.release()
        go_on.wait(BOUND)
        at_once -= 1
        more.release()

    with scheduled(AT_ONCE, work):
        assert running.acquire(timeout=BOUND)
        go_on.set()
        for _ in range(5):
            assert more.acquire(timeout=BOUND)
    assert most == 1


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
        assert scheduler.next_at
        assert scheduler.next_at > datetime.now(UTC) + timedelta(minutes=50)


def test_stopped_it_waits_for_the_call_and_is_not_alive() -> None:
    begun, go_on, ended = Event(), Event(), Event()

    def work() -> None:
        begun.set()
        go_on.wait(BOUND)
        ended.set()

    scheduler = Scheduler(HOURLY, work)
    assert not scheduler.alive
    scheduler.start()
    assert begun.wait(BOUND)
    go_on.set()
    scheduler.stop()
    assert ended.is_set()
    assert not scheduler.alive
    scheduler.stop()
