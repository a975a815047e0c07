from collections.abc import Mapping
from typing import Any

import pytest

from rotator.history import NEVER_WRITTEN, History, Trace, trace
from rotator.model import Retained, Version
from tests.facts import at, block, key, plaintext, secret

SUSPECT = key(9, created=at(5))
Data = Mapping[str, Any] | None


def _trace(versions: Mapping[int, Data], *, oldest: int | None = None) -> Trace:
    """What history says of SUSPECT; a version of None was deleted."""
    read = tuple(Version(number, data) for number, data in versions.items() if data is not None)
    retained = Retained(
        min(versions) if oldest is None else oldest, frozenset(v.number for v in read), max(versions)
    )
    return trace([SUSPECT], History(retained, read), "api_key")[SUSPECT.id]


def test_a_path_that_was_never_written_has_published_nothing() -> None:
    assert trace([SUSPECT], NEVER_WRITTEN, "api_key") == {9: Trace.ORPHAN}


@pytest.mark.parametrize(
    "data",
    [
        secret(block(9)),
        secret(block(3, superseded={9: at(6)})),
        {"api_key": plaintext(9)},
        {"api_key": plaintext(9), "rotation": "nonsense"},
    ],
)
def test_an_earlier_version_tells_of_it(data: Data) -> None:
    assert _trace({1: secret(block(1)), 2: data, 3: secret(block(3))}) is Trace.PUBLISHED
    assert _trace({7: data, 8: None, 9: secret(block(3))}) is Trace.PUBLISHED


def test_every_version_is_readable_and_none_tells_of_it() -> None:
    assert _trace({1: secret(block(1)), 2: {"note": "by hand"}, 3: secret(block(3))}) is Trace.ORPHAN


def test_a_version_that_cannot_be_read_could_have_held_it() -> None:
    assert _trace({1: secret(block(1)), 2: None, 3: secret(block(3))}) is Trace.UNPROVABLE
    assert _trace({4: secret(block(1, rotated=at(1))), 5: None, 6: secret(block(3))}) is Trace.UNPROVABLE


def test_versions_trimmed_before_it_was_made_cannot_have_held_it() -> None:
    assert _trace({4: secret(block(1, rotated=at(4))), 5: secret(block(3, rotated=at(6)))}) is Trace.ORPHAN


@pytest.mark.parametrize("data", [secret(block(1, rotated=at(5))), {"api_key": plaintext(1)}])
def test_versions_trimmed_since_it_was_made_could_have_held_it(data: Data) -> None:
    assert _trace({4: data, 5: secret(block(3, rotated=at(4)))}) is Trace.UNPROVABLE
