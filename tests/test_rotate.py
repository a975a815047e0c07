"""Create, prove, store: what can go wrong at each, and what becomes of the new key."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import BrokenContract, Denied, Rejected, RotatorError, Transient
from rotator.model import Version
from rotator.result import Outcome
from rotator.sandbox.account import Lag, Quirks
from rotator.sandbox.faults import ALWAYS, Cut, Fault, Phase, Status, data_with, data_without
from tests.facts import PATH, managed
from tests.stores import CUT, DOWN, Faulty, Overtaken
from tests.world import World


class TestCreate:
    @pytest.mark.parametrize("do", [Status(500), Cut(), Status(503), data_with(id="x")])
    def test_what_an_ambiguous_attempt_left_behind_is_swept(self, world: World, do: object) -> None:
        world.server.faults.add(Fault("POST /keys", do, at=Phase.AFTER))  # type: ignore[arg-type]
        world.one()
        world.advance(0, minutes=14)
        world.one()
        world.advance(0, minutes=1)
        world.one()
        assert world.works()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    def test_each_attempt_has_a_title_of_its_own(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=2))
        world.one()
        titles = [key.title for key in world.server.account.ledger[1:]]
        assert len(set(titles)) == 3

    def test_refusals_that_were_not_executed_are_repeated(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(429, retry_after="1"), times=3))
        assert world.one().outcome is Outcome.DONE
        assert len(world.live) == 1

    def test_ambiguous_attempts_are_bounded_by_the_orphans_that_may_live(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        for _ in range(6):
            world.make_pass()
            world.advance(0, minutes=3)
            assert len(world.live) <= 3
        world.server.faults.clear()
        world.advance(0, minutes=15)
        world.make_pass()
        world.advance(0, minutes=15)
        assert world.make_pass().converged
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    def test_orphans_that_live_already_count(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(400), at=Phase.AFTER))
        world.one()
        assert len(world.live) == 1
        world.advance(0, minutes=5)
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        world.one()
        assert len(world.live) == 3

    @pytest.mark.parametrize("status", [400, 404])
    def test_a_refusal_is_final_for_this_managed_key_alone(self, world: World, status: int) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))
        world.server.faults.add(Fault("POST /keys", Status(status)))
        result = world.make_pass()
        assert sorted(key.outcome for key in result.keys) == [Outcome.DONE, Outcome.FAILED]
        (failed,) = [key for key in result.keys if key.failed]
        assert failed.errors[0].request_id

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_bearer_stops_the_account(self, world: World, status: int) -> None:
        world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(20))
        world.server.faults.add(Fault("POST /keys", Status(status), times=ALWAYS))
        result = world.make_pass()
        assert isinstance(result.refused, Denied)
        assert not result.changed
        assert all(key.errors[0].request_id and key.errors[0].cure for key in result.keys)
        assert world.posts() <= 4  # one for each worker

    def test_an_answer_without_the_plaintext_is_final_and_its_key_is_swept(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_without("api_key"), at=Phase.AFTER))
        result = world.one()
        assert result.outcome is Outcome.FAILED
        assert "data.api_key is missing" in str(result.errors[0])
        assert world.posts() == 1

    def test_a_title_that_the_gateway_changed_is_refused_and_its_key_revoked(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_with(title="Backend"), at=Phase.AFTER))
        result = world.one()
        (error,) = result.errors
        assert error.request_id == next(
            line.request_id for line in world.server.requests if line.method == "POST"
        )
        assert str(error.cure).startswith("choose a title_template")
        assert world.live == []

    def test_a_key_that_existed_before_is_refused_and_left_alone(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_with(id=1), at=Phase.AFTER))
        result = world.one()
        (error,) = result.errors
        assert error.message.endswith("answered with key 1, which existed before")
        assert error.request_id == world.server.requests[-1].request_id
        assert world.server.account.ledger[0].live


class TestProve:
    def test_propagation_is_waited_for(self, world: World) -> None:
        world.server.account.quirks = Quirks(propagation=Lag(requests=5))
        assert world.one().outcome is Outcome.DONE
        assert world.works()

    def test_a_key_that_never_works_is_revoked_and_not_published(self, world: World) -> None:
        world.impatient()
        world.server.account.quirks = Quirks(propagation=Lag(by=timedelta(days=1)))
        result = world.one()
        assert result.outcome is Outcome.FAILED
        assert "does not authenticate" in str(result.errors[0])
        assert result.errors[0].request_id
        assert world.live == []
        assert PATH not in world.memory.versions

    def test_without_the_balances_endpoint_the_list_is_asked(self, world: World) -> None:
        world.server.faults.add(Fault("GET /account/balances", Status(404), times=ALWAYS))
        assert world.one().outcome is Outcome.DONE
        assert world.works()

    def test_a_prove_that_is_refused_with_403_fails_this_key_and_not_the_account(self, world: World) -> None:
        world.impatient()
        world.server.faults.add(Fault("GET /account/balances", Status(403), times=ALWAYS))
        result = world.make_pass()
        assert result.refused is None
        assert result.keys[0].errors[0].request_id
        assert world.live == []


class TestStore:
    def test_an_outage_is_waited_for(self, world: World) -> None:
        store = Faulty(world.memory)
        store.before = [DOWN, CUT, DOWN]
        assert world.one(store=store).outcome is Outcome.DONE
        assert len(world.live) == 1

    def test_a_write_that_landed_though_its_answer_was_lost_is_recognised(self, world: World) -> None:
        store = Faulty(world.memory)
        store.after = [CUT]
        assert world.one(store=store).outcome is Outcome.DONE
        assert len(world.memory.versions[PATH]) == 1
        assert world.works()

    @pytest.mark.parametrize(
        "failure",
        [Transient("cut", ambiguous=True, request_id="req_1"), BrokenContract("cut", request_id="req_1")],
    )
    def test_down_for_too_long_fails_without_revoking(self, world: World, failure: RotatorError) -> None:
        world.impatient()
        store = Faulty(world.memory)
        store.before = [failure] * 100
        (error,) = world.one(store=store).errors
        assert error.message.startswith("not known whether new key 2 was stored: cut")
        assert (error.request_id, error.cure) == (
            "req_1",
            "nothing is lost: a later pass finds it in Vault or revokes it",
        )
        assert len(world.live) == 1
        assert PATH not in world.memory.versions

    def test_and_a_later_pass_sweeps_it(self, world: World) -> None:
        self.test_down_for_too_long_fails_without_revoking(
            world, Transient("cut", ambiguous=True, request_id="req_1")
        )
        world.advance(0, minutes=15)
        result = world.one()
        assert result.outcome is Outcome.DONE
        assert [done.victim for done in result.revoked] == ["orphan"]
        assert len(world.live) == 1

    @pytest.mark.parametrize("earlier", [[], [DOWN]])
    def test_a_refusal_revokes_the_new_key(self, world: World, earlier: list[RotatorError]) -> None:
        store = Faulty(world.memory)
        store.before = [*earlier, Rejected("403", status=403)]
        assert world.one(store=store).outcome is Outcome.FAILED
        assert world.live == []

    def test_a_refusal_after_an_ambiguous_attempt_does_not(self, world: World) -> None:
        store = Faulty(world.memory)
        store.before = [CUT, Rejected("403", status=403)]
        assert world.one(store=store).outcome is Outcome.FAILED
        assert len(world.live) == 1

    def test_a_lost_race_yields_and_revokes_the_new_key(self, world: World) -> None:
        world.one()
        world.advance(7)
        by_hand = world.server.account.create("by hand")
        rival = {**world.secret(), "api_key": by_hand.plaintext}
        world.server.hook = lambda method, _path, phase: (
            world.memory.put(PATH, rival) if (method, phase) == ("POST", Phase.AFTER) else None
        )
        result = world.make_pass()
        assert result.keys[0].outcome is Outcome.YIELDED
        assert result.converged
        assert len(world.live) == 2
        assert world.secret() == rival

    def test_a_race_lost_to_a_write_that_rotated_nothing_is_no_success(self, world: World) -> None:
        """The operator who forces a rotation must not be told that all is well."""
        world.one()
        rival = {**world.secret(), "note": "somebody edited another field"}
        world.server.hook = lambda method, _path, phase: (
            world.memory.put(PATH, rival) if (method, phase) == ("POST", Phase.AFTER) else None
        )
        result = world.make_pass(forced=True)
        assert not result.converged
        (error,) = result.keys[0].errors
        assert "written by somebody else meanwhile, but not rotated" in error.message
        assert error.cure == "the next pass rotates it; or run it again"
        assert len(world.live) == 1
        assert world.secret() == rival

    def test_a_published_key_that_was_overwritten_at_once_is_not_revoked(self, world: World) -> None:
        """Our write lands, its answer is lost, and a person writes on top before we look."""
        by_hand = world.server.account.create("by hand")

        store = Overtaken(world.memory, {"api_key": by_hand.plaintext})
        assert world.one(store=store).outcome is Outcome.DONE
        assert len(world.live) == 2

    def test_a_published_key_is_known_again_at_a_conflict(self, world: World) -> None:
        """The read that would tell is stale at first, so the write is sent twice and then conflicts."""

        class Stale(Faulty):
            stale = 1

            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                assert once or version is None, "what is repeated as a whole is not repeated within"
                if version and self.stale:
                    self.stale -= 1
                    return Version(0, None)
                return world.memory.read(path, version)

        store = Stale(world.memory)
        store.after = [CUT]
        assert world.one(store=store).outcome is Outcome.DONE
        assert len(world.memory.versions[PATH]) == 1
        assert world.works()

    def test_while_it_cannot_be_told_nothing_is_revoked(self, world: World) -> None:
        class Blind(Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                return Version(0, None) if version else world.memory.read(path)

        world.impatient()
        store = Blind(world.memory)
        store.after = [CUT]
        assert "not known whether" in str(world.one(store=store).errors[0])
        assert world.works()

    def test_an_answer_that_is_none_may_have_been_a_success(self, world: World) -> None:
        store = Faulty(world.memory)
        store.after = [BrokenContract("not Vault's answer")]
        assert world.one(store=store).outcome is Outcome.DONE
        assert len(world.memory.versions[PATH]) == 1

    def test_a_key_that_lost_after_an_ambiguous_attempt_is_revoked(self, world: World) -> None:
        rival = {"api_key": "x", "rotation": "theirs"}

        class Beaten(Faulty):
            def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
                if path == PATH and self.before:
                    world.memory.put(PATH, rival)
                return super().write(path, data, cas=cas)

        store = Beaten(world.memory)
        store.before = [CUT]
        assert world.one(store=store).outcome is Outcome.YIELDED
        assert world.live == []

    def test_a_new_key_that_cannot_be_revoked_is_swept_later(self, world: World) -> None:
        store = Faulty(world.memory)
        store.before = [Rejected("403", status=403)]
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=4))
        world.one(store=store)
        assert len(world.live) == 1
        world.advance(0, minutes=15)
        world.one()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    def test_nothing_is_created_that_could_not_be_stored(self, world: World) -> None:
        world.memory.missing[PATH] = "update on secret/data/x"
        result = world.one()
        assert result.outcome is Outcome.FAILED
        assert "lacks update on secret/data/x" in str(result.errors[0])
        assert world.posts() == 0

    def test_nothing_is_created_with_a_token_about_to_expire(self, world: World) -> None:
        world.memory.ttl = timedelta(minutes=5)
        with pytest.raises(Rejected, match="expires in 300 s"):
            world.make_pass()
        assert world.posts() == 0
        world.memory.ttl = timedelta(minutes=7)
        assert world.make_pass().converged


class TestASecondLookBeforeCreate:
    """The list and the secrets of a pass may be minutes old when a key's turn comes."""

    class Moved(Faulty):
        """A store whose secret is written by somebody else between the observation and the second look."""

        def __init__(self, world: World, data: Mapping[str, Any]) -> None:
            super().__init__(world.memory)
            self._world, self._data, self._looks = world, data, 0

        def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
            self._looks += path == PATH
            if path == PATH and self._looks == 2:
                self._world.memory.put(PATH, self._data)
            return self._world.memory.read(path, version, once=once)

    def test_what_another_rotator_has_rotated_is_left_as_it_is(self, world: World) -> None:
        world.one()
        result = world.one(store=self.Moved(world, {"api_key": "another"}), forced=True)
        assert result.outcome is Outcome.YIELDED
        assert world.posts() == 1

    def test_a_write_that_rotated_nothing_is_no_success(self, world: World) -> None:
        world.one()
        result = world.one(store=self.Moved(world, world.secret()), forced=True)
        assert result.outcome is Outcome.FAILED
        assert "but not rotated" in str(result.errors[0])
        assert world.posts() == 1


