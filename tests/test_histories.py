"""Histories in which a promise once did not hold."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.passes.reconcile import reconcile
from rotator.passes.result import Action
from rotator.rules.cadence import Period
from rotator.rules.model import Version
from rotator.sandbox.faults import Fault, Phase, Status
from tests.facts import PATH, managed
from tests.stage import BEARER
from tests.stores import StoreWrapper
from tests.world import World

OTHER = "apimall/reporting"


def _lives(world: World, id_: int) -> bool:
    return world.server.account.keys[id_ - 1].live


def _restore(world: World, number: int) -> None:
    """A person's `vault kv rollback`."""
    world.memory.put(PATH, world.store.read(PATH, number).data or {})


class TestRevokedInItsGrace:
    @pytest.mark.parametrize("made_by", ["hand", "us"])
    def test_of_another_managed_key(self, world: World, made_by: str) -> None:
        """One key serves two entries; the first to replace it revokes it in the grace of the other."""
        slow = replace(managed(Period(timedelta(days=9)), revoke_adopted=True), name="Reporting", path=OTHER)
        world.keys = (managed(revoke_adopted=True), slow)
        if made_by == "hand":
            by_hand = world.server.account.create("made by hand")
            world.memory.put(PATH, {"api_key": by_hand.plaintext})
        else:
            world.make_pass(only=frozenset({"Backend"}))
        world.memory.put(OTHER, world.secret())
        world.make_pass()
        world.advance(7)
        world.make_pass()  # replaced at PATH
        world.advance(2)
        world.make_pass()  # replaced at OTHER, where its grace begins now
        assert world.rotation(OTHER)["superseded"] == {"2": "2026-11-10T00:00:00Z"}
        world.advance(minutes=1)
        world.make_pass()
        assert _lives(world, 2)

    def test_of_another_managed_key_with_a_longer_grace(self, world: World) -> None:
        """The same without a person: both are replaced in one pass, and the shorter grace decides."""
        brief = managed(grace=timedelta(hours=1), revoke_adopted=True)
        world.keys = (brief, replace(managed(revoke_adopted=True), name="Reporting", path=OTHER))
        shared = world.server.account.create("made by hand")
        for path in (PATH, OTHER):
            world.memory.put(path, {"api_key": shared.plaintext})
        world.make_pass()
        world.advance(7)
        world.make_pass()
        world.advance(minutes=61)
        world.make_pass()
        assert _lives(world, shared.id)

    def test_when_the_gateways_clock_was_behind_for_one_pass(self, world: World) -> None:
        """The block is then "dated in the future"; what it names is noted as superseded in the past."""
        world.make_pass()
        world.advance(7)
        world.make_pass()
        world.advance(-2)
        world.server.account.settle()
        world.make_pass()
        world.advance(2, minutes=1)
        world.make_pass()
        assert _lives(world, 2)


class TestLiveForEver:
    @pytest.mark.parametrize("forced", [False, True])
    def test_when_a_key_that_is_not_known_is_put_over_many(self, world: World, forced: bool) -> None:
        """12 rotations by hand, then `vault kv put` of a key that works and is not listed: no rotation
        and no revocation, for ever, and --rotate-now is no cure."""
        for _ in range(13):
            world.make_pass(forced=True)
            world.advance(minutes=3)
        theirs = world.server.account.create("by hand")
        world.server.account.quirks = replace(world.server.account.quirks, omitted=frozenset({theirs.id}))
        world.memory.put(PATH, {"api_key": theirs.plaintext})
        for _ in range(20):
            world.advance(2)
            world.make_pass(forced=forced)
        assert len(world.live) <= 3

    def test_when_the_plaintext_was_away_for_a_pass(self, world: World) -> None:
        """What the block says is dropped with the plaintext: an adopted key is never revoked."""
        world.keys = (managed(revoke_adopted=True),)
        by_hand = world.server.account.create("made by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.make_pass(forced=True)
        assert list(world.rotation()["superseded"]) == [str(by_hand.id)]
        world.memory.put(PATH, {**world.secret(), "api_key": ""})
        for _ in range(5):
            world.advance(2)
            world.make_pass()
        assert not _lives(world, by_hand.id)

    def test_after_an_older_version_was_restored_and_restored_away(self, world: World) -> None:
        """It was in use again, so its grace begins anew; that is written down, or it would begin anew for ever."""
        for _ in range(3):
            world.make_pass(forced=True)
        used_again = world.server.account.keys[2]
        _restore(world, 2)
        world.advance(0.9)
        _restore(world, 3)
        world.advance(0.9)
        assert world.one().action is Action.RECORD
        assert _lives(world, used_again.id)
        world.advance(1)
        assert used_again.id in [done.key_id for done in world.one().revoked]

    def test_what_the_gateways_clock_made_in_the_future(self, world: World) -> None:
        """Three orphans dated a year ahead: no rotation for a year."""
        world.make_pass()
        world.advance(365)
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=3))
        world.make_pass(forced=True)
        world.advance(-365)
        world.server.account.settle()
        for _ in range(20):
            world.advance(2)
            world.make_pass(forced=True)
        assert world.rotation()["key_id"] != 2

    def test_the_old_bearer_of_an_account_that_is_kept(self, world: World) -> None:
        """A person, or another replica, replaced the bearer; the process goes on with the old one, and so
        protects it, until it rotates or restarts."""
        world.keys = (replace(managed(Period(timedelta(days=300))), name="Rotator", path=BEARER),)
        world.make_pass()
        world.bearer_path = BEARER
        with world.account() as kept:
            reconcile(kept)
            world.make_pass(forced=True)  # a replica, which then goes away
            for _ in range(10):
                world.advance(2)
                reconcile(kept)
        assert not _lives(world, 2)


class TestOverwritten:
    def test_a_secret_that_was_made_anew_between_the_decision_and_the_second_look(self, world: World) -> None:
        """Removed with its metadata and put again: the same number, another key. Only numbers are compared."""
        world.make_pass()
        world.advance(7)
        theirs = world.server.account.create("by hand")
        looks = iter(range(100))

        class Anew(StoreWrapper):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == PATH and version is None and next(looks) == 1:
                    world.memory.versions[PATH] = [json.dumps({"api_key": theirs.plaintext})]
                return super().read(path, version, once=once)

        world.make_pass(store=Anew(world.store))
        current = world.server.account.find(world.secret()["api_key"])
        assert current
        assert current.id == theirs.id
