"""Whoever confirms what is so is never refused before grace_limit; and every old key is gone by then."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.histories import EVENTS, USUAL, live
from tests.long import examples

_DEAD_AGENT = ("a forced rotation", "the agent dies", "a forced rotation", "a day", "a day", "a day")
_FORGED = ("a forced rotation", "ten minutes", "a confirmation is forged", "a day", "a pass")


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([*EVENTS, *USUAL * 2]), max_size=50))
@example([*_DEAD_AGENT])
@example(["a forced rotation", "a day", "a forced rotation"])
@example(
    [
        "a forced rotation",
        "all processes reload",
        "a rollback",
        "all processes reload",
        "it confirms",
        "a week",
    ]
)
@example(
    ["a forced rotation", "all processes reload", "it confirms", "the last version is restored", "a pass"] * 2
)
def test_no_truthful_consumer_is_refused_and_no_old_key_stays(events: list[str]) -> None:
    live(events)


@pytest.mark.parametrize(
    ("events", "seen"),
    [
        (_DEAD_AGENT, "401 beyond the limit"),
        (_FORGED, "401 after a false confirmation"),
        (("a forced rotation", "all processes reload", "it confirms", "a day", "a pass"), "revocations"),
    ],
    ids=str,
)
def test_the_history_would_show_it(events: tuple[str, ...], seen: str) -> None:
    """A simulation in which nobody is ever refused, and nothing revoked, would prove nothing."""
    assert live(events)[seen]
