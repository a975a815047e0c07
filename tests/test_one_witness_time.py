"""What time is it? Three clocks say so, and one that parts from the others ends no grace and dates nothing anew."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.rules.bookkeeping import Rotation
from rotator.rules.times import parse_time
from rotator.sandbox.dates import Dated
from rotator.sandbox.disguises import times
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.ledger import Quirks
from tests.facts import PATH, as_written, managed
from tests.witness import edit, is_live, rotated, tell, traces
from tests.world import World

TOLERANCE = timedelta(minutes=5)


def date(world: World, says: str, *, on: str = "GET /keys", times: int | None = 1) -> None:
    world.server.faults.add(Fault(on, Dated(says), at=Phase.AFTER, times=times))


def graces(world: World) -> dict[str, str]:
    return dict(world.rotation()["superseded"])


class TestTheGatewaysDate:
    @pytest.mark.parametrize(
        "says",
        [
            "+2d",
            "-2d",
            "jumping +2d",
            "-2h",
            "doubled +2d",
            "missing",
            "garbage",
        ],
    )
    def test_one_answer_that_parts_ends_no_grace_and_is_named(self, world: World, says: str) -> None:
        old, _ = rotated(world)
        world.advance(0, minutes=10)
        before = traces(world)
        date(world, says)
        told = tell(world)
        assert is_live(world, old)
        assert traces(world) == before
        assert told.code in (1, 3)
        assert told.names("clock") or told.names("Date")
        assert tell(world).code == 0
        assert traces(world) == before

    @pytest.mark.parametrize("says", ["+2d", "-2d"])
    def test_every_answer_parts(self, world: World, says: str) -> None:
        """The gateway's clock is wrong for days: nothing goes, and somebody is told in each pass."""
        old, _ = rotated(world)
        date(world, says, on="* *", times=ALWAYS)
        for _ in range(3):
            before = graces(world)
            told = tell(world)
            assert is_live(world, old)
            assert graces(world) == before
            assert told.code == 1
            assert told.names("clock")
            world.advance(1)
        world.server.faults.clear()
        world.advance(0, minutes=1)
        assert tell(world).code == 0
        assert not is_live(world, old)

    def test_a_cached_date(self, world: World) -> None:
        rotated(world)
        date(world, "cached", on="* *", times=ALWAYS)
        tell(world)
        world.advance(2)
        told = tell(world)
        assert told.code == 1
        assert told.names("clock")

    @pytest.mark.parametrize(
        "on",
        [
            "POST /keys",
            "GET /account/balances",
        ],
    )
    @pytest.mark.parametrize("says", ["+2d", "-2d"])
    def test_a_later_answer_of_the_pass_parts(self, world: World, on: str, says: str) -> None:
        """What is written is either right, or not written."""
        world.make_pass()
        world.advance(7)
        date(world, says, on=on)
        tell(world)
        rotated_at = world.server.account.clock.now()
        for at in [world.rotation()["rotated_at"], *graces(world).values()]:
            assert at is None or abs(parse_time(at) - rotated_at) <= TOLERANCE
        assert world.works()
        world.advance(0, minutes=10)
        assert tell(world).code == 0
        block, now = world.rotation(), world.server.account.clock.now()
        for at in [block["rotated_at"], *block["superseded"].values()]:
            assert rotated_at - TOLERANCE <= parse_time(at) <= now + TOLERANCE
        world.advance(0, minutes=10)
        tell(world)
        assert world.rotation() == block

    def test_a_few_minutes_are_nothing(self, world: World) -> None:
        rotated(world)
        world.advance(0.5)
        date(world, "+4m")
        assert tell(world).code == 0

    def test_a_month_without_a_pass_is_no_jump(self, world: World) -> None:
        old, _ = rotated(world)
        world.advance(30)
        assert tell(world).code == 0
        assert not is_live(world, old)


class TestTheLocalClock:
    @pytest.mark.parametrize("days", [2, -2])
    def test_one_that_parts_ends_no_grace_and_is_named(self, world: World, days: int) -> None:
        old, _ = rotated(world)
        world.advance(1, minutes=1)
        world.local_skew = timedelta(days=days)
        told = tell(world)
        assert is_live(world, old)
        assert told.code == 1
        assert told.names("clock")
        world.local_skew = timedelta()
        assert tell(world).code == 0
        assert not is_live(world, old)


