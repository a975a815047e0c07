"""Cron expressions against the calendar, clock changes included."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.rules.cadence import Cadence, CronSchedule

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def firings(schedule: CronSchedule, after: str, until: str) -> list[datetime]:
    found = []
    at = schedule.due_at(utc(after))
    while at <= utc(until):
        found.append(at)
        at = schedule.due_at(at)
    return found


def weekdays(expression: str) -> str:
    """The weekdays of a week on which the expression fires, Monday first."""
    schedule = CronSchedule(expression)
    return " ".join(f"{at:%a}" for at in firings(schedule, "2027-03-01 00:00", "2027-03-08 00:00"))


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("6", "Sat"),
        ("sun", "Sun"),
        ("MON-FRI", "Mon Tue Wed Thu Fri"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("5-7", "Fri Sat Sun"),
        ("0-6", "Mon Tue Wed Thu Fri Sat Sun"),
        ("0-7", "Mon Tue Wed Thu Fri Sat Sun"),
        ("FRI-SUN", "Fri Sat Sun"),
        ("SUN-TUE", "Mon Tue Sun"),
        ("0,3", "Wed Sun"),
        ("*/2", "Tue Thu Sat Sun"),
        ("1-5/2", "Mon Wed Fri"),
        ("MON-FRI/2", "Mon Wed Fri"),
        ("4/2", "Thu Sat"),
        ("*", "Mon Tue Wed Thu Fri Sat Sun"),
    ],
)
def test_weekdays_are_counted_as_cron_counts_them(field: str, days: str) -> None:
    assert weekdays(f"0 12 * * {field}") == days


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * SUN", "2027-01-03 03:00"),
        ("*/25 * * * *", "2027-01-01 00:25"),
        ("5/20 * * * *", "2027-01-01 00:05"),
        ("15,45 6-8 * * *", "2027-01-01 06:15"),
        ("0 0 31 * *", "2027-01-31 00:00"),
        ("0 0 1 feb-apr *", "2027-02-01 00:00"),
        ("0 0 1 FEB-APR/2 *", "2027-02-01 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
    ],
)
def test_first_firing_of_a_year(expression: str, expected: str) -> None:
    assert CronSchedule(expression).due_at(utc("2027-01-01 00:00")) == utc(expected)


def test_months_keep_their_step() -> None:
    found = firings(CronSchedule("0 0 1 JAN-DEC/5 *"), "2026-12-31 00:00", "2027-12-31 00:00")
    assert [at.month for at in found] == [1, 6, 11]


@pytest.mark.parametrize(
    ("expression", "cure"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("0 0 3 * * SUN", "five fields"),
        ("60 * * * *", "minute out of range"),
        ("0 24 * * *", "hour out of range"),
        ("0 0 0 * *", "day-of-month out of range"),
        ("0 0 * 13 *", "month out of range"),
        ("0 0 * FOO *", "JAN to DEC"),
        ("0 0 * * 8", "day-of-week out of range"),
        ("0 0 * * MOON", "SUN to SAT"),
        ("0 0 L * *", "cron does not know"),
        ("0 0 ? * *", "cron does not know"),
        ("0, * * * *", "cron does not know"),
        ("30-10 * * * *", "two ranges"),
        ("0 0 * * SAT-MON", "two ranges"),
        ("*/0 * * * *", "step from 1 to 59"),
        ("*/60 * * * *", "step from 1 to 59"),
        ("0 0 * * */7", "step from 1 to 6"),
        ("0 0 1 * MON", "write `*` for one of them"),
        ("0 0 */2 * MON", "write `*` for one of them"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 APR,JUN *", "never fires"),
    ],
)
def test_what_is_no_schedule_is_refused_with_a_cure(expression: str, cure: str) -> None:
    with pytest.raises(ValueError) as refused:
        CronSchedule(expression)
    assert cure in str(refused.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe", "a\0b"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        CronSchedule("0 3 * * *", zone)


@pytest.mark.parametrize(
    ("zone", "expression", "day", "expected"),
    [
        # Clocks go forward: Berlin from 2:00 to 3:00, which is 1:00 UTC; New York likewise, at 7:00 UTC.
        (BERLIN, "30 2 * * *", "2027-03-28", ["01:00"]),
        (BERLIN, "0 2 * * *", "2027-03-28", ["01:00"]),
        (BERLIN, "30 2,3 * * *", "2027-03-28", ["01:00", "01:30"]),
        (BERLIN, "0 1-4 * * *", "2027-03-28", ["00:00", "01:00", "02:00"]),
        (NEW_YORK, "15 2 * * *", "2027-03-14", ["07:00"]),
        # Clocks go back: the hour from 2:00 (1:00 in New York) comes twice; the first time counts.
        (BERLIN, "30 2 * * *", "2027-10-31", ["00:30"]),
        (BERLIN, "*/30 1-3 * * *", "2027-10-31", ["23:00", "23:30", "00:00", "00:30", "02:00", "02:30"]),
        (NEW_YORK, "30 1 * * *", "2027-11-07", ["05:30"]),
    ],
)
def test_firings_on_the_day_of_a_clock_change(
    zone: str, expression: str, day: str, expected: list[str]
) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    before, after = (midnight - timedelta(minutes=1)), midnight + timedelta(hours=20)
    text = "%Y-%m-%d %H:%M"
    found = firings(
        CronSchedule(expression, zone), f"{before.astimezone(UTC):{text}}", f"{after.astimezone(UTC):{text}}"
    )
    assert [f"{at:%H:%M}" for at in found] == expected


def test_a_moment_of_the_repeated_hour_waits_for_the_next_day() -> None:
    schedule = CronSchedule("30 2 * * *", BERLIN)
    second_time = utc("2027-10-31 01:10")  # 2:10, an hour after it was 2:10 before
    assert schedule.due_at(second_time) == utc("2027-11-01 01:30")


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("hour", [0, 1, 2, 3])
def test_a_daily_schedule_fires_once_each_day(zone: str, hour: int) -> None:
    schedule = CronSchedule(f"30 {hour} * * *", zone)
    found = firings(schedule, "2027-01-01 14:00", "2028-01-01 13:59")
    days = [at.astimezone(ZoneInfo(zone)).date() for at in found]
    first = date(2027, 1, 2)
    assert days == [days[0] + timedelta(days=offset) for offset in range(365)]
    assert abs(days[0] - first) <= timedelta(days=1)


@settings(deadline=None, derandomize=True)
@given(
    expression=st.sampled_from(["30 2 * * *", "*/20 * * * *", "0 3 * * SUN", "15 1-3 28-31 3,10 *"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, "UTC"]),
    seconds=st.integers(0, 4 * 365 * 86_400),
)
def test_due_is_later_and_nothing_is_due_between(expression: str, zone: str, seconds: int) -> None:
    schedule = CronSchedule(expression, zone)
    moment = utc("2026-01-01 00:00") + timedelta(seconds=seconds)
    due = schedule.due_at(moment)
    assert due > moment
    assert due.utcoffset() == timedelta()
    assert schedule.due_at(due - timedelta(microseconds=1)) == due
    assert schedule.due_at(moment + (due - moment) / 2) == due


def test_a_firing_is_due_strictly_after_the_last_rotation() -> None:
    schedule = CronSchedule("0 3 * * *")
    assert schedule.due_at(utc("2027-01-01 02:59:59.999999")) == utc("2027-01-01 03:00")
    assert schedule.due_at(utc("2027-01-01 03:00")) == utc("2027-01-02 03:00")


def test_a_window_is_open_from_its_firing_until_just_before_its_end() -> None:
    schedule = CronSchedule("0 3 * * *", window=timedelta(hours=4))
    assert not schedule.window_open(utc("2027-01-01 02:59:59"))
    assert schedule.window_open(utc("2027-01-01 03:00"))
    assert schedule.window_open(utc("2027-01-01 06:59:59"))
    assert not schedule.window_open(utc("2027-01-01 07:00"))


def test_a_window_ends_after_the_last_firing() -> None:
    daily = CronSchedule("0 3 * * *", window=timedelta(hours=4))
    assert daily.window_ends(utc("2027-01-01 02:59:59")) is None
    assert daily.window_ends(utc("2027-01-01 03:00")) == utc("2027-01-01 07:00")
    overlapping = CronSchedule("0 3 * * *", window=timedelta(hours=50))
    assert overlapping.window_ends(utc("2027-01-01 04:00")) == utc("2027-01-03 05:00")
    assert CronSchedule("0 3 * * *").window_ends(utc("2027-01-01 03:00")) is None


def test_without_a_window_it_is_always_open() -> None:
    assert CronSchedule("0 3 * * *").window_open(utc("2027-01-01 12:00"))


@pytest.mark.parametrize(
    ("expression", "zone", "shortest"),
    [
        ("0 3 * * *", "UTC", timedelta(days=1)),
        ("0 12 * * *", BERLIN, timedelta(hours=23)),
        ("0 3 * * SUN,MON", "UTC", timedelta(days=1)),
        ("0 3 * * SUN", NEW_YORK, timedelta(days=6, hours=23)),
        ("* * * * *", "UTC", timedelta(minutes=1)),
        ("0,50 * * * *", "UTC", timedelta(minutes=10)),
        ("0 0 1 * *", "UTC", timedelta(days=28)),
        ("0 0 28,29 2 *", "UTC", timedelta(days=1)),
        ("0 0 29 2 *", "UTC", timedelta(days=4 * 365 + 1)),
    ],
)
def test_shortest_distance(expression: str, zone: str, shortest: timedelta) -> None:
    assert CronSchedule(expression, zone).shortest == shortest


def test_times_beyond_the_calendar_do_not_fail() -> None:
    schedule = CronSchedule("0 3 * * *", NEW_YORK)
    assert schedule.due_at(datetime.max.replace(tzinfo=UTC)) == datetime.max.replace(tzinfo=UTC)
    assert schedule.due_at(utc("9000-01-01 00:00")) == datetime.max.replace(tzinfo=UTC)
    assert schedule.due_at(datetime.min.replace(tzinfo=UTC)).year == 1970


def test_schedules_are_values() -> None:
    one, other = (CronSchedule("0 3 * * *", BERLIN, timedelta(hours=1)) for _ in range(2))
    assert one.shortest == other.shortest
    assert one == other
    assert hash(one) == hash(other)
    assert one != CronSchedule("0 3 * * *", "UTC", timedelta(hours=1))


def test_it_is_a_cadence() -> None:
    cadence: Cadence = CronSchedule("0 3 * * *")
    assert cadence.due_at(utc("2027-01-01 00:00")) == utc("2027-01-01 03:00")
