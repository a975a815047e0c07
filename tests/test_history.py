"""Orphan, or published once: the one version that a key was to become decides."""

from collections.abc import Mapping
from typing import Any

import pytest

from rotator.history import Trace, trace
from rotator.model import Version
from rotator.titles import TitleTemplate, new_nonce
from tests.facts import PATH, at, block, key, plaintext, secret

SUSPECT = key(9, created=at(5))
Data = Mapping[str, Any] | None


def _trace(made_for: int, versions: Mapping[int, Data], latest: int) -> Trace:
    """What became of SUSPECT, made to become version `made_for`. What is not in `versions` was trimmed."""
    name = TitleTemplate().render(
        "Backend", now=at(5), installation="3f9a2c", nonce=new_nonce(PATH, made_for, 0)
    )
    title = TitleTemplate().parse(name)
    assert title

    def read(number: int) -> Version:
        assert 0 < number < latest, "only an earlier version is read, and 0 would be the latest to Vault"
        return Version(number if number in versions else 0, versions.get(number))

    return trace(SUSPECT, title, Version(latest, versions.get(latest)), read, "api_key")


@pytest.mark.parametrize(
    ("made_for", "latest"), [(1, 0), (4, 3), (256, 255), (65_536, 65_535), (70_000, 69_999)]
)
def test_its_version_is_not_there_yet(made_for: int, latest: int) -> None:
    assert _trace(made_for, {}, latest) is Trace.ORPHAN


@pytest.mark.parametrize(("made_for", "latest"), [(2, 2), (2, 3), (2, 200), (300, 301), (300, 500)])
def test_its_version_became_another_keys(made_for: int, latest: int) -> None:
    assert _trace(made_for, {made_for: secret(block(3))}, latest) is Trace.ORPHAN


@pytest.mark.parametrize(
    "data",
    [
        secret(block(9)),
        {"api_key": plaintext(9)},
        {"api_key": plaintext(9), "rotation": 5},
        {**secret(block(9)), "api_key": plaintext(5)},
    ],
)
@pytest.mark.parametrize("latest", [2, 3, 12])
def test_its_version_holds_it(data: Data, latest: int) -> None:
    assert _trace(2, {2: data}, latest) is Trace.PUBLISHED


@pytest.mark.parametrize("versions", [{2: None}, {}])
@pytest.mark.parametrize("latest", [2, 3, 12])
def test_its_version_can_no_longer_be_read(versions: Mapping[int, Data], latest: int) -> None:
    assert _trace(2, versions, latest) is Trace.PUBLISHED


@pytest.mark.parametrize(("made_for", "latest"), [(5, 3), (3, 1), (2, 0), (250, 200), (65_536, 100)])
def test_versions_that_went_backwards_prove_nothing(made_for: int, latest: int) -> None:
    """The secret was removed with its metadata, or Vault was restored."""
    assert _trace(made_for, {}, latest) is Trace.PUBLISHED
