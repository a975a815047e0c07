"""The previous key becomes current again: when it may, when it must not, and what is written."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import BrokenContract, Rejected, RotatorError
from rotator.passes.rollback import NotRolledBack
from rotator.rules.cadence import Period
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status, data_with
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.replies import Reply
from tests.facts import PATH, managed
from tests.program import Program
from tests.promises import Promises
from tests.stores import CUT, Faulty, Paused
from tests.world import World


@pytest.fixture
def rotated(world: World) -> World:
    """Key 2 was replaced by key 3."""
    world.one()
    world.advance(7)
    world.one()
    return world


def refusal(world: World, **options: Any) -> str:
    with pytest.raises(NotRolledBack) as refused:
        world.roll_back(**options)
    assert refused.value.cure
    assert "{" not in refused.value.cure
    assert "None" not in refused.value.cure
    return str(refused.value)


class TestDone:
    def test_the_previous_key_is_current_and_the_newer_one_superseded(self, rotated: World) -> None:
        done = rotated.roll_back()
        assert (done.current, done.superseded, done.version) == (2, 3, 3)
        assert rotated.works()
        assert rotated.rotation()["key_id"] == 2
        assert list(rotated.rotation()["superseded"]) == ["3"]

    def test_the_newer_one_goes_after_its_grace(self, rotated: World) -> None:
        rotated.roll_back()
        rotated.advance(0, minutes=60 * 24 - 1)
        assert rotated.one().revoked == ()
        rotated.advance(0, minutes=1)
        assert [done.key_id for done in rotated.one().revoked] == [3]
        assert rotated.works()

    def test_it_is_not_due_at_once(self, rotated: World) -> None:
        done = rotated.roll_back()
        assert done.due_at == done.now + timedelta(days=7)
        rotated.advance(6.9)
        assert rotated.one().rotation is None

    def test_twice_is_forward(self, rotated: World) -> None:
        rotated.roll_back()
        assert rotated.roll_back().current == 3
        assert list(rotated.rotation()["superseded"]) == ["2"]

    def test_what_else_is_in_the_secret_is_kept_as_it_is_now(self, rotated: World) -> None:
        rotated.memory.put(PATH, {**rotated.secret(), "endpoint": "https://example.com"})
        rotated.roll_back()
        assert rotated.secret()["endpoint"] == "https://example.com"

    def test_the_last_one_of_several(self, rotated: World) -> None:
        rotated.one(forced=True)
        assert rotated.roll_back().current == 3
        assert sorted(rotated.rotation()["superseded"]) == ["2", "4"]

    def test_last_is_by_time_and_not_by_number(self, rotated: World) -> None:
        rotated.roll_back()
        rotated.advance(0, minutes=10)
        rotated.one(forced=True)
        assert rotated.roll_back().current == 2

    def test_the_oldest_version_that_is_left_will_do(self, rotated: World) -> None:
        for _ in range(9):  # a person edits it until all but the first of ten versions hold the new key
            rotated.memory.put(PATH, rotated.secret())
            rotated.memory.max_versions += 1
        rotated.memory.max_versions = 11
        assert rotated.roll_back().from_version == 1

    def test_a_version_without_bookkeeping_is_known_by_the_preview(self, world: World) -> None:
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.one()
        world.memory.delete(PATH, 2)
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.one(forced=True)
        assert world.roll_back().from_version == 3

    def test_a_key_that_was_adopted(self, world: World) -> None:
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.one()
        world.one(forced=True)
        assert world.roll_back().current == by_hand.id
        assert world.works()

    def test_an_answer_that_was_lost(self, rotated: World) -> None:
        store = Faulty(rotated.memory)
        store.after = [CUT]
        assert rotated.roll_back(store=store).version == 3
        assert rotated.rotation()["key_id"] == 2

    def test_in_a_dry_run_nothing_is_written(self, rotated: World) -> None:
        versions = list(rotated.memory.versions[PATH])
        assert rotated.roll_back(dry_run=True).current == 2
        assert rotated.memory.versions[PATH] == versions

    def test_the_bearer(self, world: World) -> None:
        world.keys = (replace(managed(), name="Rotator", path="apimall/rotator"), managed())
        world.bearer_path = "apimall/rotator"
        world.make_pass()
        world.advance(7)
        world.make_pass()
        world.roll_back("Rotator")
        assert world.make_pass().converged
        world.advance(2)
        assert world.make_pass().converged
        assert world.works("apimall/rotator")


class TestKeptBeyondItsGrace:
    """What still uses the key may need it back; a pass that revokes it must still write its fence."""

    @pytest.fixture
    def consumed(self, world: World) -> World:
        key = replace(managed(), consumers=("web",), grace_limit=timedelta(days=3))
        world = replace(world, keys=(key,))
        world.one()
        world.advance(7)
        world.one()
        world.advance(1, minutes=1)
        return world

    def test_by_a_consumer(self, consumed: World) -> None:
        assert consumed.roll_back().current == 2

    def test_but_not_in_the_last_moments(self, consumed: World) -> None:
        consumed.advance(2, minutes=-2)
        assert "is over" in refusal(consumed)

    def test_nor_once_the_consumer_has_confirmed(self, consumed: World) -> None:
        consumed.memory.put(f"rotator/acks/{PATH}/web", {"key_id": 3})
        assert "is over" in refusal(consumed)

    def test_by_a_freeze(self, rotated: World) -> None:
        until = (rotated.server.account.clock.now() + timedelta(days=5)).isoformat()
        rotated.memory.write_custom(PATH, {"rotator-hold": json.dumps({"until": until, "reason": "sale"})})
        rotated.advance(1, minutes=1)
        assert rotated.roll_back().current == 2
        assert rotated.works()


class TestRefused:
    def test_the_grace_is_over(self, rotated: World) -> None:
        rotated.advance(1)
        assert "is over" in refusal(rotated)

    def test_a_grace_that_is_all_but_over_for_clocks_differ(self, rotated: World) -> None:
        rotated.advance(0, minutes=60 * 24 - 1)
        said = refusal(rotated)
        assert re.search(
            "key 2 is the youngest older key that is still alive, and (1m|59s) of its grace are left", said
        )
        assert "needs more than 2m (in_flight)" in said

    def test_of_what_it_replaced_it_says_only_what_is_true(self, rotated: World) -> None:
        """The key that it really replaced is dead, and an older one lives."""
        rotated.one(forced=True)
        rotated.server.account.revoke(3)
        rotated.advance(1)
        assert "key 2 is the youngest older key that is still alive, and its grace is over" in refusal(
            rotated
        )

    def test_the_grace_was_ended_after_a_leak(self, rotated: World) -> None:
        rotated.make_pass(forced=True, without_grace=True)
        assert "is over" in refusal(rotated)

    def test_nothing_was_replaced(self, world: World) -> None:
        world.one()
        assert "no key that it replaced is still alive" in refusal(world)

    def test_the_previous_one_was_revoked_by_hand(self, rotated: World) -> None:
        rotated.server.account.revoke(2)
        assert "no key that it replaced is still alive" in refusal(rotated)

    def test_it_no_longer_authenticates(self, rotated: World) -> None:
        rotated.server.account.quirks = Quirks(refused=frozenset({2}))
        text = refusal(rotated)
        assert "no longer authenticates" in text
        assert "request_id" in text

    def test_nothing_is_stored(self, rotated: World) -> None:
        rotated.memory.delete(PATH)
        assert "holds no key" in refusal(rotated)

    def test_what_is_stored_is_not_known(self, rotated: World) -> None:
        rotated.memory.put(PATH, {"api_key": "sk-of-another-account-0123456789"})
        assert "matches no listed key" in refusal(rotated)

    def test_its_version_is_gone(self, rotated: World) -> None:
        rotated.memory.delete(PATH, 1)
        assert "Vault has no version" in refusal(rotated)

    def test_another_key_was_pasted_over_it(self, rotated: World) -> None:
        other = rotated.server.account.create("by hand")
        for number in (1,):
            pasted = {**(rotated.store.read(PATH, number).data or {}), "api_key": other.plaintext}
            rotated.memory.versions[PATH][number - 1] = json.dumps(pasted)
        assert "Vault has no version" in refusal(rotated)

    def test_a_preview_that_tells_nothing_leaves_it_to_the_bookkeeping(self, rotated: World) -> None:
        rotated.server.faults.add(
            Fault("GET /keys", data_with(key_preview="sk-..."), at=Phase.AFTER, times=ALWAYS)
        )
        assert rotated.roll_back().current == 2

    def test_the_secret_was_written_meanwhile(self, rotated: World) -> None:
        store = Paused(rotated.memory, lambda: rotated.memory.put(PATH, rotated.secret()))
        assert "written in the meantime" in refusal(rotated, store=store)

    def test_the_token_may_not_write(self, rotated: World) -> None:
        store = Faulty(rotated.memory)
        store.before = [Rejected("403")]
        with pytest.raises(RotatorError, match="403"):
            rotated.roll_back(store=store)

    @pytest.mark.parametrize(
        "errors",
        [[CUT, Rejected("403")], [BrokenContract("not the contract's answer")]],
        ids=["refused", "broken"],
    )
    def test_a_write_that_may_have_landed_is_not_called_undone(
        self, rotated: World, errors: list[RotatorError]
    ) -> None:
        store = Faulty(rotated.memory)
        store.before = list(errors)
        assert "before you run this again" in refusal(rotated, store=store)

    def test_it_is_not_known_whether_it_was_stored(self, rotated: World) -> None:
        store = Faulty(rotated.memory)
        store.before = [CUT] * 100
        assert "before you run this again" in refusal(rotated, store=store)


def test_a_pass_that_was_about_to_revoke_the_previous_key_does_not(rotated: World) -> None:
    """It has decided; then its fence meets the rollback."""
    rotated.advance(0, minutes=60 * 24 - 3)
    hurried = (replace(managed(), grace_period=timedelta(hours=1)),)
    patient, rotated.keys = rotated.keys, hurried  # a replica with a config of before

    def back() -> None:
        rotated.keys = patient
        rotated.roll_back()

    store = Paused(rotated.memory, back)
    assert rotated.one(store=store).revoked == ()
    assert rotated.rotation()["key_id"] == 2
    assert rotated.works()


@pytest.mark.parametrize("fenced_by", ["the secret as it is", "a rotation", "a claim"])
def test_a_pass_that_stood_still_between_its_fence_and_its_delete(world: World, fenced_by: str) -> None:
    """It goes by a config of before, whose grace is shorter; a rollback meanwhile sees that the key is given up."""
    world.one()
    world.one(forced=True)
    world.advance(0, minutes=120)
    patient, hurried, forced = world.keys, managed(grace=timedelta(hours=1)), {}
    dies = 0  # so that nothing else is left to go back to
    match fenced_by:
        case "a rotation":
            forced, dies = {"forced": True}, 3
        case "a claim":
            hurried = managed(Period(timedelta(hours=2)), grace=timedelta(hours=1))
            world.server.faults.add(Fault("POST /keys", Status(400)))
    refused: list[str] = []

    def back(reply: Reply | None) -> Reply | None:
        world.keys = patient
        if dies:
            world.server.account.revoke(dies)
        try:
            world.roll_back()
        except NotRolledBack as error:
            refused.append(str(error))
        return reply

    world.server.faults.add(Fault("DELETE /keys/2", back))
    world.keys = (hurried,)
    assert [done.key_id for done in world.one(**forced).revoked] == [2]
    assert "is over" in refused[0]
    assert world.works()


def test_a_rollback_that_comes_after_the_fence_of_a_leak_is_refused(world: World) -> None:
    promises = Promises(world, world.memory)
    world.store = promises.watch(world.memory)
    world.keys = (managed(Period(timedelta(days=7))),)
    world.one()
    promises.leak(PATH)
    world.make_pass(forced=True, without_grace=True)
    with pytest.raises(NotRolledBack):
        world.roll_back()
    world.one()
    promises.hold()
    assert [key.id for key in world.live] == [world.rotation()["key_id"]]


def test_a_person_reads_80_columns(rotator: Program) -> None:
    asked = ("rollback", "--key", "Production backend")
    rotator.run("--once")
    assert rotator.run(*asked).code == 1
    rotator.run("--rotate-now")
    planned, done = rotator.run(*asked, "--dry-run"), rotator.run(*asked)
    assert (planned.code, done.code) == (0, 0)
    assert planned.out.endswith("\nnothing was changed\n")
    assert "after the next pass" in done.out
    assert "after the next pass" not in planned.out
    assert "\n  tested, and it works: request_id req_" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
