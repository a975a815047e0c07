"""Keys that share a period and were made in one minute do not all fall due in one minute for ever."""

from datetime import timedelta
from pathlib import Path

from rotator.config import load
from rotator.rules.cadence import Period
from tests.facts import at
from tests.test_config_load import TOKEN

PERIOD = timedelta(days=30)


def _due(tmp_path: Path, *, defaults: str = "spread: 10%", keys: int = 1000) -> dict[str, timedelta]:
    entries = "".join(f"  - {{name: Key {number}, path: keys/{number}}}\n" for number in range(keys))
    path = tmp_path / "rotator.yaml"
    path.write_text(
        f"vault: {{address: https://vault.example.com}}\ndefaults: {{{defaults}}}\nkeys:\n{entries}"
    )
    return {key.name: key.cadence.due_at(at(0)) - at(0) for key in load(path, TOKEN).managed}


def test_each_falls_due_by_its_own_share_earlier(tmp_path: Path) -> None:
    due = _due(tmp_path)
    assert all(PERIOD * 0.9 <= after <= PERIOD for after in due.values())
    hours = {int(after / timedelta(hours=1)) for after in due.values()}
    assert len(hours) > 70  # of the 72 of three days
    assert len(set(due.values())) > 990


def test_the_share_stays_when_keys_are_added(tmp_path: Path) -> None:
    some, more = _due(tmp_path, keys=10), _due(tmp_path, keys=20)
    assert some.items() <= more.items()


def test_there_is_none_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert set(_due(tmp_path, defaults="", keys=50).values()) == {PERIOD}


def test_what_falls_due_earlier_leaves_less_for_the_grace() -> None:
    assert Period(PERIOD, timedelta(days=2)).shortest == timedelta(days=28)
