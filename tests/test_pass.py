"""Whole passes: the real gateway client over HTTP, and a store in memory. Each test tells a story."""

from dataclasses import replace

import pytest

from rotator.bookkeeping import format_time
from rotator.errors import Rejected, RotatorError
from rotator.model import Version
from rotator.result import Action, Outcome, action_of
from rotator.sandbox.account import Quirks
from rotator.sandbox.faults import ALWAYS, GARBAGE, Fault, Phase
from tests.facts import PATH, at, managed
from tests.stores import CUT, DOWN, Faulty, StaleOnce
from tests.world import STATE, World


class TestTheLifeOfAKey:
    def test_first_rotation_period_grace_and_revocation(self, world: World) -> None:
        first = world.one()
        assert (first.outcome, first.plan and first.plan.reason) == (Outcome.DONE, "missing")
        assert world.works()
        old = world.rotation()["key_id"]

        world.advance(6.9)
        assert action_of(world.one().plan) is Action.NONE  # type: ignore[arg-type]

        world.advance(0.1)
        assert world.one().plan.reason == "due"  # type: ignore[union-attr]
        assert world.works()
        assert world.rotation()["superseded"] == {str(old): format_time(at(7))}
        assert len(world.live) == 2

        world.advance(0.9)
        assert world.one().revoked == ()
        world.advance(0.1)
        assert [done.key_id for done in world.one().revoked] == [old]
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]
        assert all(result.converged for result in world.log)

    def test_the_layout_of_the_secret(self, world: World) -> None:
        world.one()
        (made,) = world.live
        assert world.secret() == {
            "api_key": made.plaintext,
            "rotation": {
                "key_id": made.id,
                "title": made.title,
                "created_at": "2026-11-01T00:00:00.000Z",
                "rotated_at": "2026-11-01T00:00:00Z",
                "superseded": {},
            },
        }
        assert made.title.startswith("Backend [2026-11-01T00:00:00Z ")

    def test_other_fields_of_the_secret_are_kept(self, world: World) -> None:
        others = {"endpoint": "https://x", "ünïcode": ["a", None, {"b": 1.5}], "big": 2**70, "flag": False}
        world.memory.put(PATH, others)
        world.one()
        world.advance(7)
        world.one()
        kept = world.secret()
        assert {name: kept[name] for name in others} == others

    def test_a_deleted_secret_is_written_on_top_of_its_last_version(self, world: World) -> None:
        world.one()
        world.memory.delete(PATH)
        result = world.one()
        assert (result.plan and result.plan.reason, result.outcome) == ("missing", Outcome.DONE)
        assert world.store.read(PATH).number == 2

    def test_a_key_revoked_by_hand_is_replaced_at_once(self, world: World) -> None:
        old = world.one().key_id
        assert old
        world.server.account.revoke(old)
        result = world.one()
        assert result.plan
        assert (result.plan.reason, result.outcome) == ("revoked", Outcome.DONE)
        assert world.works()
        assert world.rotation()["superseded"] == {}

    def test_a_key_that_the_list_omits_is_kept_while_it_works(self, world: World) -> None:
        old = world.one().key_id
        assert old
        world.advance(1)
        world.server.account.quirks = Quirks(omitted=frozenset({old}))
        result = world.one()
        assert action_of(result.plan) is Action.NONE  # type: ignore[arg-type]
        assert "missing in the gateway's list" in result.warnings[0]
        assert world.posts() == 1


class TestIdentity:
    def test_it_is_made_once(self, world: World) -> None:
        first, second = world.make_pass(), world.make_pass()
        assert first.installation == second.installation
        assert world.memory.versions[STATE] == [f'{{"installation": "{first.installation}"}}']

    def test_a_lost_one_makes_the_old_family_foreign_and_leaves_it_alone(self, world: World) -> None:
        world.one()
        world.memory.versions.pop(STATE)
        world.advance(7)
        world.one()
        world.advance(30)
        result = world.make_pass(only=frozenset({"none of them"}))
        assert len(world.live) == 2
        assert [stranger.id for stranger in result.strangers] == [world.live[0].id]

    def test_a_broken_one_stops_everything(self, world: World) -> None:
        world.memory.put(STATE, {"installation": "by hand"})
        with pytest.raises(Rejected, match="holds no installation"):
            world.make_pass()
        assert world.posts() == 0

    def test_a_stale_read_does_not_make_a_second_one(self, world: World) -> None:
        world.make_pass()
        stale = StaleOnce(world.memory, STATE)
        assert world.make_pass(store=stale).installation == world.log[0].installation
        assert len(world.memory.versions[STATE]) == 1


