"""What is not seen is not forgotten, and what was asked for is not done before it is seen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rotator.sandbox.faults import Fault, Phase
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.listing import Lists
from rotator.sandbox.replies import Reply
from tests.facts import PATH, managed
from tests.witness import is_live, rotated, tell, traces
from tests.world import World

PAGE = 2


def paged(world: World, **lists: Any) -> None:
    world.server.account.quirks = Quirks(page_size=PAGE, lists_revoked=False, lists=Lists(**lists))


def meanwhile(world: World, on: str, happens: Callable[[], object]) -> None:
    """Let something happen when the next such request is done, and not yet answered."""

    def now(reply: Reply | None) -> Reply | None:
        happens()
        return reply

    world.server.faults.add(Fault(on, now, at=Phase.AFTER))


def between_pages(world: World, happens: Callable[[], object]) -> None:
    """Let something happen after the first page was read, and before the second."""
    meanwhile(world, "GET /keys", happens)


def named(world: World) -> set[int]:
    block = world.rotation()
    return {block["key_id"], *map(int, block["superseded"])}


def by_hand_and_superseded(world: World) -> int:
    """A hand-made key that was replaced, whose grace is over: only the block still says what it was.

    Another one goes in the next pass, which writes the block for that.
    """
    theirs = world.server.account.create("made by hand")
    world.memory.put(PATH, {"api_key": theirs.plaintext})
    world.make_pass()
    for _ in range(2):
        world.make_pass(forced=True)
    world.advance(1, minutes=1)
    return theirs.id


class TestAListThatShifts:
    def test_a_row_vanishes_while_pages_are_read(self, world: World) -> None:
        first = world.server.account.create("of somebody")
        theirs = by_hand_and_superseded(world)
        paged(world)
        between_pages(world, lambda: world.server.account.revoke(first.id))
        tell(world)
        assert theirs in named(world)
        assert tell(world).names(str(theirs))

    def test_a_row_vanishes_while_a_key_is_due(self, world: World) -> None:
        first = world.server.account.create("of somebody")
        theirs = by_hand_and_superseded(world)
        paged(world)
        world.advance(7)
        between_pages(world, lambda: world.server.account.revoke(first.id))
        tell(world)
        tell(world)
        assert theirs in named(world)

    def test_a_row_appears_while_pages_are_read(self, world: World) -> None:
        theirs = by_hand_and_superseded(world)
        paged(world)
        between_pages(world, lambda: world.server.account.create("of somebody"))
        assert tell(world).code == 0
        assert theirs in named(world)

    def test_ours_gets_no_second_grace(self, world: World) -> None:
        first = world.server.account.create("of somebody")
        old, _ = rotated(world)
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        paged(world)
        between_pages(world, lambda: world.server.account.revoke(first.id))
        for _ in range(3):
            tell(world)
        assert not is_live(world, old)


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "the page is not heeded": {"cursor": True},
    "the total is larger": {"more_in_total": 2},
    "there is always more": {"has_more": True},
    "no more, and a larger total": {"has_more": False, "more_in_total": 2},
    "another page than asked for": {"page_ahead": 1},
    "rows are left out, and the total tells": {"shift": 1, "more_in_total": 0},
    "pages shorter than their limit": {"cap": 1},
}


class TestAListThatContradictsItself:
    @pytest.mark.parametrize("lists", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
    def test_it_ends_the_pass_and_is_named(self, world: World, lists: dict[str, Any]) -> None:
        for _ in range(4):
            world.server.account.create("of somebody")
        theirs = by_hand_and_superseded(world)
        world.advance(7)
        before = traces(world)
        paged(world, **lists)
        told = tell(world)
        assert traces(world) == before
        assert theirs in named(world)
        assert told.code == 3
        assert told.names("GET /keys", "list")

    def test_one_page_with_a_larger_total(self, world: World) -> None:
        by_hand_and_superseded(world)
        world.advance(7)
        before = traces(world)
        world.server.account.quirks = Quirks(lists=Lists(more_in_total=1))
        told = tell(world)
        assert traces(world) == before
        assert told.code == 3

    @pytest.mark.parametrize(
        "lists", [{}, {"more_in_total": 0}, {"twice": frozenset({2})}], ids=["plain", "total", "a row twice"]
    )
    def test_one_that_agrees_is_believed(self, world: World, lists: dict[str, Any]) -> None:
        for _ in range(4):
            world.server.account.create("of somebody")
        old, current = rotated(world)
        world.advance(1, minutes=1)
        paged(world, **lists)
        assert tell(world).code == 0
        assert not is_live(world, old)
        assert is_live(world, current)


class TestADeleteInVain:
    def test_it_is_told_in_each_pass_and_writes_nothing_more(self, world: World) -> None:
        old, _ = rotated(world)
        world.advance(1, minutes=1)
        world.server.account.quirks = Quirks(revoke_lag=None)
        tell(world)
        world.advance(0, minutes=10)
        tell(world)
        versions = world.store.read(PATH).number
        for _ in range(4):
            world.advance(0, minutes=10)
            told = tell(world)
            assert told.code == 1
            assert told.names(str(old), "DELETE")
        assert world.store.read(PATH).number == versions
        assert old in named(world)

    def test_a_leak_is_not_contained_by_it(self, world: World) -> None:
        leaked = world.one().key_id
        world.server.account.quirks = Quirks(revoke_lag=None)
        told = tell(world, World.contain)
        assert is_live(world, leaked)
        assert told.code == 1
        assert told.names(str(leaked))

    def test_one_that_takes_its_time_ends_well(self, world: World) -> None:
        old, _ = rotated(world)
        world.advance(1, minutes=1)
        world.server.account.quirks = Quirks(revoke_lag=timedelta(minutes=5))
        tell(world)
        for _ in range(2):
            world.advance(0, minutes=10)
            told = tell(world)
        assert told.code == 0
        assert not is_live(world, old)

    def test_of_a_key_that_was_never_published(self, world: World) -> None:
        world.keys = (managed(),)
        world.make_pass()
        world.impatient()
        world.advance(7)
        world.server.account.quirks = Quirks(revoke_lag=None)
        secret = {**world.secret(), "note": "by hand"}
        meanwhile(world, "POST /keys", lambda: world.memory.put(PATH, secret))
        tell(world)
        orphan = world.live[-1]
        world.server.faults.clear()
        world.advance(0, minutes=20)
        for _ in range(2):
            world.advance(0, minutes=20)
            told = tell(world)
        assert is_live(world, orphan.id)
        assert told.code == 1
        assert told.names(str(orphan.id))
