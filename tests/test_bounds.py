"""However a gateway calls what it makes, and whatever it answers: the number of keys is bounded."""

from collections.abc import Callable

import pytest

from rotator.rules.holds import MAX_UNSEEN
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status, data_with
from rotator.sandbox.ledger import Quirks
from tests.facts import PATH
from tests.witness import tell
from tests.world import World

Action = Callable[..., object]
ANSWERS: dict[str, tuple[str, Action]] = {
    "a title of its own": ("API key", data_with(title="API key")),
    "no title": ("", data_with(title="")),
    "an id that existed": ("untitled", data_with(id=1)),
    "an id that existed, and a title of its own": ("API key", data_with(id=1, title="API key")),
    "500": ("API key", Status(500)),
}
"""How the list calls every key, and what POST answers once it has made one."""


def calls_them_its_own(world: World, listed: str, answer: Action) -> None:
    world.server.account.quirks = Quirks(titles=lambda _: listed)
    world.server.faults.add(Fault("POST /keys", answer, at=Phase.AFTER, times=ALWAYS))  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [False, True], ids=["at first", "when due"])
@pytest.mark.parametrize(("listed", "answer"), ANSWERS.values(), ids=ANSWERS)
class TestAGatewayThatIgnoresTitles:
    def test_gets_no_more_than_a_few_keys(
        self, world: World, listed: str, answer: Action, before: bool
    ) -> None:
        if before:
            world.make_pass()
            world.advance(7)
        calls_them_its_own(world, listed, answer)
        for _ in range(12):
            told = tell(world)
            world.advance(0, minutes=10)
        assert len(world.live) <= MAX_UNSEEN + before
        assert told.names("backing_off", "revoke by hand those that nobody made")

    def test_nor_in_months(self, world: World, listed: str, answer: Action, before: bool) -> None:
        if before:
            world.make_pass()
        calls_them_its_own(world, listed, answer)
        for _ in range(60):
            world.advance(1.5)
            world.make_pass(forced=True)
        assert len(world.live) <= 2 * MAX_UNSEEN + before


def test_an_outage_in_an_account_where_others_make_keys_ends_by_itself(world: World) -> None:
    """Creates that made nothing, and keys of somebody's that have nothing to do with them."""
    world.make_pass()
    world.advance(7)
    world.server.faults.add(Fault("POST /keys", Status(500), times=ALWAYS))
    for _ in range(4):
        for n in range(5):
            world.server.account.create(f"customer {n}")
        world.make_pass()
        world.advance(0, minutes=10)
    world.server.faults.clear()
    before = world.store.read(PATH).number
    world.advance(1)
    assert tell(world).code == 0
    assert world.store.read(PATH).number == before + 1
    assert world.works()
