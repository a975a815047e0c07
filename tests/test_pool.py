import json
from dataclasses import replace

import pytest
import structlog

from rotator.errors import Rejected
from rotator.passes.each import each
from rotator.rules.model import ManagedKey
from tests.facts import managed
from tests.logs import captured

KEYS = [replace(managed(), name=name) for name in ("good", "refused", "buggy")]
REFUSED = Rejected("refused")


def _work(key: ManagedKey) -> str:
    structlog.get_logger("rotator.tests").info("working")
    if key.name == "refused":
        raise REFUSED
    if key.name == "buggy":
        raise ZeroDivisionError("sk-0123456789abcdef")
    return key.name.upper()


@pytest.mark.parametrize("workers", [1, 8])
def test_each_fails_for_itself(workers: int) -> None:
    with captured():
        results = each(KEYS, _work, workers=workers)
    assert (results.done, results.failed["refused"]) == ({"good": "GOOD"}, REFUSED)
    bug = results.failed["buggy"]
    assert (bug.message, bug.cure) == (
        "unexpected ZeroDivisionError",
        "this is a fault of the rotator: report it, and attach the log",
    )


def test_every_line_says_of_which_key_and_of_which_pass_it_is() -> None:
    with captured() as out, structlog.contextvars.bound_contextvars(run_id="r1"):
        each(KEYS, _work, workers=8)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {line["run_id"] for line in lines} == {"r1"}
    assert {line["key"] for line in lines if line["event"] == "working"} == {key.name for key in KEYS}
    (unexpected,) = [line for line in lines if line["event"] != "working"]
    assert unexpected["key"] == "buggy"
    assert "ZeroDivisionError" in json.dumps(unexpected)
