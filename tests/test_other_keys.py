"""What is said of the keys beside a current one: the same by status, explain and the pass, and nothing made up."""

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from rotator.passes.observe import look as look_at
from rotator.rules.explain import explain
from rotator.rules.revocations import Revocation
from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.show.other_keys import OtherKey
from rotator.show.status import AccountStatus, render
from tests.facts import PATH, managed
from tests.world import STATE, World

BACKEND = frozenset({"Backend"})


def look(world: World) -> AccountStatus:
    with world.account() as account:
        return AccountStatus.of(*look_at(account))


def words(seen: AccountStatus) -> str:
    return render(seen, Console(file=io.StringIO(), width=200, highlight=False, markup=False))


def of(seen: AccountStatus, id_: int) -> tuple[Revocation, OtherKey]:
    """What `explain` and what `status` has of a superseded key of Backend."""
    fate = next(it for it in explain(seen.seen.facts["Backend"]).plan.others if it.key_id == id_)
    return fate, next(it for it in seen.keys[0].superseded if it.id == id_)


def test_of_one_whose_revocation_was_refused_no_time_is_made_up(world: World) -> None:
    """Before a DELETE the secret says that there is no grace; since when it is superseded nothing says then."""
    world.one()
    world.contain()
    world.advance(5)
    world.one(forced=True)
    world.advance(1, minutes=61)
    world.server.faults.add(Fault("DELETE /keys/*", Status(403), times=ALWAYS))
    (other,) = world.one().to_json()["superseded"]
    assert other["revoke_at"].startswith("2026-11-")  # as it was read before
    result = world.one()
    (other,) = result.to_json()["superseded"]
    assert other == {"key_id": 3, "revoke_at": None, "stays": None, "unconfirmed": []}
    seen = look(world)
    assert not seen.well
    assert "Backend: 3 is superseded, its revocation has begun, but it is still alive\n" in words(seen)
    (shown,) = seen.to_json()["keys"][0]["superseded"]
    assert (shown["since"], shown["revoke_at"], shown["overdue"]) == (None, None, True)
    fate, _ = of(seen, 3)
    assert fate.text.endswith("or its revocation has begun, so it is revoked")
    assert "1970" not in f"{result.to_json()} {seen.to_json()} {words(seen)} {fate.text}"


def in_another_secret(world: World) -> None:
    world.keys = (*world.keys, replace(managed(), name="Copy", path="apimall/copy"))
    world.memory.put("apimall/copy", {"api_key": world.server.account.keys[1].plaintext})


def made_by_hand(world: World) -> None:
    world.server.account.create("by hand")
    world.memory.put(PATH, {"api_key": world.server.account.keys[-1].plaintext})
    world.one()


def of_another_installation(world: World) -> None:
    world.memory.put(STATE, {"installation": "abcdef"})


def the_bearer(world: World) -> None:
    world.bearer = world.server.account.keys[1].plaintext


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (in_another_secret, "Copy (apimall/copy) holds it as its current key"),
        (
            made_by_hand,
            "it was made by hand, or under another path, so the rotator does not know it as "
            "its own: revoke it by hand, or set revoke_adopted: true",
        ),
        (of_another_installation, "another installation made it"),
        (the_bearer, "it is the bearer"),
    ],
)
def test_all_name_the_same_fact_that_keeps_a_key(
    world: World, happens: Callable[[World], None], why: str
) -> None:
    world.one()
    happens(world)
    id_ = world.make_pass(only=BACKEND).keys[0].key_id or 0
    world.make_pass(only=BACKEND, forced=True)
    said = set()
    for stays in ("lives on; then it stays", "1d ago, but it stays"):
        seen = look(world)
        fate, other = of(seen, id_)
        assert f"{stays}: {fate.stays}" in fate.text
        assert f"{id_} is superseded, stays: {other.stays}" in words(seen)
        said |= {fate.stays, other.stays}
        world.advance(2)
    (result, *_) = world.make_pass(only=BACKEND).keys
    assert [warning for warning in result.warnings if "superseded" in warning] == [
        f"key {id_} is superseded, and stays: {one}" for one in said
    ]
    assert id_ in [key.id for key in world.live]
    (told,) = said
    assert told.startswith(why)


def test_one_that_was_made_under_another_name(world: World) -> None:
    world.one()
    world.keys = (replace(managed(), name="Prod backend"),)
    world.one(forced=True)
    assert "2 is superseded, stays: it was made under a name that this config does not have" in words(
        look(world)
    )
