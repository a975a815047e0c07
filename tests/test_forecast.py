"""When the keys of the account fall due, before it is drawn; and what is written in a picture."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.passes.result import KeyResult, Outcome
from rotator.service.web.forecast import BASE, Forecast, forecast
from rotator.service.web.labels import Label, placed
from rotator.show.key_status import KeyStatus, key_statuses
from tests.facts import at, managed
from tests.shown import REFUSED, one, passed, snapshot, together

NOW = at(30)


def statuses(*keys: KeyResult) -> tuple[KeyStatus, ...]:
    return key_statuses(snapshot(passed(together(*keys), NOW), now=NOW))


def due_in(*days: float) -> tuple[KeyStatus, ...]:
    """Managed keys that fall due so many days from now."""
    found = statuses(*(one(number, age=1) for number, _ in enumerate(days, start=1)))
    return tuple(replace(one, due_at=NOW + timedelta(days=day)) for one, day in zip(found, days, strict=True))


def drawn(*days: float) -> Forecast:
    found = forecast(due_in(*days), NOW)
    assert found
    return found


def test_a_column_for_each_day_on_which_keys_fall_due() -> None:
    found = drawn(0.5, 0.6, 3.2)
    assert [column.number for column in found.columns] == [2, 1]
    assert found.title == "Next rotations in the coming 7 days"
    assert found.words == "1 Dec: 2; 4 Dec: 1."
    assert found.said == "Of 3 keys: 3 within 7 days."
    highest, lower = found.columns
    assert highest.height == 2 * lower.height
    assert highest.y + highest.height == lower.y + lower.height == BASE
    assert [label.text for label in found.labels] == ["2", "1", *(f"{day} Dec" for day in range(1, 8))]


@pytest.mark.parametrize(
    ("last", "title"),
    [
        (6.9, "the coming 7 days"),
        (7.1, "the coming 14 days"),
        (14.1, "the coming 35 days"),
        (35.1, "the coming 13 weeks"),
        (200, "the coming 13 weeks"),
    ],
)
def test_it_looks_as_far_ahead_as_it_must(last: float, title: str) -> None:
    assert drawn(1, last).title.endswith(title)


def test_what_lies_beyond_is_said() -> None:
    found = drawn(1, 8, 200)
    assert found.words == "week of 1 Dec: 1; week of 8 Dec: 1."
    assert found.said == "Of 3 keys: 1 within 7 days, 1 after 1 Mar."
    assert drawn(8, 9).said == "Of 2 keys: none within 7 days."


def test_what_is_due_now_stands_apart_and_looks_unlike_the_others() -> None:
    failed = one(1, age=7.5, errors=(REFUSED,), outcome=Outcome.FAILED)
    found = forecast(statuses(failed, one(2, age=7.01), one(3, age=1)), NOW)
    assert found
    assert [(column.number, column.waits) for column in found.columns] == [(2, True), (1, False)]
    assert found.words == "now: 2; 7 Dec: 1."
    assert found.said == "Of 3 keys: 2 now, 1 within 7 days."
    assert "now" in [label.text for label in found.labels]


def test_what_fell_due_earlier_today_is_due_now() -> None:
    found = forecast(due_in(0.4, 0.6), NOW + timedelta(days=0.5))
    assert found
    assert found.words == "now: 1; 1 Dec: 1."


def test_a_single_key_and_one_of_which_nothing_is_known_need_none() -> None:
    unread = KeyResult(managed(), Outcome.FAILED, errors=(REFUSED,))
    assert forecast((), NOW) is None
    assert forecast(statuses(one(1)), NOW) is None
    assert forecast(statuses(unread), NOW) is None


def test_the_scale_ends_with_the_calendar() -> None:
    assert drawn(1, 2_900_000).said == "Of 2 keys: 1 within 7 days, 1 after 1 Mar."


@given(st.lists(st.floats(-30, 400), min_size=2, max_size=300))
def test_every_key_is_counted_once_and_nothing_is_drawn_outside(days: list[float]) -> None:
    keys = due_in(*days)
    found = forecast(keys, NOW)
    assert found
    later = [part for part in found.said.rstrip(".").split(", ") if "after" in part]
    counted = sum(column.number for column in found.columns)
    assert counted + (int(later[0].split()[-4]) if later else 0) == len(days)
    assert all(column.x >= 0 and column.x + column.width <= 100 for column in found.columns)
    assert all(0 <= column.y < BASE for column in found.columns)


@given(st.lists(st.tuples(st.floats(0, 100), st.text(min_size=1, max_size=12))))
def test_no_text_stands_on_another(wanted: list[tuple[float, str]]) -> None:
    labels = placed([Label(text, where) for where, text in wanted], 0, 100)

    def span(label: Label) -> tuple[float, float]:
        width = 1.8 * len(label.text)
        begin = label.at - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
        return begin, begin + width

    spans = sorted(span(label) for label in labels)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert all(begin >= -0.01 and stop <= 100.01 for begin, stop in spans)
    assert bool(labels) is bool(wanted)
