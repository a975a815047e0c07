"""What a consumer is told, and whether it is owed to it: by values alone."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from rotator.check import grants
from rotator.rules.consumers import Ack, read_ack
from rotator.rules.model import Version
from rotator.rules.told import Message
from tests.facts import at
from tests.program import BACKEND, ROOT

MESSAGE = Message("3f9a2c", "Backend", "secret", "apimall/backend", "batch", 13, at(1), at(1))
TOLD = Ack(13, event=MESSAGE.id(4))


def test_its_id_is_the_same_in_each_process() -> None:
    assert MESSAGE.id(4) == "0661be44f5152320-4"


@pytest.mark.parametrize(
    "other",
    [
        {"installation": "abcdef"},
        {"mount": "kv"},
        {"path": "apimall/other"},
        {"consumer": "web"},
        {"key_id": 14},
        {"since": at(2)},
    ],
    ids=str,
)
def test_what_is_told_to_or_of_another_has_another_id(other: dict[str, Any]) -> None:
    assert replace(MESSAGE, **other).id(4) != MESSAGE.id(4)
    assert replace(MESSAGE, **other).is_owed(TOLD, None)


def test_what_is_the_same_to_the_second_has_the_same_id() -> None:
    """The bookkeeping has no more."""
    assert replace(MESSAGE, since=at(1).replace(microsecond=999)).id(4) == MESSAGE.id(4)


def test_what_is_recorded_is_owed_no_more() -> None:
    assert not MESSAGE.is_owed(read_ack(Version(4, MESSAGE.taken(4))), None)


@pytest.mark.parametrize(
    ("ack", "owed"),
    [
        (Ack(), True),
        (Ack(fault="none"), True),
        (TOLD, False),
        (Ack(13, event=MESSAGE.id(9)), False),
        (replace(TOLD, key_id=12), True),
        (Ack(13, event="another"), True),
        (Ack(13), True),
        (Ack(13, at=at(3)), False),
        (Ack(13, at=at(3), event="another"), False),
        (Ack(13, at=at(2)), True),
        (Ack(13, at=at(1)), True),
        (Ack(12, at=at(3)), True),
    ],
    ids=str,
)
def test_what_is_owed(ack: Ack, owed: bool) -> None:
    """To a consumer of a secret that was written at(2)."""
    assert MESSAGE.is_owed(ack, at(2)) is owed


def test_where_vault_does_not_say_when_it_is_owed() -> None:
    assert MESSAGE.is_owed(Ack(13, at=at(3)), None)


@pytest.mark.parametrize("event", [None, 1, [], {}], ids=str)
def test_an_event_that_is_no_text_is_none(event: object) -> None:
    assert read_ack(Version(1, {"key_id": 13, "event": event})) == Ack(13)


DOCS = (ROOT / "docs/consumers.md").read_text()


def test_the_docs_show_the_event_as_it_is() -> None:
    [shown] = re.findall(r"^```json\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    theirs, ours = json.loads(shown), MESSAGE.to_json(3)
    assert (list(theirs), list(theirs["data"])) == (list(ours), list(ours["data"]))
    assert (theirs["type"], theirs["id"][-2:]) == (ours["type"], "-3")


def test_the_docs_show_the_line_of_the_policy() -> None:
    told = f"rotator/acks/{BACKEND}/batch"
    text = grants.policy("secret", [BACKEND], None, "rotator/installation", "rotator/acks", told=[told])
    [line] = [line for line in text.splitlines() if told in line]
    assert line in DOCS.splitlines()
    assert "told" not in grants.policy("secret", [BACKEND], None, "rotator/installation", "rotator/acks")
