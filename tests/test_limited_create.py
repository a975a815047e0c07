"""Creates that are answered 429: some of them make a key all the same. In simulated time."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.clients.governor import Governor
from rotator.passes.create import MOST_LIMITED
from rotator.passes.result import Outcome
from rotator.passes.stopping import NotReached
from rotator.rules.claims import read_claims
from rotator.rules.holds import MAX_ORPHANS, MAX_UNSEEN, Hold
from rotator.sandbox.faults import ALWAYS, Delay, Fault, Phase, Status
from rotator.sandbox.ledger import Lag, Quirks
from tests.facts import managed
from tests.world import CLAIMS, GatedGateway, World

PASS = 3600.0
"""Seconds that a pass has."""


@dataclass
class Time:
    """A clock that only waits for turns move. Each pass that a wait would outlast ends there."""

    now: float = 0.0
    ends: float = PASS

    def sleep(self, seconds: float) -> None:
        if self.now + seconds > self.ends:
            raise NotReached
        self.now += seconds

    def client(self, *args: Any, **options: Any) -> GatedGateway:
        """A new pass's client of the gateway."""
        self.ends = self.now + PASS
        governor = Governor(8, self.sleep, clock=lambda: self.now)
        return GatedGateway(*args, **{**options, "governor": governor})


@pytest.fixture
def time(world: World) -> Time:
    time = Time()
    world.client = time.client
    return time


def executed(times: int | None = ALWAYS, status: int = 429) -> Fault:
    """Creates that make a key, and are answered that they were refused."""
    return Fault("POST /keys", Status(status), at=Phase.AFTER, times=times)


def refused(times: int | None = ALWAYS) -> Fault:
    return Fault("POST /keys", Status(429), times=times)


def lists(world: World) -> int:
    return sum(line.method == "GET" and line.path == "/keys" for line in world.server.requests)


@pytest.mark.usefixtures("time")
class TestExecuted:
    def test_for_ever_leaves_no_more_orphans_than_there_may_be(self, world: World) -> None:
        world.server.faults.add(executed())
        assert "3 new keys that may be of it" in str(world.one().errors[0])
        for _ in range(20):
            world.advance(minutes=3)
            world.make_pass()
            assert len(world.live) <= MAX_ORPHANS
        world.server.faults.clear()
        for _ in range(2):
            world.advance(minutes=15)
            world.make_pass()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    @pytest.mark.parametrize("times", range(1, MAX_ORPHANS))
    def test_for_a_while_fails_no_key(self, world: World, times: int) -> None:
        world.server.faults.add(executed(times))
        assert world.one().outcome is Outcome.DONE
        assert len(world.live) == times + 1
        world.advance(minutes=15)
        world.make_pass()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]
        assert world.works()

    def test_now_and_then_leaves_no_more_either(self, world: World) -> None:
        """Of each two, one was refused."""
        world.server.faults.add(executed())
        for _ in range(10):
            world.server.faults.add(refused(1), Fault("POST /keys", Delay(0)))
        world.make_pass()
        assert len(world.live) == MAX_ORPHANS

    @pytest.mark.parametrize("before", range(1, MAX_ORPHANS))
    def test_orphans_that_live_already_count(self, world: World, before: int) -> None:
        world.server.faults.add(executed(before, 500))
        world.server.faults.add(executed(1, 400))
        world.make_pass()
        world.server.faults.clear()
        world.advance(minutes=5)
        world.server.faults.add(executed())
        world.make_pass()
        assert len(world.live) == MAX_ORPHANS

    def test_beside_ambiguous_ones_leaves_no_more_either(self, world: World) -> None:
        world.server.faults.add(executed(1), executed(1, 500), executed())
        world.make_pass()
        assert len(world.live) == MAX_ORPHANS

    @pytest.mark.parametrize("status", [400, 429])
    def test_where_the_list_shows_other_titles(self, world: World, status: int) -> None:
        """Nothing tells then that the keys are ours."""
        world.server.account.quirks = Quirks(titles=lambda _: "Untitled")
        world.server.faults.add(executed(status=status))
        for _ in range(40):
            world.make_pass()
            world.advance(minutes=3)
        assert len(world.live) == MAX_UNSEEN
        plan = world.one().plan
        assert plan
        assert plan.hold is Hold.BACKING_OFF
        for _ in range(40):
            world.advance(1)
            world.make_pass()
        assert len(world.live) == 2 * MAX_UNSEEN

    def test_where_the_list_is_late(self, world: World) -> None:
        world.server.account.quirks = Quirks(list_lag=Lag(by=timedelta(minutes=10)))
        world.server.faults.add(executed())
        assert world.one().outcome is Outcome.NOT_REACHED
        assert len(world.live) == MOST_LIMITED
        world.advance(minutes=10)
        for _ in range(20):
            world.make_pass()
            world.advance(minutes=0.1)
        assert len(world.live) == MOST_LIMITED
        world.server.faults.clear()
        for _ in range(3):
            world.advance(minutes=15)
            world.make_pass()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]


class TestHonest:
    def test_for_ever_fails_no_key_and_asks_for_few_lists(self, world: World, time: Time) -> None:
        world.keys = tuple(replace(managed(), name=f"K{n}", path=f"apimall/{n}") for n in range(20))
        world.server.faults.add(refused())
        result = world.make_pass()
        assert {key.outcome for key in result.keys} == {Outcome.NOT_REACHED}
        assert result.failed == 0
        assert lists(world) <= 1 + world.posts() / MAX_ORPHANS
        world.server.faults.clear()
        world.make_pass()
        assert len(world.live) == len(world.keys)

    @pytest.mark.usefixtures("time")
    def test_for_a_while_makes_one_key(self, world: World) -> None:
        world.server.faults.add(refused(MOST_LIMITED - 1))
        assert world.one().outcome is Outcome.DONE
        assert len(world.live) == 1
        assert lists(world) == 1 + (MOST_LIMITED - 1) // MAX_ORPHANS

    @pytest.mark.usefixtures("time")
    def test_keys_that_a_person_has_are_none_of_ours(self, world: World) -> None:
        for number in range(5):
            world.server.account.create(f"By hand {number}")
        world.server.faults.add(refused(MAX_ORPHANS))
        assert world.one().outcome is Outcome.DONE

    @pytest.mark.usefixtures("time")
    def test_what_the_list_has_cleared_is_not_counted_in_later_passes(self, world: World) -> None:
        world.server.faults.add(refused(MAX_ORPHANS), Fault("POST /keys", Status(400)))
        world.make_pass()
        [claim] = read_claims(world.memory.read(CLAIMS), CLAIMS).kept
        assert claim.unknown == 1
