"""A way to see whether a key works counts only where it tells a good bearer from a bad one."""

from datetime import timedelta
from http import HTTPStatus

import pytest

from rotator.passes.result import Outcome
from rotator.sandbox.faults import ALWAYS, Body, Fault, Phase, Status
from rotator.sandbox.ledger import Lag, Quirks
from rotator.sandbox.replies import Reply
from tests.facts import PATH
from tests.test_rollback import refusal
from tests.witness import is_live, rotated, tell
from tests.world import World

BALANCES = "GET /account/balances"
NEVER = Quirks(propagation=Lag(by=timedelta(days=999)))
"""A new key is refused for ever."""
TO_ALL = {
    "balances": Body(b'{"success": true, "data": {"credits": 1, "api_credits": 1}}'),
    "no data": Body(b'{"success": true}'),
    "203": Body(b'{"success": true, "data": {}}', status=203),
    "an error": Body(b'{"success": true, "data": null, "error": {"code": "unauthorized", "message": "x"}}'),
    "no JSON": Body(b"<html>sign in</html>"),
    "nothing": Body(b"", status=204),
}


def to_strangers(reply: Reply | None) -> Reply | None:
    """Answers whom it does not know with an empty list, in place of a 401."""
    refused = reply is not None and reply.status == HTTPStatus.UNAUTHORIZED
    return Body(b'{"success": true, "data": []}')(reply) if refused else reply


@pytest.mark.parametrize("answer", TO_ALL.values(), ids=TO_ALL)
class TestBalancesThatAnswerAnybody:
    def test_publish_no_dead_key(self, world: World, answer: Body) -> None:
        old = world.one().key_id
        world.impatient()
        world.server.account.quirks = NEVER
        world.server.faults.add(Fault(BALANCES, answer, times=ALWAYS))
        told = tell(world, lambda world: world.make_pass(forced=True))
        assert told.code == 1
        assert told.names("does not authenticate")
        world.advance(2)
        tell(world)
        assert world.rotation()["key_id"] == old
        assert is_live(world, old)
        assert world.works()

    def test_let_no_working_key_go(self, world: World, answer: Body) -> None:
        old, current = rotated(world)
        world.server.faults.add(Fault(BALANCES, answer, times=ALWAYS))
        world.server.account.quirks = Quirks(refused=frozenset({current}))
        world.advance(1, minutes=1)
        assert tell(world).code == 1
        assert is_live(world, old)

    def test_roll_back_to_no_dead_key(self, world: World, answer: Body) -> None:
        old, _ = rotated(world)
        world.server.faults.add(Fault(BALANCES, answer, times=ALWAYS))
        world.server.account.quirks = Quirks(refused=frozenset({old}))
        assert "no longer authenticates" in refusal(world)

    def test_keep_no_good_key_out(self, world: World, answer: Body) -> None:
        world.server.faults.add(Fault(BALANCES, answer, times=ALWAYS))
        assert world.one().outcome is Outcome.DONE
        assert world.works()


class TestBalancesThatRefuseEveryKey:
    def test_stop_no_rotation(self, world: World) -> None:
        world.server.faults.add(Fault(BALANCES, Status(401), times=ALWAYS))
        old, current = rotated(world)
        world.advance(1, minutes=1)
        assert tell(world).code == 0
        assert not is_live(world, old)
        assert is_live(world, current)

    def test_do_not_make_a_working_key_a_dead_one(self, world: World) -> None:
        """Its status is unknown, so it is asked for by every way."""
        current = world.one().key_id
        world.server.faults.add(Fault(BALANCES, Status(401), times=ALWAYS))
        world.server.account.quirks = Quirks(statuses={current or 0: "disabled"})
        world.advance(0, minutes=5)
        assert tell(world).code == 0
        assert world.rotation()["key_id"] == current

    def test_are_not_asked_again_and_again(self, world: World) -> None:
        world.server.faults.add(Fault(BALANCES, Status(401), times=ALWAYS))
        world.server.account.quirks = Quirks(propagation=Lag(requests=9))
        world.one()
        asked = [line for line in world.server.requests if line.path == "/account/balances"]
        assert len(asked) <= 3  # with the new key, with our own, and once more after a second question


def test_where_no_way_tells_nothing_is_published(world: World) -> None:
    world.impatient()
    world.server.account.quirks = NEVER
    world.server.faults.add(Fault(BALANCES, Status(404), times=ALWAYS))
    world.server.faults.add(Fault("GET /keys", to_strangers, at=Phase.AFTER, times=ALWAYS))
    told = tell(world)
    assert told.code == 1
    assert told.names(
        "the rotator cannot tell whether the key works", "GET /keys accepts a bearer that is not a key"
    )
    assert PATH not in world.memory.versions