class TestAnOddField:
    """It costs that field, not the block."""

    def _leaked(self, world: World) -> tuple[int, int]:
        """A leak whose DELETE failed: one key without grace; and one in its grace."""
        world.keys = (managed(grace=timedelta(days=7)),)
        leaked = world.one().key_id
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=ALWAYS))
        world.contain()
        in_grace = world.rotation()["key_id"]
        world.make_pass(forced=True)
        world.server.faults.clear()
        assert leaked
        assert is_live(world, leaked)
        assert graces(world)[str(leaked)].startswith("1970")
        return leaked, in_grace

    @pytest.mark.parametrize("says", ["-2h", "-2d"])
    def test_a_leaked_key_gets_no_grace_by_one_date(self, world: World, says: str) -> None:
        world.keys = (managed(grace=timedelta(days=7)),)
        leaked = world.one().key_id
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=4))
        world.contain()
        world.server.faults.clear()
        date(world, says)
        tell(world)
        assert not is_live(world, leaked) or graces(world)[str(leaked)].startswith("1970")
        world.advance(0, minutes=10)
        tell(world)
        assert not is_live(world, leaked)

    def test_an_edit_that_makes_sense_changes_no_date(self, world: World) -> None:
        leaked, in_grace = self._leaked(world)
        since = graces(world)[str(in_grace)]
        world.advance(0, minutes=10)
        edit(world, note="by hand")
        tell(world)
        tell(world)
        assert graces(world)[str(in_grace)] == since
        assert not is_live(world, leaked)
        assert is_live(world, in_grace)

    @pytest.mark.parametrize(
        "odd",
        [
            {"rotated_at": "soon"},
            {"rotated_at": "2027-11-01T00:00:00Z"},
            {"rotated_at": None},
            {"created_at": "0000-00-00"},
            {"created_at": 5},
            {"title": 7},
        ],
        ids=str,
    )
    def test_in_the_block(self, world: World, odd: dict[str, Any]) -> None:
        leaked, in_grace = self._leaked(world)
        since = graces(world)[str(in_grace)]
        world.advance(0, minutes=10)
        edit(world, **odd)
        told = tell(world)
        assert told.names(next(iter(odd)))
        assert graces(world)[str(in_grace)] == since
        tell(world)
        assert not is_live(world, leaked)
        assert is_live(world, in_grace)

    @pytest.mark.parametrize(
        "odd", [{"x": "2026-11-01T00:00:00Z"}, {"99": "soon"}, {"99": "2031-01-01T00:00:00Z"}], ids=str
    )
    def test_in_superseded(self, world: World, odd: dict[str, str]) -> None:
        leaked, in_grace = self._leaked(world)
        since = graces(world)[str(in_grace)]
        world.advance(0, minutes=10)
        edit(world, superseded={**graces(world), **odd})
        tell(world)
        tell(world)
        assert graces(world)[str(in_grace)] == since
        assert not is_live(world, leaked)
        assert is_live(world, in_grace)


_MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(8999, 12, 30), timezones=st.just(UTC))
_IDS = st.integers(1, 2**63 - 1) | st.integers(1, 3)


@settings(derandomize=True, deadline=None, database=None, phases=[Stage.generate], report_multiple_bugs=False)
@given(
    key_id=_IDS,
    title=st.text(max_size=300),
    created_at=_MOMENTS,
    rotated_at=_MOMENTS,
    superseded=st.dictionaries(_IDS, _MOMENTS, max_size=4),
)
def test_what_is_written_is_read_as_it_was_meant(
    key_id: int, title: str, created_at: datetime, rotated_at: datetime, superseded: dict[int, datetime]
) -> None:
    meant = Rotation(
        key_id,
        title,
        created_at.replace(microsecond=created_at.microsecond // 1000 * 1000),
        rotated_at.replace(microsecond=0),
        {id_: since.replace(microsecond=0) for id_, since in superseded.items() if id_ != key_id},
    )
    written = replace(meant, superseded=superseded).merged_into({}, 1)
    try:
        read = as_written(written)
    except ValueError as error:
        raise AssertionError(str(error)) from None
    assert read == meant


class TestCreatedAt:
    """When a key was made is said by the gateway alone, in whatever form."""

    @pytest.mark.parametrize(
        "said",
        [
            "local +5h45m",
            "local -8h",
            "year 1",
            "year 9999",
            "no milliseconds",
            "offset +14:00",
        ],
    )
    def test_a_short_grace_is_as_long_as_it_is(self, world: World, said: str) -> None:
        world.keys = (managed(grace=timedelta(hours=1)),)
        world.server.account.quirks = Quirks(times=times(said))
        old, current = rotated(world)
        versions = world.store.read(PATH).number
        for _ in range(7):
            world.advance(0, minutes=10)
            tell(world)
            assert is_live(world, current)
        assert not is_live(world, old)
        for _ in range(12):
            world.advance(0, minutes=10)
            told = tell(world)
        assert told.code == 0
        assert world.store.read(PATH).number <= versions + 3
        assert [key.id for key in world.live] == [current]
