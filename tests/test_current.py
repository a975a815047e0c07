from dataclasses import replace
from datetime import datetime

import pytest

from rotator.rules.bookkeeping import WITHOUT_GRACE, Rotation
from rotator.rules.current import Current, current_of
from rotator.rules.model import Key, Version
from rotator.rules.previews import Previews
from tests.facts import at, block, key, managed, plaintext, secret


def _current(data: object, *listed: Key) -> Current | None:
    assert isinstance(data, dict)
    return current_of(Version(1, data), managed(), {key.id: key for key in listed}, Previews(listed), at(10))


def test_no_plaintext_is_no_current_key() -> None:
    assert current_of(Version(3, None), managed(), {}, Previews([]), at(10)) is None
    assert _current({"api_key": ""}) is None


@pytest.mark.parametrize(
    "listed", [[key(2)], [], [Key(2, "x", "created", at(0), "hidden")], [key(2, status="revoked")]]
)
def test_the_bookkeeping_is_believed_unless_the_list_contradicts_it(listed: list[Key]) -> None:
    rotation = block(2, rotated=at(3), superseded={1: at(3)})
    assert _current(secret(rotation), *listed) == Current(rotation, {1: at(3)}, adopted=False)


def test_a_secret_put_there_by_hand_is_matched_by_its_preview() -> None:
    current = _current({"api_key": plaintext(5)}, key(5, created=at(2), ours=False), key(6))
    assert current == Current(Rotation(5, "Made by hand", at(2), at(2), {}), {}, adopted=True)


def test_another_key_pasted_over_ours_supersedes_it() -> None:
    data = {**secret(block(2, superseded={1: at(3)})), "api_key": plaintext(5)}
    pasted, published = key(5, created=at(4)), {1: at(3), 2: at(10)}
    expected = Rotation(5, pasted.title, at(4), at(4), published, {2: key(2).title})
    assert _current(data, key(2), pasted) == Current(expected, published, adopted=True)


def test_it_does_so_too_when_the_list_no_longer_knows_ours() -> None:
    data = {**secret(block(2)), "api_key": plaintext(5)}
    current = _current(data, key(5))
    assert current
    assert (current.key_id, current.superseded) == (5, {2: at(10)})


def test_a_superseded_key_pasted_back_is_no_longer_superseded() -> None:
    data = {**secret(block(2, superseded={1: at(3)})), "api_key": plaintext(1)}
    current = _current(data, key(1), key(2))
    assert current
    assert current.key_id == 1
    assert current.superseded == {2: at(10)}


@pytest.mark.parametrize(
    "listed",
    [[], [key(6)], [key(5, status="revoked")], [key(5), Key(7, "x", "created", at(0), key(5).preview)]],
)
def test_no_match_or_several_is_an_unknown_key(listed: list[Key]) -> None:
    current = _current({"api_key": plaintext(5)}, *listed)
    assert current == Current(None, {}, adopted=True)


def test_nonsense_is_reported_and_adopted() -> None:
    current = _current({"api_key": plaintext(5), "rotation": "by hand"}, key(5))
    assert current
    assert current.adopted
    assert current.faults == ("`rotation` is not an object",)


def test_nonsense_is_reported_of_an_unknown_key_too() -> None:
    current = _current({"api_key": plaintext(5), "rotation": "by hand"})
    assert current == Current(None, {}, adopted=True, faults=("`rotation` is not an object",))


def test_a_rotation_from_the_future_was_when_its_key_was_made() -> None:
    current = _current(secret(block(2, rotated=at(17, minutes=1))), key(2, created=at(4)))
    assert current
    assert (current.adopted, current.redated) == (False, False)
    assert current.rotation
    assert current.rotation.rotated_at == at(4)


@pytest.mark.parametrize("since", [at(17, minutes=1), at(10**6)])
def test_what_was_superseded_in_the_future_is_since_now_and_that_is_noted(since: datetime) -> None:
    current = _current(secret(block(2, superseded={1: since, 3: at(2), 4: WITHOUT_GRACE})), key(2))
    assert current
    assert current.superseded == {1: at(10), 3: at(2), 4: WITHOUT_GRACE}
    assert (current.adopted, current.redated) == (False, True)


@pytest.mark.parametrize(("late", "counts"), [(0.5, False), (30, True)])
def test_a_grace_counts_from_when_the_write_landed(late: float, counts: bool) -> None:
    data = secret(block(2, rotated=at(3), superseded={1: at(3), 5: at(1)}))
    landed = at(3, minutes=late)
    found = current_of(Version(1, data, landed), managed(), {2: key(2)}, Previews([key(2)]), at(10))
    assert found
    assert found.superseded == {1: landed if counts else at(3), 5: at(1)}


def test_not_from_when_the_same_key_was_written_again() -> None:
    """A fence for an older key, or a note, must not give a younger one its grace anew."""
    again = replace(block(2, rotated=at(3), superseded={1: at(3)}), since_version=3)
    data = again.merged_into({"api_key": plaintext(2)}, 4)
    found = current_of(Version(4, data, at(6)), managed(), {2: key(2)}, Previews([key(2)]), at(10))
    assert found
    assert found.superseded == {1: at(3)}


def test_a_week_of_the_future_is_forgiven() -> None:
    current = _current(secret(block(2, rotated=at(17))), key(2))
    assert current
    assert not current.adopted
