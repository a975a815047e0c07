"""Whole passes over what people, crashes and lagging lists leave behind: nothing is lost, and nothing is stuck."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.passes.result import Action, Outcome
from rotator.rules.times import format_time
from rotator.sandbox.faults import ALWAYS, Delay, Fault, Phase, Status
from rotator.sandbox.ledger import Lag, Quirks
from tests.facts import PATH, at, managed
from tests.world import STATE, World


def unanswered(world: World, status: int, times: int) -> None:
    """Let no way tell whether a key works, after the pass has its list."""
    lists = [Fault("GET /keys", Delay(0)), Fault("GET /keys", Status(status), times=times)]
    world.server.faults.add(Fault("GET /account/balances", Status(status), times=times), *lists)


class TestAdoption:
    def test_a_key_put_there_by_hand_is_adopted_and_then_rotated(self, world: World) -> None:
        by_hand = world.server.account.create("Backend, made by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext, "endpoint": "https://x"})
        adopted = world.one()
        assert adopted.action is Action.ADOPT
        assert world.secret()["api_key"] == by_hand.plaintext
        assert world.rotation()["key_id"] == by_hand.id
        world.advance(7)
        world.one()
        world.advance(30)
        assert "set revoke_adopted" in world.one().warnings[0]
        assert by_hand in world.live
        world.keys = (managed(revoke_adopted=True),)
        world.one()
        assert by_hand.id not in [key.id for key in world.live]

    def test_nonsense_in_the_block_is_adopted_and_reported(self, world: World) -> None:
        made = world.one().key_id
        world.memory.put(PATH, {**world.secret(), "rotation": {**world.rotation(), "key_id": "nonsense"}})
        result = world.one()
        assert result.action is Action.ADOPT
        assert "cannot read the secret's bookkeeping" in result.warnings[0]
        assert world.rotation()["key_id"] == made

    def test_an_overwritten_key_lives_on_for_its_grace_and_then_goes(self, world: World) -> None:
        """Somebody pastes another key over ours; programs may still run on ours."""
        ours = world.one().key_id
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.advance(0.5)
        world.one()
        world.one()
        assert ours in [key.id for key in world.live]
        world.advance(0.9)
        world.one()
        assert ours in [key.id for key in world.live]
        world.advance(0.1)
        world.one()
        assert ours not in [key.id for key in world.live]
        assert world.secret()["api_key"] == by_hand.plaintext


class TestHistory:
    def test_a_rolled_back_secret_keeps_the_newer_key_for_its_grace(self, world: World) -> None:
        world.one()
        older = world.secret()
        world.advance(7)
        newer = world.one().key_id
        world.memory.put(PATH, older)
        world.advance(0, minutes=60)
        result = world.one()
        # The older one is a week old, so it is due at once; both predecessors are kept for their grace.
        assert result.outcome is Outcome.DONE
        assert {str(newer), str(older["rotation"]["key_id"])} == set(world.rotation()["superseded"])
        assert len(world.live) == 3

    def test_a_key_found_in_an_earlier_version_is_recorded(self, world: World) -> None:
        ours = world.one()
        by_hand = world.server.account.create("by hand")
        world.advance(1)
        rotation = {**world.rotation(), "key_id": by_hand.id, "rotated_at": format_time(at(1))}
        world.memory.put(PATH, {"api_key": by_hand.plaintext, "rotation": rotation})
        result = world.one()
        assert result.action is Action.RECORD
        assert world.rotation()["superseded"] == {str(ours.key_id): format_time(at(1))}
        assert world.secret()["api_key"] == by_hand.plaintext

    def test_history_is_asked_only_when_there_is_a_suspect(self, world: World) -> None:
        world.one()
        world.memory.calls.clear()
        world.one()
        assert world.memory.calls == [f"read {STATE}", "whereabouts", f"read {PATH}"]

    def test_a_changed_path_leaves_the_old_key_alone(self, world: World) -> None:
        old = world.one().key_id
        world.keys = (replace(managed(), path="apimall/moved"),)
        for _ in range(3):
            result = world.make_pass()
            world.advance(2)
        assert [foreign.id for foreign in result.foreign] == [old]
        assert world.works(PATH)
        assert world.works("apimall/moved")

    def test_entries_that_exchange_their_names_leave_each_others_keys_alone(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))
        world.make_pass()
        world.make_pass(forced=True)
        world.keys = (replace(managed(), name="Other"), replace(managed(), path="apimall/other"))
        world.advance(0, minutes=30)
        world.make_pass()
        assert len(world.live) == 4

    def test_a_secret_removed_with_its_metadata_gives_its_key_a_grace(self, world: World) -> None:
        world.one()
        world.advance(7)
        used = world.one().key_id
        world.advance(3)
        world.memory.versions.pop(PATH)
        world.one()
        assert used in [key.id for key in world.live]
        world.advance(0.9)
        world.one()
        assert used in [key.id for key in world.live]
        world.advance(0.1)
        world.one()
        assert used not in [key.id for key in world.live]

    def test_a_key_in_flight_is_not_swept_whatever_was_deleted(self, world: World) -> None:
        """Another replica is between create and store, and an old version was deleted by hand."""
        world.one()
        world.advance(7)
        world.one()
        world.memory.delete(PATH, 1)
        world.advance(3)
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
        world.server.faults.add(Fault("POST /keys", Status(400), at=Phase.AFTER))
        world.one(forced=True)
        in_flight = [key.id for key in world.live][-2:]
        world.one()
        assert in_flight == [key.id for key in world.live][-2:]


class TestNothingIsStuck:
    def test_a_dead_current_key_and_three_orphans(self, world: World) -> None:
        made = world.one().key_id
        assert made
        world.server.account.revoke(made)
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=3))
        world.advance(0, minutes=5)
        world.one()
        assert len(world.live) == 3
        world.advance(0, minutes=16)
        world.one()
        assert world.one().outcome is Outcome.DONE
        assert world.works()
        assert len(world.live) == 1

    def test_many_forced_rotations_and_then_a_deleted_secret(self, world: World) -> None:
        for _ in range(15):
            world.one(forced=True)
        assert len(world.live) == 13
        world.memory.delete(PATH)
        assert world.one().outcome is Outcome.DONE
        assert world.works()
        world.advance(1)
        world.one()
        assert len(world.live) == 1

    def test_a_secret_that_somebody_deletes_after_each_rotation(self, world: World) -> None:
        for _ in range(30):
            world.one()
            if world.store.read(PATH).data is not None:
                world.memory.delete(PATH)
            world.advance(0, minutes=30)
        assert len(world.live) <= 26
        for _ in range(4):
            world.advance(1)
            world.one()
        assert world.works()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    @pytest.mark.parametrize("status", [403, 500])
    def test_an_unknown_plaintext_that_cannot_be_probed_is_due_all_the_same(
        self, world: World, status: int
    ) -> None:
        world.memory.put(PATH, {"api_key": "sk-of-nobody-that-the-list-knows"})
        unanswered(world, status, times=4 if status == 500 else 1)
        result = world.one()
        assert result.plan
        assert (result.plan.reason, result.outcome) == ("due", Outcome.DONE)
        assert world.works()

    def test_a_deleted_secret_and_a_gateway_that_fails_for_a_day(self, world: World) -> None:
        world.one()
        world.memory.delete(PATH)
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        for _ in range(24):
            world.make_pass()
            assert len(world.live) <= 5
            world.advance(0, minutes=60)
        world.server.faults.clear()
        world.one()
        world.one()
        assert world.works()

    @pytest.mark.parametrize(("forced", "outcome"), [(False, Outcome.FAILED), (True, Outcome.DONE)])
    def test_a_key_that_the_list_omits_and_that_cannot_be_probed(
        self, world: World, forced: bool, outcome: Outcome
    ) -> None:
        """What is forced needs no other reason; else it is not known whether there is one."""
        old = world.one().key_id
        assert old
        world.advance(1)
        world.server.account.quirks = Quirks(omitted=frozenset({old}))
        unanswered(world, 500, times=4)
        assert world.one(forced=forced).outcome is outcome

    @pytest.mark.parametrize(("minutes", "action"), [(1.9, Action.NONE), (2, Action.ROTATE)])
    def test_a_dead_key_that_the_list_omits_is_replaced_once_the_list_cannot_lag(
        self, world: World, minutes: float, action: Action
    ) -> None:
        old = world.one().key_id
        assert old
        world.server.account.revoke(old)
        world.server.account.quirks = Quirks(omitted=frozenset({old}))
        world.advance(0, minutes=minutes)
        assert world.one().action is action

    def test_a_deadlock_is_not_made_by_a_list_that_lags_and_a_401_that_flaps(self, world: World) -> None:
        world.one()
        world.advance(1)
        world.server.account.quirks = Quirks(
            list_lag=Lag(by=timedelta(minutes=10)), propagation=Lag(requests=1)
        )
        world.one(forced=True)
        for _ in range(5):
            world.advance(0, minutes=0.3)
            world.one()
        assert world.posts() == 2
