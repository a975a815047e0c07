"""What must never be revoked, and whose a key is: the rule that every revocation goes by."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rotator.rules.current import current_of, named_by
from rotator.rules.model import Key, ManagedKey, Version
from rotator.rules.ownership import Held, Ownership, by_title
from rotator.rules.previews import Previews
from rotator.rules.titles import TitleTemplate
from tests.facts import PATH, at, block, key, managed, new_nonce, plaintext, secret

OURS = "3f9a2c"
BACKEND = managed()
REPORTING = replace(managed(), name="Reporting", path="apimall/reporting")
BOTH = (BACKEND, REPORTING)
NOW = at(8)


def made(id_: int, entry: ManagedKey = BACKEND, *, installation: str = OURS, path: str | None = None) -> Key:
    title = f"{entry.name} [2026-11-01T00:00:00Z {installation}-{new_nonce(path or entry.path, id_, 0)}]"
    return replace(key(id_), title=title)


def ownership(
    listed: list[Key],
    secrets: Mapping[str, Version | dict[str, Any] | None],
    *,
    keys: tuple[ManagedKey, ...] = BOTH,
    bearer: str = "sk-of-nobody-who-is-listed",
) -> Ownership:
    """`secrets` by managed key: None where there never was one; one that is left out could not be read."""
    previews, by_id = Previews(listed), {one.id: one for one in listed}
    held = {}
    for entry in keys:
        if entry.name in secrets:
            version = secrets[entry.name]
            version = version if isinstance(version, Version) else Version(int(version is not None), version)
            current = current_of(version, entry, by_id, previews, NOW)
            held[entry.name] = Held(version, current, named_by(version, entry, current, NOW))
    titled = by_title(keys, listed, TitleTemplate(), OURS)
    return Ownership(keys, titled, held, listed, bearer, NOW)


class TestByTitle:
    def test_each_key_is_sorted_once(self) -> None:
        listed = [
            made(1),
            made(2, REPORTING),
            made(3, installation="abcdef"),
            made(4, path="elsewhere"),
            made(5, replace(BACKEND, name="Stranger")),
            key(6, ours=False),
            replace(made(7), status="revoked"),
        ]
        found = by_title(BOTH, listed, TitleTemplate(), OURS)
        assert {name: [one.id for one in family] for name, family in found.families.items()} == {
            "Backend": [1, 4],  # for which path a key was asked for is told by claims
            "Reporting": [2],
        }
        assert [one.id for one in found.foreign] == [3]
        assert [one.id for one in found.leftovers] == [5]
        assert found.titles.keys() == {1, 2, 4}

    def test_before_the_first_pass_none_is_ours(self) -> None:
        found = by_title(BOTH, [made(1)], TitleTemplate(), None)
        assert [one.id for one in found.foreign] == [1]


class TestProtected:
    @pytest.mark.parametrize("superseded", [{}, {7: at(7.5)}])
    def test_what_is_ours_alone_is_not(self, superseded: dict[int, object]) -> None:
        data = secret(block(8, superseded=superseded))  # type: ignore[arg-type]
        seen = ownership([made(7), made(8), made(9)], {"Backend": data, "Reporting": None})
        assert seen.protected(BACKEND).keys() == frozenset()

    def test_the_bearer_is(self) -> None:
        data = secret(block(8, superseded={7: at(1)}))
        seen = ownership([made(7), made(8)], {"Backend": data, "Reporting": None}, bearer=plaintext(7))
        assert seen.protected(BACKEND).keys() == {7}
        assert seen.bearers == {7}

    def test_what_stands_in_another_secret_is(self) -> None:
        mine = secret(block(8, superseded={7: at(1)}))
        seen = ownership([made(7), made(8)], {"Backend": mine, "Reporting": {"api_key": plaintext(7)}})
        assert seen.protected(BACKEND).keys() == {7}

    @pytest.mark.parametrize(("since", "is_protected"), [(at(7.5), True), (at(6), False)])
    def test_what_is_in_the_grace_of_another_is(self, since: object, is_protected: bool) -> None:
        mine = secret(block(8, superseded={7: at(1)}))
        theirs = secret(block(6, superseded={7: since}))  # type: ignore[dict-item]
        listed = [key(7, ours=False), made(8), made(6, REPORTING)]
        seen = ownership(listed, {"Backend": mine, "Reporting": theirs})
        assert (7 in seen.protected(BACKEND)) is is_protected

    def test_what_a_secret_held_that_lost_its_plaintext_is(self) -> None:
        mine = secret(block(8, superseded={7: at(1)}))
        theirs = {"rotation": secret(block(7))["rotation"]}
        seen = ownership([key(7, ours=False), made(8)], {"Backend": mine, "Reporting": theirs})
        assert seen.protected(BACKEND).keys() == {7}

    def test_what_a_secret_may_have_held_that_was_deleted_is(self) -> None:
        mine = secret(block(8, superseded={6: at(1), 7: at(1)}))
        listed = [key(6, ours=False), made(7), made(8)]
        seen = ownership(listed, {"Backend": mine, "Reporting": Version(3, None)})
        assert seen.protected(BACKEND).keys() == {6}

    def test_what_bears_the_title_of_another_is(self) -> None:
        data = secret(block(8, superseded={5: at(1), 6: at(1), 7: at(1)}))
        listed = [
            made(5, REPORTING),
            made(6, installation="abcdef"),
            made(7, replace(BACKEND, name="Stranger")),
            made(8),
        ]
        seen = ownership(listed, {"Backend": data, "Reporting": None})
        assert seen.protected(BACKEND).keys() == {5, 6, 7}

    def test_what_was_not_made_for_it_is_while_another_secret_cannot_be_read(self) -> None:
        data = secret(block(8, superseded={6: at(1), 7: at(1)}))
        seen = ownership([key(6, ours=False), made(7), made(8)], {"Backend": data})
        assert seen.protected(BACKEND).keys() == {6, 8} - {8}


class TestUnmanaged:
    def test_it_is_what_no_secret_and_no_title_names(self) -> None:
        data = secret(block(8, superseded={7: at(1)}))
        listed = [
            key(1, ours=False),
            key(7, ours=False),
            made(8),
            made(9, installation="abcdef"),
            replace(key(10, ours=False), status="revoked"),
        ]
        seen = ownership(listed, {"Backend": data, "Reporting": None})
        assert [one.id for one in seen.unmanaged] == [1]


def test_paths_of_the_tests_are_those_of_the_facts() -> None:
    assert BACKEND.path == PATH
