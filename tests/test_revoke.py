"""Revoking: only against the secret as it is now, and until it is done."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import Rejected
from rotator.passes.account import Account
from rotator.passes.observe import observe
from rotator.passes.result import Action, KeyResult, Outcome
from rotator.passes.revoke import Revoker
from rotator.rules.bookkeeping import read_block
from rotator.rules.facts import Facts
from rotator.rules.model import Version
from rotator.rules.revocations import Revocation, Victim
from rotator.rules.times import format_time
from rotator.sandbox.faults import ALWAYS, Body, Fault, Phase, Status, data_with, data_without
from rotator.sandbox.ledger import Quirks
from tests.facts import PATH, at, managed
from tests.stores import CUT, Faulty, Overtaken, Paused, Stale
from tests.witness import rotated
from tests.world import World


def observed(account: Account) -> Facts:
    """What a pass over the one managed key would go by."""
    (facts,) = observe(account, forced=False, dry_run=True).facts.values()
    return facts


def refused(world: World, id_: int) -> None:
    """Let the gateway answer 401 to a key, though nobody revoked it."""
    world.server.account.quirks = Quirks(refused=frozenset({id_}))


class TestRevoke:
    def _superseded(self, world: World) -> int:
        old = world.one().key_id
        world.advance(7)
        world.one()
        world.advance(1)
        assert old
        return old

    @pytest.mark.parametrize("phase", list(Phase))
    def test_a_failed_revoke_is_repeated(self, world: World, phase: Phase) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), at=phase, times=2))
        result = world.one()
        assert [done.key_id for done in result.revoked] == [old]
        assert not result.failed

    def test_one_that_keeps_failing_is_due_again_in_the_next_pass(self, world: World) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=4))
        assert world.one().failed
        assert [done.key_id for done in world.one().revoked] == [old]

    def test_a_404_alone_is_no_success(self, world: World) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", Status(404)))
        assert world.one().failed
        assert old in [key.id for key in world.live]

    @pytest.mark.parametrize(
        "answer",
        [
            data_with(status="active"),
            data_with(id=99),
            data_without("id"),
            Body(b"", status=204),
            Body(b"gone"),
        ],
    )
    @pytest.mark.parametrize("at", list(Phase))
    def test_where_the_answer_does_not_say_revoked_the_list_does(
        self, world: World, answer: Any, at: Phase
    ) -> None:
        old = self._superseded(world)
        if at is Phase.BEFORE and not isinstance(answer, Body):
            return
        world.server.faults.add(Fault("DELETE /keys/*", answer, at=at))
        result = world.one()
        if at is Phase.AFTER:
            assert [done.key_id for done in result.revoked] == [old]
        else:
            assert "the list shows the key as live" in str(result.errors[0])

    def test_not_while_the_key_that_replaced_it_is_refused(self, world: World) -> None:
        old = self._superseded(world)
        refused(world, world.rotation()["key_id"])
        result = world.one()
        (error,) = result.errors
        assert "the gateway refuses the key that the secret holds" in error.message
        assert error.request_id in [line.request_id for line in world.server.requests if line.status == 401]
        assert str(error.cure).startswith("rotate this managed key with --rotate-now --key")
        assert old in [key.id for key in world.live]

    def test_nor_when_its_own_rotation_failed(self, world: World) -> None:
        old = self._superseded(world)
        world.advance(7)
        world.server.faults.add(Fault("POST /keys", Status(400)))
        refused(world, world.rotation()["key_id"])
        result = world.one()
        assert "the gateway refuses the key that the secret holds" in str(result.errors[1])
        assert old in [key.id for key in world.live]

    def test_nor_when_the_bookkeeping_alone_was_written(self, world: World) -> None:
        """Somebody pastes a key that is listed and does not work; it is adopted in the same pass."""
        old = self._superseded(world)
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {**world.secret(), "api_key": by_hand.plaintext})
        refused(world, by_hand.id)
        result = world.one()
        assert result.action is Action.ADOPT
        assert "the gateway refuses the key that the secret holds" in str(result.errors[0])
        assert old in [key.id for key in world.live]

    def test_several_are_fenced_once_and_the_current_key_is_proved_once(self, world: World) -> None:
        for _ in range(3):
            world.one(forced=True)
        world.advance(1)
        world.memory.calls.clear()
        asked = len(world.server.requests)
        assert len(world.one().revoked) == 2
        assert world.memory.calls.count(f"write {PATH}") == 1
        # And a bearer that is none, to see that it would have been refused.
        assert [line.path for line in world.server.requests[asked:]].count("/account/balances") == 2

    def test_not_once_the_secret_has_moved(self, world: World) -> None:
        """Between our observation and our revoke a person rolls the secret back to the victim."""
        old = self._superseded(world)
        first = world.store.read(PATH, 1).data or {}
        result = world.one(store=Paused(world.memory, lambda: world.memory.put(PATH, first)))
        assert result.revoked == ()
        assert not result.failed
        assert old in [key.id for key in world.live]

    def test_not_once_the_secret_has_moved_on_from_a_fence_whose_answer_was_lost(self, world: World) -> None:
        """The same a moment later: the fence landed, and then a person rolls back."""
        old = self._superseded(world)
        first = world.store.read(PATH, 1).data or {}
        result = world.one(store=Overtaken(world.memory, first))
        assert result.revoked == ()
        assert not result.failed
        assert old in [key.id for key in world.live]

    def test_a_fence_whose_answer_was_lost_holds(self, world: World) -> None:
        old = self._superseded(world)
        store = Faulty(world.memory)
        store.after.append(CUT)
        assert [done.key_id for done in world.one(store=store).revoked] == [old]

    def test_not_the_key_that_the_secret_holds(self, world: World) -> None:
        """A decision that names the current key is wrong, whoever made it."""
        made = world.one()
        assert made.key_id
        wrong = Revocation(made.key_id, Victim.SUPERSEDED, at(0))
        with world.account() as account:
            # Known by its id alone, by its plaintext alone, and by both.
            for change in ({"version": Version(1, None)}, {"current": None}, {}):
                seen = replace(observed(account), **change)
                with pytest.raises(Rejected, match="is current"):
                    Revoker(account, seen, None).check(wrong)

    def test_not_the_bearer(self, world: World) -> None:
        old = self._superseded(world)
        with world.account() as account:
            seen = observed(account)
        world.bearer = world.server.account.keys[1].plaintext
        with world.account() as account, pytest.raises(Rejected, match="is the bearer"):
            Revoker(account, seen, None).check(Revocation(old, Victim.SUPERSEDED, at(0)))

    def test_without_a_plaintext_only_orphans_go(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        world.one()
        with world.account() as account, pytest.raises(Rejected, match="nothing has taken its place"):
            Revoker(account, observed(account), None).check(Revocation(2, Victim.SUPERSEDED, at(0)))
        world.advance(0, minutes=15)
        assert [done.victim for done in world.one().revoked] == ["orphan"] * 3
        assert world.live == []

    def test_a_write_comes_before_the_revocation_so_that_no_later_one_can_publish_the_victim(
        self, world: World
    ) -> None:
        """A rotator that stood still for twenty minutes stores its key after the sweep of another."""
        world.one()
        world.advance(1)

        def twenty_minutes() -> None:
            world.advance(0, minutes=20)
            world.one()

        slow = Paused(world.memory, twenty_minutes)
        result = world.one(store=slow, forced=True)
        assert result.outcome is Outcome.FAILED
        assert "wrote the secret in the meantime, and did not rotate the key" in str(result.errors[0])
        assert [done.victim for done in world.log[-2].keys[0].revoked] == ["orphan"]
        assert world.works()

    def test_the_fence_of_one_orphan_is_not_anothers(self, world: World) -> None:
        """Of two orphans one can never be published any more; the other one's rotator stands still."""
        world.one()
        world.advance(1)
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
        world.one(forced=True)
        world.advance(0, minutes=1)

        def twenty_minutes() -> None:
            world.advance(0, minutes=20)
            world.one()

        slow = Paused(world.memory, twenty_minutes)
        world.one(store=slow, forced=True)
        assert [done.victim for done in world.log[-2].keys[0].revoked] == ["orphan", "orphan"]
        assert world.works()

    def _marked(self, world: World) -> int:
        """A superseded key of which DELETE failed after it was fenced."""
        old = self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=4))
        world.one()
        world.advance(0, minutes=10)
        return old

    def _put_back(self, world: World, number: int) -> None:
        """After the pass has read the secret, a person restores a version."""
        older = world.store.read(PATH, number).data or {}

        def put(reply: Any) -> Any:
            world.memory.put(PATH, older)
            return reply

        world.server.faults.add(Fault("GET /account/balances", put, at=Phase.AFTER))

    def test_a_key_that_was_fenced_before_and_is_put_back_is_kept(self, world: World) -> None:
        old = self._marked(world)
        self._put_back(world, 1)
        assert world.one().revoked == ()
        assert old in [key.id for key in world.live]
        assert world.works()

    def test_the_fence_of_one_superseded_key_is_not_anothers(self, world: World) -> None:
        world.keys = (managed(grace=timedelta(days=6)),)
        world.one()
        world.advance(7)
        world.one()
        world.advance(6, minutes=1)
        world.server.faults.add(Fault("DELETE /keys/2", Status(500), times=ALWAYS))
        world.one()
        world.advance(1)
        world.one()
        world.advance(6, minutes=1)
        number = next(n for n in range(1, 10) if read_block(world.store.read(PATH, n).data).key_id == 3)
        self._put_back(world, number)
        world.one()
        assert 3 in [key.id for key in world.live]
        assert world.works()

    def test_who_loses_a_claim_undoes_nothing(self, world: World) -> None:
        """Two are forced while a grace is over: the loser's fence would take the winner's version."""
        self._superseded(world)
        others: list[KeyResult] = []
        slow = Paused(world.memory, lambda: others.append(world.one(forced=True)))
        assert world.one(store=slow, forced=True).outcome is Outcome.DONE
        assert others[0].outcome is Outcome.FAILED

    def test_nor_does_a_pass_that_only_revokes(self, world: World) -> None:
        old = self._superseded(world)
        slow = Paused(world.memory, lambda: world.one())
        assert world.one(store=slow, forced=True).outcome is Outcome.DONE
        assert old not in [key.id for key in world.live]

    def test_nor_where_nothing_is_stored_yet(self, world: World) -> None:
        """The same, before the first rotation, while the gateway fails the other one's creates."""

        def twenty_minutes() -> None:
            world.advance(0, minutes=20)
            world.server.faults.add(Fault("POST /keys", Status(500), times=ALWAYS))
            world.one()

        slow = Paused(world.memory, twenty_minutes)
        assert world.one(store=slow).outcome == "yielded"
        assert [done.victim for done in world.log[-2].keys[0].revoked] == ["orphan"]
        assert world.secret() == {}

    def test_a_rollback_over_a_rollback_does_not_cut_a_grace_short(self, world: World) -> None:
        """The block that comes back with an older version knows nothing of what was current after it."""
        world.one()
        world.advance(7)
        world.one()
        first, second = (world.store.read(PATH, number).data or {} for number in (1, 2))
        world.memory.put(PATH, first)  # the first key is current again, for a day
        world.advance(1, minutes=1)
        world.one()
        world.memory.put(PATH, second)  # says that the first was replaced a day ago
        result = world.one()
        assert result.revoked == ()
        assert result.plan
        assert result.plan.note == "record"
        world.advance(0, minutes=60 * 24 - 1)
        assert world.one().revoked == ()
        world.advance(0, minutes=1)
        assert sorted(done.key_id for done in world.one().revoked) == [2, 4]

    def test_the_write_sees_a_rollback_that_a_stale_read_does_not(self, world: World) -> None:
        old = self._superseded(world)
        stale = Stale(world.memory)
        world.memory.put(PATH, world.store.read(PATH, 1).data or {})
        result = world.one(store=stale)
        assert result.revoked == ()
        assert old in [key.id for key in world.live]
        assert world.works()

    def test_a_write_that_landed_though_its_answer_was_lost_is_a_fence(self, world: World) -> None:
        old = self._superseded(world)
        store = Faulty(world.memory)
        store.after = [CUT]
        assert [done.key_id for done in world.one(store=store).revoked] == [old]

    def test_two_rotators_that_fence_at_once_do_not_keep_each_other_from_it(self, world: World) -> None:
        old = self._superseded(world)
        given_up = {"version": 3, "since_version": 2, "superseded": {str(old): "1970-01-01T00:00:00Z"}}
        fenced = {**world.secret(), "rotation": world.rotation() | given_up}
        same = Paused(world.memory, lambda: world.memory.put(PATH, fenced))
        assert [done.key_id for done in world.one(store=same).revoked] == [old]

    def test_nothing_is_written_for_what_must_not_be_revoked(self, world: World) -> None:
        self._superseded(world)
        versions = list(world.memory.versions[PATH])
        refused(world, world.rotation()["key_id"])
        world.one()
        assert world.memory.versions[PATH] == versions

    def test_an_opaque_preview_is_made_up_for_by_the_version_history(self, world: World) -> None:
        world.server.faults.add(
            Fault("GET /keys", data_with(key_preview="sk-..."), at=Phase.AFTER, times=ALWAYS)
        )
        old = self._superseded(world)
        assert [done.key_id for done in world.one().revoked] == [old]

    @pytest.mark.parametrize("deleted", [False, True])
    def test_an_opaque_preview_of_what_was_pasted_back(self, world: World, deleted: bool) -> None:
        world.server.faults.add(
            Fault("GET /keys", data_with(key_preview="sk-..."), at=Phase.AFTER, times=ALWAYS)
        )
        old = self._superseded(world)
        first = world.store.read(PATH, 1).data or {}
        world.memory.put(PATH, {**world.secret(), "api_key": first["api_key"]})
        if deleted:
            world.memory.delete(PATH, 1)
        for _ in range(2):  # it may be the current key: its grace begins when it is replaced
            assert world.one().revoked == ()
            assert old in [key.id for key in world.live]
            world.advance(0, minutes=60)
        world.one(forced=True)
        world.one()
        assert old in [key.id for key in world.live]

    def test_an_opaque_preview_and_a_title_that_tells_no_version(self, world: World) -> None:
        """What a person made and noted by hand: the version that held it proves that it is not the current key."""
        world.server.faults.add(
            Fault("GET /keys", data_with(key_preview="sk-..."), at=Phase.AFTER, times=ALWAYS)
        )
        world.keys = (managed(revoke_adopted=True),)
        by_hand = world.server.account.create("by hand")
        times = dict.fromkeys(("created_at", "rotated_at"), format_time(at(0)))
        world.memory.put(PATH, {"api_key": by_hand.plaintext, "rotation": {"key_id": by_hand.id, **times}})
        world.one(forced=True)
        world.advance(1)
        assert [done.key_id for done in world.one().revoked] == [by_hand.id]

    def test_not_what_another_installation_made(self, world: World) -> None:
        theirs = world.server.account.create("Backend [2026-11-01T00:00:00Z abcdef-00000000]")
        world.memory.put(PATH, {"api_key": theirs.plaintext})
        world.keys = (managed(revoke_adopted=True),)
        world.one()
        world.advance(7)
        world.one()
        world.advance(2)
        result = world.one()
        assert "another installation made it" in result.warnings[0]
        assert theirs in world.live

    def test_not_what_a_person_made_while_some_secret_cannot_be_read(self, world: World) -> None:
        by_hand = world.server.account.create("by hand")
        world.keys = (managed(revoke_adopted=True), replace(managed(), name="Other", path="apimall/other"))
        for path in (PATH, "apimall/other"):
            world.memory.put(path, {"api_key": by_hand.plaintext})
        world.make_pass(only=frozenset({"Backend"}), forced=True)
        world.advance(2)

        class Broken(Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path != PATH and path.startswith("apimall"):
                    raise Rejected("403", status=403)
                return world.memory.read(path, version)

        world.make_pass(store=Broken(world.memory))
        world.make_pass()
        assert by_hand in world.live

    def test_a_key_that_another_secret_names_is_left_though_no_preview_tells(self, world: World) -> None:
        world.server.faults.add(
            Fault("GET /keys", data_with(key_preview="sk-..."), at=Phase.AFTER, times=ALWAYS)
        )
        world.one()
        world.memory.put("apimall/copy", world.secret())
        old = self._superseded(world)
        world.keys = (*world.keys, replace(managed(), name="Copy", path="apimall/copy"))
        result = world.make_pass(only=frozenset({"Backend"}))
        assert result.keys[0].revoked == ()
        assert any("Copy (apimall/copy) holds it" in warning for warning in result.keys[0].warnings)
        assert old in [key.id for key in world.live]

    def test_a_key_that_another_secret_holds_is_left(self, world: World) -> None:
        world.one()
        world.memory.put("apimall/copy", world.secret())
        world.keys = (*world.keys, replace(managed(), name="Copy", path="apimall/copy"))
        old = self._superseded(replace(world, keys=world.keys[:1]))
        world.memory.put("apimall/copy", {"api_key": world.server.account.keys[1].plaintext})
        result = world.make_pass()
        assert old == world.server.account.keys[1].id
        assert old in [key.id for key in world.live]
        assert any("Copy (apimall/copy) holds it" in warning for warning in result.keys[0].warnings)


def test_the_end_of_one_key_does_not_put_off_that_of_the_next(world: World) -> None:
    """What is revoked is fenced first: that write says again what an earlier one said of the other keys."""
    world.memory.clock = world.server.account.clock.now
    first, second = rotated(world)
    world.advance(minutes=60 * 12)
    world.make_pass(forced=True)
    world.advance(minutes=60 * 12 + 1)
    assert [gone.key_id for gone in world.one().revoked] == [first]
    world.advance(minutes=60 * 12)
    assert [gone.key_id for gone in world.one().revoked] == [second]
