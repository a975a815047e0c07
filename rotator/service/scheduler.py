"""Calls on a schedule, from a thread of its own."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Condition, Event, Thread
from typing import Any

import structlog
from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from rotator.rules.cadence import CronSchedule, Every, PassSchedule

_JOB = "pass"

log = structlog.get_logger()


class Scheduler:
    """Calls `work` right after the start and then on its schedule: one call at a time, late ones as one.

    What `work` returns is how soon it wants to be called again, where the schedule would have it wait for longer.
    An error of `work` ends that call alone.
    """

    def __init__(self, schedule: PassSchedule, work: Callable[[], timedelta | None]) -> None:
        self._work = work
        self._again_at: datetime | None = None
        self._wakes, self._stopped, self._changed = 0, False, Condition()
        # An executor with one thread, and one instance of the job: two calls never overlap.
        self._scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(1)}, timezone=UTC)
        self._trigger = _Trigger(schedule)
        self._thread = Thread(target=self._scheduler.start, name="scheduler", daemon=True)
        self._scheduler.add_job(
            self._call,
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
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._scheduler.shutdown(wait=True)
            self._thread.join()

    def reschedule(self, schedule: PassSchedule) -> None:
        """Go by another schedule from now on."""
        self._trigger = _Trigger(schedule)
        self._scheduler.reschedule_job(_JOB, trigger=self._trigger)

    def wake(self) -> None:
        """Let a call that waits to be made again be made now."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    @property
    def alive(self) -> bool:
        """Whether further calls will come, and not only after the local clock was set back."""
        next_at = self.next_at
        return self._thread.is_alive() and (next_at is None or next_at <= self._trigger.latest())

    @property
    def next_at(self) -> datetime | None:
        """The next call but the first, by the local clock, in UTC."""
        return self._again_at or self._trigger.next_at

    def say_when(self) -> None:
        """Log when the schedule tries again what failed."""
        wait = (self._trigger.next_at or self._trigger.latest()) - datetime.now(UTC)
        log.info("daemon.tries_on_schedule", wait_s=round(wait.total_seconds(), 1))

    def _call(self) -> None:
        """Call `work` until it is content, or until the schedule would call it sooner.

        All within one call of APScheduler's: to give it another time is to wait for a lock that `stop` holds.
        """
        wakes = self._wakes
        while (wait := self._work()) is not None and self._waited(wait, wakes):
            wakes = self._wakes

    def _waited(self, wait: timedelta, wakes: int) -> bool:
        """Wait for so long; return whether to call then.

        At random up to half as long again, so that processes that failed together do not come back together.
        """
        now = datetime.now(UTC)
        at, due = now + wait * random.uniform(1, 1.5), self._trigger.next_at  # noqa: S311
        # In the first moment of a call APScheduler has not yet asked when the next one is.
        if at >= (due if due and due > now else self._trigger.latest()):
            self.say_when()
            return False
        log.info("daemon.tries_again", wait_s=round((at - now).total_seconds(), 1))
        self._again_at = at
        try:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopped or self._wakes != wakes, (at - now).total_seconds()
                )
                return not self._stopped
        finally:
            self._again_at = None


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
