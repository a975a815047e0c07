"""Programs are refused: which older key is still there, what is said of it, and that it is true."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.passes.result import KeyResult, Outcome, PassResult
from rotator.rules.decide import Note, decide
from rotator.rules.explain import explain
from rotator.rules.history import Trace
from rotator.rules.revocations import Kept
from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.show.key_status import KeyStatus, key_status, key_statuses
from rotator.show.severity import KeyState, Severity
from rotator.show.snapshot import Snapshot
from tests.facts import PATH, at, block, facts, key, managed, secret
from tests.shown import passed
from tests.test_explain import shown
from tests.test_rollback import refusal
from tests.world import World

SUPPORT = Fault("POST /keys", Status(503), times=ALWAYS)


@pytest.fixture
def dead(world: World) -> World:
    """Key 2 was replaced by key 3, which somebody revoked; and the gateway makes no key."""
    world.one()
    world.advance(7)
    world.one()
    world.server.account.revoke(3)
    world.server.faults.add(SUPPORT)
    world.impatient()
    return world


def stands(world: World, result: PassResult) -> KeyStatus:
    now = world.server.account.clock.now()
    (found,) = key_statuses(Snapshot(now, now, True, None, (passed(result, result.now),), None))
    return found


class TestWithinItsGrace:
    def test_what_is_said_is_done_and_programs_work(self, dead: World) -> None:
        found = stands(dead, dead.make_pass())
        assert found.remedy
        assert found.remedy.text.startswith("Key 2 still works, at least until 2026-")
        assert found.remedy.command == "rotator rollback Backend"
        assert dead.roll_back().current == 2
        assert dead.works()

    def test_explain_ends_with_it_and_a_name_with_a_space_is_quoted_for_a_shell(self) -> None:
        observed = facts(
            [key(1), key(2, status="revoked")],
            secret(block(2, rotated=at(3), superseded={1: at(3)})),
            now=at(3.5),
            managed_key=replace(managed(), name="Production backend"),
            refused=True,
        )
        lines = shown(explain(observed)).splitlines()
        assert "  rotator rollback 'Production backend'" in lines


class TestAfterItsGrace:
    def test_it_is_kept_and_nothing_is_tried_late_or_wrong(self, dead: World) -> None:
        dead.advance(2)
        result = dead.make_pass()
        (one,) = result.keys
        assert [other.kept for other in one.left] == [Kept.WITHOUT_SUCCESSOR]
        assert not any("not revoked" in error.message for error in one.errors)
        found = stands(dead, result)
        assert (found.state, found.severity, found.overdue) == (KeyState.REVOKED, Severity.REFUSED, 0)
        (other,) = found.superseded
        assert other.fate(result.now) == "still works, and is kept because key 3 does not"
        assert found.remedy
        assert found.remedy.text.startswith("Key 2 still works, and is kept because key 3 does not.")

    def test_it_can_be_put_back(self, dead: World) -> None:
        dead.advance(2)
        dead.make_pass()
        assert dead.roll_back().current == 2
        assert dead.works()
        dead.server.faults.clear()
        assert dead.one().revoked == ()
        assert dead.works()

    def test_once_a_new_key_works_it_goes(self, dead: World) -> None:
        dead.advance(2)
        dead.make_pass()
        dead.server.faults.clear()
        dead.advance(1)
        made = dead.make_pass()
        found = stands(dead, made)
        assert found.remedy is None
        assert [(other.overdue, other.fate(made.now)) for other in found.superseded] == [
            (False, "goes with the next pass")
        ]
        assert [done.key_id for done in dead.one().revoked] == [2]

    def test_one_whose_revocation_has_begun_is_never_put_back(self, world: World) -> None:
        """Its fence was written and its DELETE failed; then its successor died. It may still be on its way."""
        world.one()
        world.advance(7)
        world.one()
        world.advance(2)
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=ALWAYS))
        assert world.one().failed
        world.server.account.revoke(3)
        world.server.faults.add(SUPPORT)
        world.impatient()
        found = stands(world, world.make_pass())
        assert found.remedy
        assert found.remedy.command is None
        assert found.remedy.text == "No older key can be put back: its revocation has begun."
        assert "is over" in refusal(world)


class TestNoneIsAlive:
    def test_a_key_made_by_hand_is_adopted(self, dead: World) -> None:
        dead.server.account.revoke(2)
        found = stands(dead, dead.make_pass())
        assert found.remedy
        assert found.remedy.text == "No older key is alive."
        assert found.remedy.by_hand.endswith("put its plaintext at the path, and the next pass adopts it.")
        assert "make one there by hand and put its plaintext at the path" in refusal(dead)
        by_hand = dead.server.account.create("by hand")
        dead.memory.put(PATH, {**dead.secret(), "api_key": by_hand.plaintext})
        result = dead.one()
        assert (result.plan and result.plan.note, result.key_id, result.failed) == (
            Note.ADOPT,
            by_hand.id,
            False,
        )
        assert dead.works()


def test_an_older_key_of_what_is_missing_is_named_but_no_command_that_is_refused() -> None:
    """A rollback needs to know which key it replaces."""
    observed = facts([key(1)], None, version=3, now=at(3), traces={1: Trace.PUBLISHED})
    found = key_status(KeyResult.of(observed.key, Outcome.PLANNED, decide(observed)), at(3))
    assert found.remedy
    assert (found.remedy.command, found.remedy.text.split(".")[0]) == (None, "Still alive: key 1")


def test_nothing_is_said_where_the_current_key_works() -> None:
    observed = facts(
        [key(1), key(2)],
        secret(block(2, rotated=at(3), superseded={1: at(3)})),
        now=at(3) + timedelta(hours=1),
    )
    assert (
        key_status(KeyResult.of(observed.key, Outcome.PLANNED, decide(observed)), observed.now).remedy is None
    )
