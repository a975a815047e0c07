"""A freeze in passes: what it keeps, what passes it, and one that comes while a pass is at work."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotator.passes.freeze import NotFrozen, change_freeze
from rotator.passes.result import Action, KeyResult, Outcome
from rotator.rules.freeze import FIELD, LONGEST, write_freeze
from rotator.rules.holds import Hold
from rotator.rules.revocations import Kept
from rotator.sandbox.faults import Fault, Phase, Status
from tests.facts import DAY, PATH, managed
from tests.stores import Paused, StoreWrapper
from tests.world import CLAIMS, World

OTHER = "apimall/reporting"


def freeze(world: World, days: float = 7, path: str = PATH) -> None:
    until = world.server.account.clock.now() + timedelta(days=days)
    world.memory.custom[path] = {FIELD: write_freeze(until, "a sale"), "owner": "Payments"}


def release(world: World) -> None:
    world.memory.custom.clear()


def rotated(world: World) -> KeyResult:
    """The key is replaced once; its superseded key is in its grace."""
    world.one()
    world.advance(7)
    return world.one()


def deletes(world: World) -> int:
    return sum(line.method == "DELETE" for line in world.server.requests)


def dead(world: World) -> list[int]:
    return [key.id for key in world.server.account.keys if not key.live]


class TestOnePerson:
    def test_nothing_happens_while_it_lasts_and_all_of_it_after(self, world: World) -> None:
        rotated(world)
        freeze(world, days=10)
        for _ in range(9):
            world.advance(1)
            result = world.one()
            assert (result.rotation, result.revoked, result.errors) == (None, (), ())
        assert (result.action, result.plan and result.plan.hold) == (Action.HOLD, Hold.FROZEN)
        assert [other.kept for other in result.left] == [Kept.FROZEN]
        assert result.held
        assert world.log[-1].converged
        assert world.posts() == 2
        world.advance(1)
        result = world.one()
        assert result.action is Action.ROTATE
        assert [done.key_id for done in result.revoked] == [2]
        assert result.warnings[0].startswith("its freeze ended")

    def test_one_that_is_released_early(self, world: World) -> None:
        rotated(world)
        freeze(world, days=10)
        world.advance(7)
        assert world.one().action is Action.HOLD
        release(world)
        result = world.one()
        assert (result.action, len(result.revoked), result.warnings) == (Action.ROTATE, 1, ())

    @pytest.mark.parametrize("text", ["2099-01-01 for ever", "for ever", "2099-01-01T00:00:00 for ever"])
    def test_a_forged_one_delays_inside_its_bound_and_nothing_else(self, world: World, text: str) -> None:
        rotated(world)
        world.memory.custom[PATH] = {FIELD: text}
        world.advance(7)
        assert world.one().action is Action.HOLD
        world.advance(
            LONGEST / timedelta(days=1) - 7 + 1, minutes=1
        )  # the superseded key's grace, and its bound
        assert len(world.one().revoked) == 1
        world.advance(7)
        assert world.one().action is Action.ROTATE

    def test_orphans_are_swept_all_the_same(self, world: World) -> None:
        rotated(world)
        freeze(world, days=20)
        orphan = world.server.account.keys[-1].id + 1
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
        world.one(forced=True)
        world.advance(0, minutes=20)
        assert orphan in [done.key_id for done in world.one().revoked]


class TestWhatPasses:
    def test_a_dead_key_is_replaced(self, world: World) -> None:
        first = world.one().key_id
        freeze(world)
        assert first
        world.server.account.revoke(first)
        assert world.one().action is Action.ROTATE
        assert world.works()

    def test_a_missing_key_is_made(self, world: World) -> None:
        world.one()
        freeze(world)
        world.memory.delete(PATH)
        assert world.one().action is Action.ROTATE

    def test_a_forced_rotation_and_its_old_key_stays(self, world: World) -> None:
        world.one()
        freeze(world)
        assert world.one(forced=True).action is Action.ROTATE
        world.advance(2)
        assert world.one().revoked == ()
        assert [other.kept for other in world.one().left] == [Kept.FROZEN]

    def test_a_leak(self, world: World) -> None:
        rotated(world)
        freeze(world)
        result = world.contain()
        assert sorted(done.key_id for done in result.keys[0].revoked) == [2, 3]

    def test_a_leak_does_not_end_the_grace_of_what_came_after_it(self, world: World) -> None:
        world.one()
        world.contain()
        world.advance(7)
        world.one()
        world.advance(1)
        # The revocation has begun, and fails; then the secret is frozen.
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=4))
        assert world.one().failed
        freeze(world)
        assert world.one().revoked == ()

    def test_a_rollback(self, world: World) -> None:
        rotated(world)
        freeze(world)
        world.roll_back()
        assert world.works()


class TestMeanwhile:
    """It is set while a pass is at work."""

    def test_before_the_create_nothing_is_created(self, world: World) -> None:
        world.one()
        world.advance(7)
        result = world.one(store=Paused(world.store, lambda: freeze(world), path=CLAIMS))
        assert (result.outcome, world.posts()) == (Outcome.YIELDED, 1)
        assert world.one().plan.hold is Hold.FROZEN  # type: ignore[union-attr]
        release(world)
        assert world.one().action is Action.ROTATE, "its claim does not hold the next one up"

    def test_before_the_create_of_a_forced_one_it_is_not_heeded(self, world: World) -> None:
        world.one()
        result = world.one(forced=True, store=Paused(world.store, lambda: freeze(world), path=CLAIMS))
        assert result.rotation

    def test_between_create_and_store_it_is_not_heeded(self, world: World) -> None:
        world.one()
        world.advance(7)
        result = world.one(store=Paused(world.store, lambda: freeze(world)))
        assert result.rotation
        world.advance(2)
        assert world.one().revoked == ()

    @pytest.mark.parametrize("rotates", [False, True])
    def test_before_a_revocation_the_key_lives(self, world: World, rotates: bool) -> None:
        rotated(world)
        world.advance(7 if rotates else 1)
        result = world.one(store=Paused(world.store, lambda: freeze(world, days=10)))
        assert bool(result.rotation) is rotates
        assert (result.revoked, result.failed, deletes(world)) == ((), False, 0)
        world.advance(2)
        assert world.one().revoked == (), "that its revocation has begun does not matter"
        release(world)
        assert len(world.one().revoked) == 1 + rotates

    def test_between_two_revocations_of_one_pass(self, world: World) -> None:
        rotated(world)
        world.one(forced=True)
        world.advance(2)
        store = _AfterTheFirst(world)
        result = world.one(store=store)
        assert len(result.revoked) == 1
        assert deletes(world) == 1

    def test_a_secret_that_was_written_since_the_fence_keeps_its_keys(self, world: World) -> None:
        """A person put the old key back, between the fence and the DELETE."""
        world.one()
        before = world.secret()
        world.advance(7)
        world.one()
        world.advance(1)
        result = world.one(store=_Fenced(world, lambda: world.memory.put(PATH, before)))
        assert (result.revoked, deletes(world)) == ((), 0)
        assert world.works()


class _Fenced(StoreWrapper):
    """Something happens as soon as the secret was written."""

    def __init__(self, world: World, then: Any) -> None:
        super().__init__(world.store)
        self._then = then

    def write(self, path: str, data: Any, *, cas: int) -> int:
        number = super().write(path, data, cas=cas)
        if path == PATH:
            self._then()
        return number


class _AfterTheFirst(StoreWrapper):
    """The secret is frozen as soon as a key was revoked."""

    def __init__(self, world: World) -> None:
        super().__init__(world.store)
        self._world = world

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Any:
        if deletes(self._world):
            freeze(self._world)
        return super().read(path, version, once=once)


class TestTwoSecrets:
    def test_a_key_of_a_frozen_secret_is_not_revoked_for_another(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Reporting", path=OTHER))
        world.make_pass()
        world.memory.put(OTHER, world.secret(PATH))  # both hold one key
        world.make_pass()
        shared = world.rotation(PATH)["key_id"]
        world.make_pass(forced=True)
        world.advance(2)
        freeze(world, path=OTHER)
        world.make_pass()
        assert shared not in dead(world)
        release(world)
        world.make_pass()
        assert shared in dead(world)

    def test_others_go_on(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Reporting", path=OTHER))
        world.make_pass()
        world.advance(7)
        freeze(world, path=OTHER)
        assert [key.action for key in world.make_pass().keys] == [Action.ROTATE, Action.HOLD]


def test_a_dry_run_and_a_pass_ask_for_nothing_more(world: World) -> None:
    """The custom metadata comes with the read that is made anyway."""
    world.one()
    freeze(world)
    world.memory.calls.clear()
    world.one()
    assert [call for call in world.memory.calls if PATH in call] == [f"read {PATH}"]


def test_until_is_the_gateways_time(world: World) -> None:
    world.one()
    freeze(world, days=1)
    world.local_skew = timedelta(minutes=4)
    world.advance(0.999)
    ends = world.memory.custom[PATH][FIELD].split()[0]
    assert datetime.fromisoformat(ends) > world.server.account.clock.now()
    result = world.one()
    assert result.plan
    assert result.plan.freeze
    assert result.plan.freeze.in_force(world.log[-1].now)


def test_somebody_else_writes_at_the_same_time(world: World) -> None:
    class Contested(StoreWrapper):
        def write_custom(self, path: str, changes: Any) -> None:
            super().write_custom(path, {FIELD: "2099-01-01 theirs"})

    world.one()
    value = write_freeze(DAY + timedelta(days=7), "ours")
    with world.account(Contested(world.store)) as account, pytest.raises(NotFrozen) as raised:
        change_freeze(account, world.keys[0], value, DAY)
    assert "somebody else may have written something else meanwhile" in str(raised.value)
    with world.account() as account:
        changed = change_freeze(account, world.keys[0], value, DAY)
    assert changed.freeze
    assert changed.freeze.reason == "ours"
