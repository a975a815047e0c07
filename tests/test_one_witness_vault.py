"""Whose keys are they? A Vault that was copied, an identity that was lost, and keys that nobody here asked for."""

import json
from dataclasses import replace
from functools import partial

import pytest

from rotator.errors import RotatorError
from rotator.sandbox.faults import Fault, Phase, Status
from rotator.sandbox.ledger import AccountKey
from tests.facts import PATH, managed, new_nonce
from tests.interleave import interleave
from tests.memory_store import MemoryStore
from tests.stores import StaleAtFirst
from tests.witness import CLAIMS, a_copy_of, edit, is_live, rotated, tell, traces
from tests.world import STATE, Gate, World, new_server

CURES = ("rotator installation move", "rotator installation renew")
LOST = ("vault kv undelete", "rotator installation renew")
SAME_DIGEST = ("team-a/backend", "team-2611/backend")
"""Two paths that twelve bits do not tell apart."""


class TestACopy:
    """All that is in a Vault can be copied: a snapshot restored, a migration with both sides running."""

    def test_it_revokes_nothing_that_the_original_made_since(self, world: World) -> None:
        world.make_pass()
        copy = a_copy_of(world)
        world.advance(7)
        current = world.one().key_id
        world.advance(0, minutes=20)
        before = traces(copy)
        told = tell(copy)
        assert is_live(world, current)
        assert traces(copy) == before
        assert told.code == 3
        assert told.names(*CURES)

    @pytest.mark.parametrize(
        "does",
        [
            pytest.param(World.make_pass, id="pass"),
            pytest.param(partial(World.make_pass, forced=True), id="forced"),
            pytest.param(partial(World.make_pass, dry_run=True), id="dry run"),
            pytest.param(World.contain, id="leak"),
            pytest.param(World.roll_back, id="rollback"),
        ],
    )
    def test_it_does_nothing_whatever_it_is_asked(self, world: World, does: partial[object]) -> None:
        rotated(world)
        copy = a_copy_of(world)
        world.advance(0, minutes=20)
        before = traces(copy)
        told = tell(copy, does)
        assert traces(copy) == before
        assert told.code == 3
        assert told.names(*CURES)

    def test_both_sides_running_for_a_month(self, world: World) -> None:
        world.make_pass()
        copy = a_copy_of(world)
        made = []
        for _ in range(30):
            world.advance(1)
            assert tell(world).code == 0
            made.append(world.rotation()["key_id"])
            tell(copy)
            assert world.works()
        assert {key.id for key in world.live} <= set(made)

    def test_the_original_goes_on(self, world: World) -> None:
        world.make_pass()
        a_copy_of(world)
        for _ in range(3):
            world.advance(7)
            assert tell(world).code == 0
        assert world.works()

    def test_an_identity_of_before_it_was_bound_is_taken_over(self, world: World) -> None:
        """What version 0.1.0 wrote: the six digits and nothing else."""
        world.make_pass()
        identity = world.secret(STATE)["installation"]
        world.memory.versions[STATE] = [json.dumps({"installation": identity})]
        world.advance(7)
        assert tell(world).code == 0
        assert world.secret(STATE)["installation"] == identity
        world.advance(1, minutes=1)
        assert tell(world).code == 0
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]


class TestALostIdentity:
    """Its path has versions, and none of them has data: that is not the same as never written."""

    def test_nothing_is_done_without_it(self, world: World) -> None:
        rotated(world)
        world.memory.delete(STATE)  # to a reader, destroyed is the same
        world.advance(7)
        before = traces(world)
        told = tell(world)
        assert traces(world) == before
        assert told.code == 3
        assert told.names(*LOST)

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_stale_read_does_not_make_it_new(self, world: World, times: int) -> None:
        world.make_pass()
        world.memory.delete(STATE)
        with pytest.raises(RotatorError):
            world.make_pass(store=StaleAtFirst(world.memory, STATE, times=times))
        assert world.memory.read(STATE).data is None

    def test_nor_before_any_secret_was_written(self, world: World) -> None:
        world.memory.put(STATE, {"installation": "abcdef"})
        world.memory.delete(STATE)
        with pytest.raises(RotatorError, match="was deleted"):
            world.make_pass(store=StaleAtFirst(world.memory, STATE, times=1))
        assert world.memory.read(STATE).number == 1

    def test_a_dry_run_says_so_too(self, world: World) -> None:
        world.make_pass()
        world.memory.delete(STATE)
        told = tell(world, partial(World.make_pass, dry_run=True))
        assert told.code == 3
        assert told.names(*LOST)

    def test_once_undeleted_all_goes_on(self, world: World) -> None:
        rotated(world)
        kept = list(world.memory.versions[STATE])
        world.memory.delete(STATE)
        world.advance(7)
        tell(world)
        world.memory.versions[STATE] = kept
        world.advance(7)
        for _ in range(2):
            assert tell(world).code == 0
            world.advance(1, minutes=1)
        tell(world)
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    def test_the_first_one_is_made_without_a_person(self, world: World) -> None:
        assert tell(world).code == 0
        assert world.secret(STATE)["installation"]


