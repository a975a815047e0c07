"""The picture of one managed key, before it is drawn: which bars and marks it has, and where."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.passes.result import KeyResult, Outcome
from rotator.rules.cadence import CronSchedule
from rotator.rules.decide import decide
from rotator.rules.revocations import Victim
from rotator.service.web.legend import BARS, MARKS, legend
from rotator.service.web.timeline import MAX_OTHERS, Bar, Lane, TimeLine, time_line
from rotator.show.key_status import KeyStatus, key_statuses
from rotator.show.other_keys import OtherKey
from rotator.show.severity import KeyState, Severity
from rotator.show.why import Try
from tests.facts import at, block, facts, key, managed, secret
from tests.shown import REFUSED, one, passed, snapshot, together

NOW = at(30)
DAILY = CronSchedule("0 22 * * *", window=timedelta(hours=6))


def status(result: KeyResult, now: datetime = NOW) -> KeyStatus:
    (found,) = key_statuses(snapshot(passed(together(result, now=now), now), now=now))
    return found


def drawn(result: KeyResult) -> TimeLine:
    line = time_line(status(result), NOW)
    assert line
    return line


def kinds(lane: Lane) -> list[str]:
    return [bar.kind for bar in lane.bars]


def marks(lane: Lane) -> list[str]:
    return [mark.shape for mark in lane.marks]


def end(bar: Bar) -> object:
    """Places are rounded."""
    return pytest.approx(bar.begin + bar.length, abs=0.2)


def windowed(rotated: datetime, cadence: CronSchedule = DAILY) -> KeyResult:
    seen = facts(
        [key(1, created=rotated)],
        secret(block(1, rotated=rotated)),
        now=NOW,
        managed_key=managed(cadence),
    )
    return KeyResult.of(seen.key, Outcome.DONE, decide(seen))


class TestTheCurrentKey:
    def test_what_is_over_and_what_is_left_meet_now_and_end_at_the_next_rotation(self) -> None:
        line = drawn(one(1, age=3))
        (lane,) = line.lanes
        over, left = lane.bars
        assert (over.kind, left.kind, marks(lane)) == ("current", "ahead", ["next"])
        assert line.now == left.begin == end(over)
        assert lane.marks[0].at == end(left)
        assert over.length / (over.length + left.length) == pytest.approx(3 / 7, abs=0.01)
        assert [label.text for label in line.labels] == ["now", "next 5 Dec", "28 Nov"]

    def test_what_is_due_waits_and_has_no_time_left(self) -> None:
        (lane,) = drawn(one(1, age=7.02)).lanes
        assert (kinds(lane), marks(lane)) == (["current", "waits"], [])

    def test_a_failure_is_marked_now_and_the_time_since_it_was_due_is_late(self) -> None:
        line = drawn(one(1, age=8, errors=(REFUSED,), outcome=Outcome.FAILED))
        (lane,) = line.lanes
        assert (kinds(lane), marks(lane)) == (["current", "late"], ["failed"])
        assert lane.marks[0].at == line.now
        assert "Now it is failed. It has been due for 1d." in line.words

    def test_an_earlier_failure_is_marked_when_it_was_by_the_gateways_clock(self) -> None:
        """This machine's clock is an hour ahead."""
        hour = timedelta(hours=1)
        found = status(one(1, age=6, errors=(REFUSED,), outcome=Outcome.FAILED))
        line = time_line(replace(found, last_try=Try(at(29) + hour, REFUSED)), NOW, hour)
        assert line
        first, last = line.lanes[0].marks[-2:]
        assert (first.shape, last.shape, last.at) == ("failed", "failed", line.now)
        assert line.now - first.at == pytest.approx(line.lanes[0].bars[0].length / 6, abs=0.1)

    def test_one_that_programs_are_refused_with_has_no_time_left(self) -> None:
        seen = facts([key(1)], secret(block(1, rotated=at(29))), now=NOW, refused=True)
        line = drawn(KeyResult.of(seen.key, Outcome.FAILED, decide(seen)))
        (lane,) = line.lanes
        assert (kinds(lane), marks(lane)) == (["dead"], ["refused"])
        assert "next rotation" not in line.words
        assert "Now it is refused." in line.words

    def test_one_that_waits_for_its_window_shows_when_that_opens_and_closes(self) -> None:
        line = drawn(windowed(at(29), CronSchedule("0 20 * * *", window=timedelta(hours=3))))
        (lane,) = line.lanes
        assert (kinds(lane), marks(lane)) == (["current", "late", "window"], ["opens", "held"])
        window = lane.bars[-1]
        assert window.begin == lane.marks[0].at
        assert line.words.endswith(
            "It is held until its window opens, 2026-12-01 20:00 UTC. Its window closes 2026-12-01 23:00 UTC."
        )

    def test_one_that_is_not_due_shows_the_window_ahead(self) -> None:
        line = drawn(windowed(at(29.95)))
        (lane,) = line.lanes
        assert kinds(lane) == ["current", "ahead", "window"]
        assert lane.bars[1].begin == line.now
        assert lane.bars[2].begin == end(lane.bars[1])

    def test_one_whose_window_is_open_shows_when_that_closes(self) -> None:
        line = drawn(windowed(at(29.8)))
        assert kinds(line.lanes[0]) == ["current", "late", "window"]
        assert line.words.endswith("Its window closes 2026-12-01 04:00 UTC.")

    def test_a_window_too_short_to_be_seen_is_in_its_mark(self) -> None:
        (lane,) = drawn(windowed(at(29), CronSchedule("0 3 * * SUN", window=timedelta(hours=1)))).lanes
        assert (kinds(lane), marks(lane)) == (["current", "ahead"], ["opens"])

    def test_of_one_that_no_pass_could_read_there_is_no_picture(self) -> None:
        unread = KeyResult(managed(), Outcome.FAILED, errors=(REFUSED,))
        assert time_line(status(unread), NOW) is None

    def test_a_long_id_leaves_the_bars_where_they_are(self) -> None:
        assert drawn(one(123456)).lanes[0].label == "123456"
        line = drawn(one(9_876_543_210))
        assert line.lanes[0].label == "…43210"
        assert "Key 9876543210 is current" in line.words


