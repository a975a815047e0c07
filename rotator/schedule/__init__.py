"""When things fall due, and who calls at that time. The only importer of apscheduler."""

from rotator.schedule.cron import CronSchedule, check_expression, check_timezone
from rotator.schedule.every import Every, PassSchedule

__all__ = ["CronSchedule", "Every", "PassSchedule", "check_expression", "check_timezone"]
