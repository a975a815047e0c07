"""Cures of a pass and of a rollback, walked: the error, what it says to do, and the error gone."""

from datetime import timedelta
from typing import Any

import pytest

from rotator.passes.result import Outcome
from rotator.sandbox.faults import Fault, Status
from tests.facts import PATH
from tests.stores import Paused
from tests.test_rollback import refusal
from tests.witness import rotated
from tests.world import CLAIMS, World


def errors(world: World, **options: Any) -> str:
    """What a pass says is wrong; nothing where all is well."""
    return "\n".join(map(str, world.one(**options).errors))


def test_the_key_of_a_secret_that_is_refused_is_rotated(world: World) -> None:
    old, _ = rotated(world)
    world.advance(1)
    world.server.faults.add(Fault("GET /account/balances", Status(401), times=1))
    assert "rotate this managed key with --rotate-now --key, or put a working key into the secret" in errors(
        world
    )
    assert errors(world, forced=True) == ""
    assert errors(world) == ""
    assert old not in [key.id for key in world.live]


@pytest.mark.parametrize("by", ["rotating", "hand"])
def test_a_key_that_cannot_be_rolled_back_is_replaced(world: World, by: str) -> None:
    world.one()
    before = world.secret()
    if by == "rotating":
        assert "to replace the current key instead: `rotator --rotate-now --key 'Backend'`" in refusal(world)
        assert world.make_pass(forced=True, only=frozenset({"Backend"})).converged
        assert world.roll_back().current == before["rotation"]["key_id"]
        return
    world.memory.delete(PATH)
    assert "the next pass makes one; or put an older version of the secret back by hand" in refusal(world)
    assert errors(world) == ""
    assert "holds no key" not in refusal(world)
    world.memory.put(PATH, before)
    assert errors(world) == ""


def test_a_rollback_that_met_another_write_is_run_again(world: World) -> None:
    rotated(world)
    store = Paused(world.memory, lambda: world.memory.put(PATH, world.secret()))
    assert "look at the key: `rotator status`; then run this again" in refusal(world, store=store)
    assert world.roll_back()


def test_a_rotation_that_met_another_write_is_run_again(world: World) -> None:
    world.one()
    store = Paused(world.memory, lambda: world.memory.put(PATH, world.secret()), CLAIMS)
    assert "run this again" in errors(world, store=store, forced=True)
    assert world.one(forced=True).outcome is Outcome.DONE


def test_a_record_of_claims_that_is_somebodys_is_moved(world: World) -> None:
    world.memory.put(CLAIMS, {"theirs": "x"})
    assert f"the rotator keeps claims at {CLAIMS}, but the secret there" in errors(world)
    assert "move that secret, or give the rotator another vault.state_path" in errors(world)
    world.memory.put("elsewhere", world.secret(CLAIMS))
    world.memory.delete(CLAIMS)
    assert errors(world) == ""


def test_a_clock_that_is_off_is_set(world: World) -> None:
    rotated(world)
    world.advance(8)
    world.local_skew = timedelta(days=4000)
    assert "check that this machine's clock is right (NTP)" in errors(world)
    world.local_skew = timedelta()
    assert errors(world) == ""
