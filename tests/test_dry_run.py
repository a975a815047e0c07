"""A dry run writes nothing, and foretells what the next pass does."""

import pytest

from rotator.errors import Rejected
from rotator.passes.result import Action, Outcome
from rotator.sandbox.faults import Fault, Phase, Status
from tests.facts import PATH
from tests.world import STATE, World


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
            before = ({**world.memory.versions}, world.server.account.keys)
            foretold = world.one(dry_run=True)
            assert ({**world.memory.versions}, world.server.account.keys) == before
            done = world.one()
            assert foretold.plan
            assert done.plan
            assert (foretold.plan.reason, foretold.action) == (
                done.plan.reason,
                done.action,
            )
            assert foretold.revoked == done.revoked
            assert foretold.outcome is Outcome.PLANNED

    def test_it_foretells_what_the_token_lacks(self, world: World) -> None:
        world.one()
        world.advance(7)
        world.memory.missing[PATH] = "update on secret/data/x"
        foretold, done = world.one(dry_run=True), world.one()
        for result in (foretold, done):
            assert result.failed
            assert str(result.errors[0]).startswith("the Vault token lacks update on secret/data/x")
            assert result.errors[0].cure == "grant it in the token's policy"
            assert (result.key_id, result.action) == (2, Action.ROTATE)

    def test_it_foretells_so_for_an_adoption_too(self, world: World) -> None:
        world.memory.put(PATH, {"api_key": world.server.account.create("by hand").plaintext})
        world.memory.missing[PATH] = "update on secret/data/x"
        assert world.one(dry_run=True).failed
        assert world.one().failed

    def test_it_foretells_that_making_more_is_not_the_cure(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=3))
        world.one()
        world.advance(0, minutes=5)
        foretold, done = world.one(dry_run=True), world.one()
        assert (foretold.outcome, done.outcome) == (Outcome.PLANNED, Outcome.DONE)
        for result in (foretold, done):
            (error,) = result.errors
            assert error.message.startswith("held: 3 orphans")

    def test_it_foretells_an_identity_that_cannot_be_made(self, world: World) -> None:
        world.memory.missing[STATE] = "create on secret/data/rotator/installation"
        with pytest.raises(Rejected, match="lacks create on secret/data/rotator/installation"):
            world.one(dry_run=True)
