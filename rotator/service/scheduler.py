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

from rotator.rules.cadence import CronSchedule, Every, PassSchedule

_JOB = "pass"


class Scheduler:
    """Calls `work` right after the start and then on its schedule: one call at a time, late ones as one.

    An error of `work` ends that call alone.
    """

    def __init__(self, schedule: PassSchedule, work: Callable[[], object]) -> None:
        # An executor with one thread, and one instance of the job: two calls never overlap.
        self._scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(1)}, timezone=UTC)
        self._trigger = _Trigger(schedule)
        self._thread = Thread(target=self._scheduler.start, name="scheduler", daemon=True)
        self._scheduler.add_job(
            work,
            self._trigger,
            id=_JOB,
            name=_JOB,
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
        self._trigger = _Trigger(schedule)
        self._scheduler.reschedule_job(_JOB, trigger=self._trigger)

    @property
    def alive(self) -> bool:
        """Whether further calls will come, and not only after the local clock was set back."""
        next_at = self.next_at
        return self._thread.is_alive() and (next_at is None or next_at <= self._trigger.latest())

    @property
    def next_at(self) -> datetime | None:
        """The next call but the first, by the local clock, in UTC."""
        return self._trigger.next_at


class _Trigger(BaseTrigger):  # type: ignore[misc]
    """A schedule as this program reads it, which knows what it said last.

    To ask APScheduler would be to wait for its lock, which it holds while it waits for the last call to end.
    """

    def __init__(self, schedule: PassSchedule) -> None:
        self._schedule = schedule
        self._inner = None if isinstance(schedule, CronSchedule) else _interval(schedule)
        self.next_at: datetime | None = None

    def __str__(self) -> str:
        """What APScheduler's own log lines call it."""
        return "schedule"

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        # From now on, not from the last: APScheduler would count every call that a clock set forward has skipped.
        last = max(previous, now) if previous else None
        if self._inner:
            self.next_at = self._inner.get_next_fire_time(last, now)
        elif isinstance(self._schedule, CronSchedule):
            self.next_at = self._schedule.due_at(last or now)
        return self.next_at

    def latest(self) -> datetime:
        """When the next call comes at the latest, as of now."""
        now = datetime.now(UTC)
        if isinstance(self._schedule, CronSchedule):
            return self._schedule.due_at(now)
        return now + self._schedule.interval + self._schedule.jitter


def _interval(schedule: Every) -> Any:
    seconds, jitter = schedule.interval.total_seconds(), schedule.jitter.total_seconds()
    return IntervalTrigger(seconds=seconds, jitter=jitter or None, timezone=UTC)