class TestClaims:
    """The intent is in Vault before the key is at the gateway."""

    @pytest.mark.parametrize("reason", ["missing", "due", "forced"])
    def test_one_stands_before_the_create(self, world: World, reason: str) -> None:
        seen: list[object] = []

        def look(method: str, _path: str, phase: Phase) -> None:
            if method == "POST" and phase is Phase.BEFORE:
                seen.append(world.store.read(CLAIMS + PATH).data)

        if reason != "missing":
            world.make_pass()
        world.advance(7 if reason == "due" else 0)
        world.server.hook = look
        world.make_pass(forced=reason == "forced")
        (claim,) = seen
        assert claim is not None

    def test_a_key_with_our_title_that_nobody_claimed_is_reported_and_kept(self, world: World) -> None:
        made = world.one().key_id
        title = next(key.title for key in world.live if key.id == made)
        digit = "0" if title[-2] != "0" else "1"
        stranger = world.server.account.create(f"{title[:-2]}{digit}{title[-1]}")
        for _ in range(4):
            world.advance(7, minutes=20)
            told = tell(world)
            assert is_live(world, stranger.id)
            assert told.names(str(stranger.id))

    def _orphan(self, world: World) -> AccountKey:
        """What an ambiguous create left behind."""
        world.make_pass()
        world.server.faults.add(Fault("POST /keys", Status(400), at=Phase.AFTER))
        world.make_pass(forced=True)
        return world.live[-1]

    def test_an_orphan_whose_claim_is_lost_is_kept(self, world: World) -> None:
        orphan = self._orphan(world)
        world.memory.versions.pop(CLAIMS + PATH, None)
        world.advance(0, minutes=20)
        told = tell(world)
        assert is_live(world, orphan.id)
        assert told.names(str(orphan.id))

    def test_an_orphan_that_was_claimed_goes(self, world: World) -> None:
        orphan = self._orphan(world)
        world.advance(0, minutes=20)
        assert tell(world).code == 0
        assert not is_live(world, orphan.id)

    def test_a_rotation_is_one_version_of_the_secret(self, world: World) -> None:
        for number in (1, 2, 3):
            world.make_pass()
            assert world.store.read(PATH).number == number
            world.advance(7)

    @pytest.mark.parametrize(
        ("first", "forced"),
        [
            pytest.param(True, False, id="first"),
            pytest.param(False, True, id="forced"),
            pytest.param(False, False, id="due"),
        ],
    )
    def test_of_eight_at_once_one_makes_a_key(self, first: bool, forced: bool) -> None:
        with new_server() as gateway:
            world = World(gateway, MemoryStore())
            if not first:
                world.make_pass()
                world.advance(7)
            made = len(gateway.account.keys)

            def go(gate: Gate) -> None:
                world.make_pass(forced=forced, gate=gate)

            interleave([go] * 8, [turn for _ in range(30) for turn in range(8)])
            assert len(gateway.account.keys) == made + 1
            assert world.works()


class TestPathsOfOneDigest:
    @pytest.fixture
    def teams(self, world: World) -> list[World]:
        """Two configs over one Vault and one account, each with an entry of the same name."""
        return [replace(world, keys=(replace(managed(), path=path),), log=[]) for path in SAME_DIGEST]

    def test_neither_revokes_what_the_other_uses(self, teams: list[World]) -> None:
        for _ in range(3):
            for team in teams:
                tell(team)
                team.advance(0, minutes=20)
                assert all(other.works(other.keys[0].path) for other in teams if other.log)
            teams[0].advance(7)

    def test_each_revokes_its_own(self, teams: list[World]) -> None:
        for days in (0, 7, 1, 7, 1):
            teams[0].advance(days, minutes=20)
            for team in teams:
                tell(team)
        current = {team.rotation(team.keys[0].path)["key_id"] for team in teams}
        assert {key.id for key in teams[0].live} == current


class TestIdsInABlock:
    """Who may write a secret may write any id into its block."""

    @pytest.mark.parametrize("since", ["1970-01-01T00:00:00Z", "2026-10-01T00:00:00Z"])
    def test_a_key_that_never_stood_there_is_reported_and_kept(self, world: World, since: str) -> None:
        world.keys = (managed(revoke_adopted=True),)
        victim = world.server.account.create("of another team")
        world.make_pass()
        edit(world, superseded={str(victim.id): since})
        for _ in range(3):
            told = tell(world)
            assert is_live(world, victim.id)
            assert told.names(str(victim.id))
            world.advance(7, minutes=1)

    @pytest.mark.parametrize(
        "of_one_preview",
        [False, True],
    )
    def test_a_key_that_is_only_said_to_be_current_is_kept(self, world: World, of_one_preview: bool) -> None:
        world.keys = (managed(revoke_adopted=True),)
        world.make_pass()
        mine = next(key for key in world.server.account.keys if key.id == world.rotation()["key_id"])
        victim = world.server.account.create("of another team", like=mine if of_one_preview else None)
        edit(world, key_id=victim.id)
        for _ in range(4):
            world.advance(7, minutes=1)
            tell(world)
            assert is_live(world, victim.id)

    def test_a_title_alone_is_no_version_that_held_it(self, world: World) -> None:
        """A title as version 0.1.0 made it, in the right block, on a key that never stood in the secret."""
        world.make_pass()
        ours = world.secret("rotator/installation")["installation"]
        victim = world.server.account.create(f"Backend [2026-11-01T00:00:00Z {ours}-{new_nonce(PATH, 1, 0)}]")
        edit(world, superseded={str(victim.id): "2026-10-01T00:00:00Z"})
        for _ in range(3):
            told = tell(world)
            assert is_live(world, victim.id)
            world.advance(7, minutes=1)
        assert told.names(str(victim.id))

    def test_an_adopted_key_that_a_version_held_goes(self, world: World) -> None:
        world.keys = (managed(revoke_adopted=True),)
        by_hand = world.server.account.create("made by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        for days in (0, 7, 1, 1):
            world.advance(days, minutes=1)
            assert tell(world).code == 0
        assert not is_live(world, by_hand.id)
