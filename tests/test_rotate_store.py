"""Storing a new key: what can go wrong, and what becomes of the key."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import BrokenContract, Limited, Rejected, RotatorError, Transient
from rotator.passes.result import Outcome
from rotator.rules.model import Version
from rotator.sandbox.faults import Fault, Phase, Status
from tests.facts import PATH
from tests.stores import CUT, DOWN, Faulty, Overtaken, StaleAtFirst, StoreWrapper
from tests.world import World


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
        assert error.message.startswith("it is not known whether new key 2 was stored: cut")
        assert (error.request_id, error.cure) == (
            "req_1",
            "nothing is lost: a later pass finds the key in Vault, or revokes it",
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

    def test_an_answer_alone_does_not_say_that_it_is_stored(self, world: World) -> None:
        """Something before Vault answers as Vault would, and keeps nothing."""
        world.one()
        world.advance(7)
        world.impatient()

        class Forgetful(StoreWrapper):
            def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
                return cas + 1 if path == PATH else super().write(path, data, cas=cas)

        result = world.one(store=Forgetful(world.memory))
        assert result.outcome is Outcome.FAILED
        assert "Vault answered that it wrote version 2, but there is no such version" in str(result.errors[0])
        assert world.store.read(PATH).number == 1
        assert world.works()

    def test_a_standby_that_lags_behind_the_write_is_waited_for(self, world: World) -> None:
        store = StaleAtFirst(world.memory, PATH, times=4)
        assert world.one(store=store).outcome is Outcome.DONE
        assert True in store.once
        assert len(world.memory.versions[PATH]) == 1

    def test_that_it_is_stored_costs_one_read(self, world: World) -> None:
        world.one()
        world.advance(7)
        world.memory.calls.clear()
        world.one()
        calls = [call for call in world.memory.calls if call.endswith(f" {PATH}")]
        # It is observed, looked at again once it is claimed, written, and read as it was written.
        assert calls == [f"read {PATH}", f"read {PATH}", f"write {PATH}", f"read {PATH}"]

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

    @pytest.mark.parametrize("then", [Limited("429", ambiguous=False), Rejected("403", status=403)])
    def test_a_429_to_a_write_that_landed_does_not_either(self, world: World, then: RotatorError) -> None:
        """The limit lasts, or Vault refuses for good; and a standby that lags behind does not show the version."""

        class Limiting(StaleAtFirst):
            sent = 0

            def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
                if path == PATH:
                    self.sent += 1
                    if self.sent == 1:
                        super().write(path, data, cas=cas)
                        world.stopping.request()  # else a limit is waited for
                        raise Limited("429", ambiguous=False)
                    raise then
                return super().write(path, data, cas=cas)

        world.impatient()
        world.one(store=Limiting(world.memory, PATH, 100))
        assert world.works()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

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
        assert "wrote the secret in the meantime, and did not rotate the key" in error.message
        assert error.cure == "run this again"
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
        rival = {"api_key": "sk-of-a-rival", "rotation": "theirs"}

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
        with pytest.raises(Rejected, match="token expires before a rotation"):
            world.make_pass()
        assert world.posts() == 0
        world.memory.ttl = timedelta(minutes=7)
        assert world.make_pass().converged
