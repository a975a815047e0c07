"""Calls on a schedule, from a thread of its own."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from rotator.schedule.cron import CronSchedule
from rotator.schedule.every import PassSchedule

_JOB = "pass"


class Scheduler:
    """Calls `work` right after the start and then on its schedule: one call at a time, late ones as one.

    An error of `work` ends that call alone.
    """

    def __init__(self, schedule: PassSchedule, work: Callable[[], object]) -> None:
        # An executor with one thread, and one instance of the job: two calls never overlap.
        self._scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(1)}, timezone=UTC)
        self._thread = Thread(target=self._scheduler.start, name="scheduler", daemon=True)
        self._scheduler.add_job(
            work,
            _trigger(schedule),
            id=_JOB,
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Return when it runs."""
        started = Event()
        self._scheduler.add_listener(lambda _event: started.set(), EVENT_SCHEDULER_STARTED)
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        """Make no further call; return when the one that is being made has ended."""
        if self._thread.is_alive():
            self._scheduler.shutdown(wait=True)
            self._thread.join()

    def reschedule(self, schedule: PassSchedule) -> None:
        """Go by another schedule from now on."""
        self._scheduler.reschedule_job(_JOB, trigger=_trigger(schedule))

    @property
    def alive(self) -> bool:
        """Whether further calls will come."""
        return self._thread.is_alive() and self.next_at is not None

    @property
    def next_at(self) -> datetime | None:
        """The next call, by the local clock, in UTC."""
        job = self._scheduler.get_job(_JOB)
        at: datetime | None = job and job.next_run_time
        return at


class _Firings(BaseTrigger):  # type: ignore[misc]
    """A cron expression as everywhere in this program, not as APScheduler reads it."""

    def __init__(self, schedule: CronSchedule) -> None:
        self._schedule = schedule

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return self._schedule.due_at(max(previous, now) if previous else now)


def _trigger(schedule: PassSchedule) -> Any:
    if isinstance(schedule, CronSchedule):
        return _Firings(schedule)
    seconds, jitter = schedule.interval.total_seconds(), schedule.jitter.total_seconds()
    return IntervalTrigger(seconds=seconds, jitter=jitter or None, timezone=UTC)