class TestAdoption:
    def test_a_key_put_there_by_hand_is_adopted_and_then_rotated(self, world: World) -> None:
        by_hand = world.server.account.create("Backend, made by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext, "endpoint": "https://x"})
        adopted = world.one()
        assert action_of(adopted.plan) is Action.ADOPT  # type: ignore[arg-type]
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
        world.memory.put(PATH, {**world.secret(), "rotation": {"key_id": "nonsense"}})
        result = world.one()
        assert action_of(result.plan) is Action.ADOPT  # type: ignore[arg-type]
        assert "makes no sense" in result.warnings[0]
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
        assert action_of(result.plan) is Action.RECORD  # type: ignore[arg-type]
        assert world.rotation()["superseded"] == {str(ours.key_id): format_time(at(1))}
        assert world.secret()["api_key"] == by_hand.plaintext

    def test_history_is_asked_only_when_there_is_a_suspect(self, world: World) -> None:
        world.one()
        world.memory.calls.clear()
        world.one()
        assert world.memory.calls == [f"read {STATE}", f"read {PATH}"]


class TestThePass:
    def test_only_the_named_ones_are_acted_on(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))
        result = world.make_pass(only=frozenset({"Other"}))
        assert [key.key.name for key in result.keys] == ["Other"]
        assert PATH not in world.memory.versions

    def test_forced(self, world: World) -> None:
        world.one()
        result = world.one(forced=True)
        assert result.plan
        assert (result.plan.reason, result.outcome) == ("forced", Outcome.DONE)

    def test_one_broken_entry_does_not_stop_the_others(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))

        class Broken(Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == PATH:
                    raise Rejected("403", status=403, cure="grant it")
                return world.memory.read(path, version)

        result = world.make_pass(store=Broken(world.memory))
        assert [key.outcome for key in result.keys] == [Outcome.FAILED, Outcome.DONE]
        assert not result.converged

    def test_a_bug_in_one_entry_does_not_stop_the_others(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))

        class Buggy(Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == PATH:
                    raise ZeroDivisionError
                return world.memory.read(path, version)

        result = world.make_pass(store=Buggy(world.memory))
        assert [key.outcome for key in result.keys] == [Outcome.FAILED, Outcome.DONE]
        assert "unexpected ZeroDivisionError" in str(result.keys[0].errors[0])

    def test_progress_is_told(self, world: World) -> None:
        told: list[tuple[int, int]] = []
        world.make_pass(progress=lambda done, total: told.append((done, total)))
        assert told == [(1, 1)]

    @pytest.mark.parametrize("name", [name for name in GARBAGE if "api_key" not in name])
    def test_a_list_that_breaks_the_contract_changes_nothing(self, world: World, name: str) -> None:
        world.one()
        before = dict(world.memory.versions)
        world.advance(9)
        world.server.faults.add(Fault("GET /keys", GARBAGE[name], at=Phase.AFTER, times=ALWAYS))
        with pytest.raises(RotatorError) as raised:
            world.make_pass()
        assert str(raised.value).startswith("GET /keys: ")
        assert world.memory.versions == before
        assert world.posts() == 1


class TestDryRun:
    def test_it_writes_nothing_and_says_what_the_next_pass_does(self, world: World) -> None:
        def nothing() -> None: ...

        def a_week() -> None:
            world.advance(7)

        def a_day() -> None:
            world.advance(1)

        def a_key_by_hand() -> None:
            world.memory.put(PATH, {"api_key": world.server.account.create("x").plaintext})

        for prepare in (nothing, a_week, a_day, a_key_by_hand):
            prepare()
            before = ({**world.memory.versions}, world.server.account.ledger)
            foretold = world.one(dry_run=True)
            assert ({**world.memory.versions}, world.server.account.ledger) == before
            done = world.one()
            assert foretold.plan
            assert done.plan
            assert (foretold.plan.reason, action_of(foretold.plan)) == (
                done.plan.reason,
                action_of(done.plan),
            )
            assert foretold.revoked == done.revoked
            assert foretold.outcome is Outcome.PLANNED

    def test_it_foretells_what_the_token_lacks(self, world: World) -> None:
        world.memory.missing[PATH] = "update on secret/data/x"
        assert world.one(dry_run=True).failed


class TestStopping:
    def test_nothing_new_is_begun(self, world: World) -> None:
        world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(20))

        def stop_at_first_create(method: str, _path: str, phase: Phase) -> None:
            if (method, phase) == ("POST", Phase.BEFORE):
                world.stopping.request()

        world.server.hook = stop_at_first_create
        result = world.make_pass()
        outcomes = [key.outcome for key in result.keys]
        assert set(outcomes) == {Outcome.DONE, Outcome.STOPPED}
        assert outcomes.count(Outcome.DONE) == len(world.live) <= 4
        assert all(world.works(key.key.path) for key in result.keys if key.outcome is Outcome.DONE)

    def test_what_was_created_is_stored_though_it_takes_a_while(self, world: World) -> None:
        store = Faulty(world.memory)
        store.before = [CUT, DOWN, CUT]
        world.server.hook = lambda method, _path, phase: (
            world.stopping.request() if (method, phase) == ("POST", Phase.AFTER) else None
        )
        assert world.one(store=store).outcome is Outcome.DONE
        assert world.works()
