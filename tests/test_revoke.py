"""Revoking: only against the secret as it is now, and until it is done."""

from dataclasses import replace

import pytest

from rotator.decide import Revocation, Victim
from rotator.errors import Rejected
from rotator.revoke import Moved, revoke
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status, data_with
from tests.facts import at, managed
from tests.stores import Moving
from tests.world import World


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

    def test_a_200_that_does_not_say_revoked_is_no_success(self, world: World) -> None:
        self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", data_with(status="active"), at=Phase.AFTER))
        assert "not said to be revoked" in str(world.one().errors[0])

    def test_not_while_the_key_that_replaced_it_is_refused(self, world: World) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("GET /account/balances", Status(401), times=ALWAYS))
        result = world.one()
        assert "the gateway refuses the key that replaced it" in str(result.errors[0])
        assert old in [key.id for key in world.live]

    def test_not_once_the_secret_has_moved(self, world: World) -> None:
        """Between our observation and our revoke a person rolls the secret back to the victim."""
        old = self._superseded(world)
        moved = Moving(world.memory, reads=1)
        result = world.one(store=moved)
        assert result.revoked == ()
        assert not result.failed
        assert old in [key.id for key in world.live]

    def test_not_the_key_that_the_secret_holds(self, world: World) -> None:
        """A decision that names the current key is wrong, whoever made it."""
        made = world.one()
        assert made.key_id
        again = world.one()
        assert again.facts
        wrong = Revocation(made.key_id, Victim.SUPERSEDED, at(0))
        with world.account() as account, pytest.raises(Rejected, match="is current"):
            revoke(account, again.facts, wrong, version=1)

    def test_not_the_bearer(self, world: World) -> None:
        old = self._superseded(world)
        observed = world.one(dry_run=True).facts
        assert observed
        world.bearer = world.server.account.ledger[1].plaintext
        revocation = Revocation(old, Victim.SUPERSEDED, at(0))
        with world.account() as account, pytest.raises(Rejected, match="is the bearer"):
            revoke(account, observed, revocation, version=2)

    def test_without_a_plaintext_only_orphans_go(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        world.one()
        world.advance(0, minutes=15)
        result = world.one()
        assert [done.victim for done in result.revoked] == ["orphan"] * 3
        assert world.live == []
        observed = result.facts
        assert observed
        revocation = Revocation(2, Victim.SUPERSEDED, at(0))
        with world.account() as account, pytest.raises(Moved):
            revoke(account, observed, revocation, version=0)

    def test_a_key_that_another_secret_holds_is_left(self, world: World) -> None:
        world.one()
        world.memory.put("apimall/copy", world.secret())
        world.keys = (*world.keys, replace(managed(), name="Copy", path="apimall/copy"))
        old = self._superseded(replace(world, keys=world.keys[:1]))
        world.memory.put("apimall/copy", {"api_key": world.server.account.ledger[1].plaintext})
        result = world.make_pass()
        assert old == world.server.account.ledger[1].id
        assert old in [key.id for key in world.live]
        assert any("in use by another managed key" in warning for warning in result.keys[0].warnings)