class TestOtherKeys:
    def test_a_superseded_key_was_current_and_its_grace_is_a_tail(self) -> None:
        line = drawn(one(2, age=0.3, superseded={1: 0.3}))
        current, other = line.lanes
        past, grace = other.bars
        assert (past.kind, grace.kind, marks(other)) == ("past", "grace", ["goes"])
        assert grace.begin == end(past) == current.bars[0].begin
        assert other.marks[0].at == end(grace)
        assert line.words.endswith("Key 1, superseded since 2026-11-30 16:48 UTC: goes in 16h 48m.")

    def test_one_that_should_be_gone_is_marked_until_now(self) -> None:
        line = drawn(one(2, age=3, superseded={1: 3}, errors=(REFUSED,)))
        other = line.lanes[1]
        assert (kinds(other), marks(other)) == (["past", "grace", "late"], ["failed"])
        assert line.now == other.marks[0].at == end(other.bars[-1])
        assert "overdue for 2d" in line.words

    def test_one_that_stays_goes_on_to_the_end(self) -> None:
        seen = facts(
            [key(2, created=at(29)), key(1, ours=False)],
            secret(block(2, rotated=at(29), superseded={1: at(29)})),
            now=NOW,
        )
        line = drawn(KeyResult.of(seen.key, Outcome.DONE, decide(seen)))
        other = line.lanes[1]
        assert marks(other) == ["stays"]
        assert end(other.bars[-1]) == other.marks[0].at
        assert "stays: " in line.words

    def test_an_orphan_was_never_current(self) -> None:
        line = drawn(one(1, orphan=0.005))
        assert (kinds(line.lanes[1]), marks(line.lanes[1])) == (["orphan"], ["goes"])
        assert "Key 5001, an orphan since" in line.words

    def test_one_that_is_older_than_a_period_does_not_make_the_others_small(self) -> None:
        entry = managed()
        seen = facts(
            [key(2, created=at(29)), key(1, created=at(-4000))],
            secret(block(2, rotated=at(29), superseded={1: at(29.5)})),
            now=NOW,
            managed_key=entry,
        )
        line = drawn(KeyResult.of(entry, Outcome.DONE, decide(seen)))
        current = line.lanes[0]
        assert sum(bar.length for bar in current.bars) == pytest.approx(41, abs=0.5), "half of it"
        assert line.lanes[1].bars[0].begin == 15.0

    def test_only_so_many_are_drawn_and_all_are_named(self) -> None:
        line = drawn(one(1, age=0.01, superseded={100 + n: 0.05 + n / 10 for n in range(9)}))
        assert len(line.lanes) == 1 + MAX_OTHERS
        assert all(f"Key {100 + n}, superseded" in line.words for n in range(9))


MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
OPTIONAL = st.none() | MOMENTS
OTHERS = st.builds(
    OtherKey,
    kind=st.sampled_from(Victim),
    id=st.integers(1, 10**12),
    since=OPTIONAL,
    goes_at=OPTIONAL,
    stays=st.sampled_from(["", "it is the bearer"]),
    overdue=st.booleans(),
    created_at=OPTIONAL,
)
STATUSES = st.builds(
    KeyStatus,
    name=st.text(),
    path=st.text(),
    state=st.sampled_from(KeyState),
    severity=st.sampled_from(Severity),
    why=st.none(),
    known=st.booleans(),
    key_id=st.none() | st.integers(1, 10**12),
    rotated_at=OPTIONAL,
    age=st.none(),
    due_at=OPTIONAL,
    unrotated=st.booleans(),
    held=st.booleans(),
    opens_at=OPTIONAL,
    window=st.none() | st.tuples(MOMENTS, MOMENTS),
    retry_at=st.none(),
    superseded=st.lists(OTHERS, max_size=8).map(tuple),
    orphans=st.lists(OTHERS, max_size=3).map(tuple),
    warnings=st.just(()),
    errors=st.just(()),
    last_try=st.none(),
)


@given(STATUSES)
def test_whatever_the_times_are_nothing_is_drawn_outside(found: KeyStatus) -> None:
    line = time_line(found, NOW)
    if line is None:
        return
    assert 15 <= line.now <= 97
    for lane in line.lanes:
        assert all(bar.begin >= 15 and bar.length > 0 and bar.begin + bar.length <= 97.2 for bar in lane.bars)
        assert all(15 <= mark.at <= 97 for mark in lane.marks)
        assert all(bar.kind in BARS for bar in lane.bars)
        assert all(mark.shape in MARKS for mark in lane.marks)
    assert all(0 <= label.at <= 100 for label in line.labels)


def test_only_signs_that_are_seen_are_explained() -> None:
    well = drawn(one(1))
    assert [sign.name for sign in legend([well])] == ["current", "ahead", "next"]
    grace = drawn(one(1, age=0.3, superseded={2: 0.3}))
    assert [sign.name for sign in legend([well, grace])] == [
        *("current", "ahead", "past", "grace"),
        *("next", "goes"),
    ]