class TestTheBearer:
    def _managed(self, world: World) -> World:
        world.keys = (replace(managed(), name="Rotator", path="apimall/rotator"), managed())
        world.bearer_path = "apimall/rotator"
        return world

    def test_it_rotates_itself_last_and_goes_on_with_the_new_one(self, world: World) -> None:
        self._managed(world).make_pass()
        posts = [line for line in world.server.requests if line.method == "POST"]
        assert [line.bearer for line in posts] == [1, 1]
        assert world.rotation("apimall/rotator")["key_id"] == 3
        world.advance(7)
        world.make_pass()
        world.advance(1)
        result = world.make_pass()
        assert result.converged
        assert {key.id for key in world.live} == {
            world.rotation(path)["key_id"] for path in ("apimall/rotator", PATH)
        }
        assert world.server.account.bootstrap.live

    def test_a_401_makes_it_read_its_source_again(self, world: World) -> None:
        self._managed(world).make_pass()
        with world.account() as account:
            old = account.bearer.current()
            world.advance(7)
            world.make_pass()
            world.server.account.revoke(3)
            assert account.gateway.list_keys().keys
            assert account.bearer.current() != old

    def test_it_is_never_revoked(self, world: World) -> None:
        """The bearer's plaintext comes from a file that nobody renewed: it is the superseded key."""
        world.one()
        world.bearer = world.secret()["api_key"]
        world.advance(7)
        world.one()
        world.advance(2)
        result = world.one()
        assert result.revoked == ()
        assert "is the bearer" in result.warnings[0]
