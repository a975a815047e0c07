"""What the version history tells: orphan or published once, rolled back or not."""

from collections.abc import Mapping
from typing import Any

import pytest

from rotator.rules.claims import Claim, Claims
from rotator.rules.history import Trace, rolled_back, trace
from rotator.rules.model import Version
from rotator.rules.titles import Title
from tests.facts import PATH, at, block, key, managed, new_nonce, plaintext, secret

SUSPECT = key(9, created=at(5))
Data = Mapping[str, Any] | None


NONCE = "0123abcd"


def _trace(
    made_for: int, versions: Mapping[int, Data], latest: int, *, asked: bool = True, nonce: str = NONCE
) -> Trace:
    """What became of SUSPECT, made to become version `made_for`. What is not in `versions` was trimmed.

    `asked`: whether a claim knows of it.
    """
    title = Title("Backend", "3f9a2c", nonce)

    def read(number: int) -> Version:
        assert 0 < number < latest, "only an earlier version is read, and 0 would be the latest to Vault"
        return Version(number if number in versions else 0, versions.get(number))

    claims = Claims(1, (Claim(made_for, at(5), ("00000000", nonce)),) if asked else ())
    return trace(SUSPECT, title, claims, Version(latest, versions.get(latest)), read, managed(), at(10))


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


class TestWithoutAClaim:
    """Nothing but the title says that we made it: it is never revoked as an orphan."""

    @pytest.mark.parametrize("versions", [{}, {2: None}, {2: secret(block(3))}, {2: secret(block(9))}])
    @pytest.mark.parametrize("latest", [1, 2, 3, 12])
    def test_a_nonce_of_this_release_proves_nothing(self, versions: Mapping[int, Data], latest: int) -> None:
        assert _trace(2, versions, latest, asked=False) is Trace.UNASKED

    @pytest.mark.parametrize(
        ("versions", "expected"),
        [
            ({2: secret(block(9))}, Trace.PUBLISHED),
            ({2: {"api_key": plaintext(9)}}, Trace.PUBLISHED),
            ({2: secret(block(3))}, Trace.UNASKED),
            ({2: None}, Trace.UNASKED),
            ({}, Trace.UNASKED),
        ],
    )
    def test_one_of_release_0_1_0_says_where_to_look(
        self, versions: Mapping[int, Data], expected: Trace
    ) -> None:
        assert _trace(2, versions, 3, asked=False, nonce=new_nonce(PATH, 2, 0)) is expected
        elsewhere = new_nonce("apimall/other", 2, 0)
        assert _trace(2, versions, 3, asked=False, nonce=elsewhere) is Trace.UNASKED


def _written(key_id: int, version: object) -> dict[str, Any]:
    data = secret(block(key_id))
    return {**data, "rotation": {**data["rotation"], "version": version}}


@pytest.mark.parametrize(
    ("versions", "latest", "expected"),
    [
        ({3: _written(2, 3)}, 3, False),  # as we wrote it
        ({4: _written(2, 3)}, 4, False),  # edited once
        ({4: _written(2, 3), 5: _written(2, 3)}, 5, False),  # edited twice
        ({4: _written(5, 4), 5: _written(2, 3)}, 5, True),  # restored over a rotation
        ({4: _written(5, 4), 5: _written(2, 3), 6: _written(2, 3)}, 6, True),  # and edited
        ({4: None, 5: _written(2, 3)}, 5, True),  # over one that was deleted
        ({30: _written(2, 3)}, 30, False),  # trimmed in between: nothing speaks for it
        ({**{n: _written(2, 3) for n in range(5, 31)}, 4: _written(5, 4)}, 30, False),  # too long ago
        ({3: _written(2, 9)}, 3, True),  # copied from elsewhere
        ({3: _written(2, None)}, 3, True),
        ({3: _written(2, True)}, 3, True),
        ({3: _written(2, "3")}, 3, True),
        ({3: _written(2, 0)}, 3, True),
        ({3: {"api_key": plaintext(2)}}, 3, True),
    ],
)
def test_rolled_back(versions: Mapping[int, Data], latest: int, expected: bool) -> None:
    def read(number: int) -> Version:
        assert max(0, latest - 11) < number < latest
        return Version(number if number in versions else 0, versions.get(number))

    assert rolled_back(Version(latest, versions[latest]), read, managed(), key(2)) is expected
