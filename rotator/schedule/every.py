"""When the long-running mode makes a pass."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from rotator.schedule.cron import CronSchedule


@dataclass(frozen=True)
class Every:
    """A pass `interval` after the last, and at random up to `jitter` later."""

    interval: timedelta
    jitter: timedelta


PassSchedule: TypeAlias = Every | CronSchedule
