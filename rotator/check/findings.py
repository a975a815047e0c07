"""What a check finds, and the order of checks: what needs another that failed is not tried."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from rotator.errors import RotatorError

_SHOWN: Final = 3


class State(StrEnum):
    """What a finding means for a pass."""

    OK = "ok"
    NOTE = "note"
    """It goes well, and should be known."""
    BAD = "bad"
    SKIPPED = "skipped"
    """Not tried, for what it needs failed or was not tried."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check saw, and what to do about it."""

    state: State
    seen: str
    cure: str | None = None
    """The command or the config line; may have several lines."""
    request_id: str | None = None


Found: TypeAlias = tuple[str, Finding]
"""The check's name, and what it found."""


class Check(NamedTuple):
    """A check, by the name that others need it by."""

    name: str
    run: Callable[[], Iterable[Finding]]
    """What it raises of `rotator.errors` is a finding too."""
    needs: Sequence[str] = ()
    """Names of checks before it."""


def run_all(checks: Iterable[Check]) -> Iterator[Found]:
    """Run each check, and yield each finding when it is there."""
    root: dict[str, str] = {}  # by the check that has not gone well: the one that all hangs on
    for check in checks:
        missing = next((root[name] for name in check.needs if name in root), None)
        for finding in _not_tried(missing) if missing else _tried(check):
            if finding.state in (State.BAD, State.SKIPPED):
                root[check.name] = missing or check.name
            yield check.name, finding


def ok(seen: str) -> Finding:
    """Return a finding of what is as it should be."""
    return Finding(State.OK, seen)


def note(seen: str, cure: str) -> Finding:
    """Return a finding of what hinders no pass, but should be known."""
    return Finding(State.NOTE, seen, cure)


def bad(seen: str, cure: str) -> Finding:
    """Return a finding of what a pass would fail by. With one of them `rotator check` exits with 1."""
    return Finding(State.BAD, seen, cure)


def to_json(found: Sequence[Found]) -> dict[str, Any]:
    """The shape of `rotator check --json`."""
    return {
        "well": well(found),
        "checks": [
            {
                "name": name,
                "state": finding.state,
                "seen": finding.seen,
                "cure": finding.cure,
                "request_id": finding.request_id,
            }
            for name, finding in found
        ],
    }


def well(found: Sequence[Found]) -> bool:
    """Whether nothing is bad. What was skipped although nothing is bad could not be known."""
    return all(finding.state is not State.BAD for _, finding in found)


def some(names: Sequence[str]) -> str:
    """The first few of many names."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _tried(check: Check) -> Iterator[Finding]:
    try:
        yield from check.run()
    except RotatorError as error:
        yield Finding(State.BAD, error.message, error.cure, error.request_id)


def _not_tried(missing: str) -> Iterator[Finding]:
    yield Finding(State.SKIPPED, f"not tried: it needs {missing}")
