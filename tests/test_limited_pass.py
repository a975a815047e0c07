"""A pass that a rate limit holds up: what comes first, what is not reached, and what is left behind."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator import wiring
from rotator.errors import RotatorError
from rotator.passes.account import Store
from rotator.passes.result import Outcome
from rotator.passes.stopping import NotReached, Stopping
from rotator.rules.claims import read_claims
from rotator.rules.model import Version
from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.sandbox.ledger import Quirks, RateLimit, RetryAfter
from tests.facts import managed
from tests.stores import StoreWrapper
from tests.world import CLAIMS, World


def limit(world: World, calls: int) -> None:
    """Let the gateway answer so many calls, and a pass wait for a moment."""
    world.server.account.quirks = Quirks(rate_limit=RateLimit(calls, timedelta(days=1), RetryAfter.SECONDS))
    world.timing = replace(world.timing, pass_deadline=timedelta(seconds=0.3))


def test_keys_that_programs_cannot_use_come_first_and_then_what_is_due_for_longest(world: World) -> None:
    world.concurrency = 1
    world.keys = tuple(replace(managed(), name=f"K{n}", path=f"apimall/{n}") for n in range(4))
    for key in ("K3", "K1", "K2", "K0"):
        world.make_pass(only=frozenset({key}))
        world.advance(0.1)
    world.advance(8)
    world.server.account.revoke(world.rotation("apimall/2")["key_id"])
    before = len(world.server.account.keys)
    world.make_pass()
    made = [key.title.split()[0] for key in world.server.account.keys[before:]]
    assert made == ["K2", "K3", "K1", "K0"]


def test_a_revocation_that_had_no_turn_is_not_reached(world: World) -> None:
    world.one()
    world.one(forced=True)
    world.advance(2)
    limit(world, 3)
    result = world.make_pass()
    assert world.server.requests[-1].method == "DELETE"
    assert [key.outcome for key in result.keys] == [Outcome.NOT_REACHED]
    assert (result.revoked, result.failed, result.converged) == (0, 0, False)


def test_a_limit_on_revocations_alone_holds_no_rotation_up(world: World) -> None:
    world.concurrency = 2
    world.keys = tuple(replace(managed(), name=f"K{n}", path=f"apimall/{n}") for n in range(6))
    world.make_pass()
    world.make_pass(forced=True)
    world.advance(2)
    world.timing = replace(world.timing, pass_deadline=timedelta(seconds=0.5))
    world.server.faults.add(Fault("DELETE /keys/*", Status(429), times=ALWAYS))
    result = world.make_pass(forced=True)
    assert [key.outcome for key in result.keys] == [Outcome.NOT_REACHED] * 6
    assert [key.rotation is not None for key in result.keys] == [True] * 6


class Queued(StoreWrapper):
    """Each call waits for its turn, as at a server with a limit."""

    def __init__(self, store: Store, stopping: Stopping) -> None:
        super().__init__(store)
        self._stopping = stopping

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        self._stopping.sleep(0)
        return super().read(path, version, once=once)

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        self._stopping.sleep(0)
        return super().write(path, data, cas=cas)


def test_a_claim_is_ended_though_the_pass_is_over_and_nobody_waits_for_it(world: World) -> None:
    limit(world, 1)
    result = world.make_pass(store=Queued(world.memory, world.stopping))
    assert [key.outcome for key in result.keys] == [Outcome.NOT_REACHED]
    [claim] = read_claims(world.memory.read(CLAIMS), CLAIMS).kept
    assert claim.ended
    world.server.account.quirks = Quirks()
    assert world.one().outcome is Outcome.DONE


def test_reading_leaves_time_to_act(world: World) -> None:
    """Each read takes a tenth of the time that a pass has."""
    world.make_pass()
    world.keys = tuple(replace(managed(), name=f"K{n}", path=f"apimall/{n}") for n in range(12))
    world.concurrency = 1
    now = [0.0]
    world.stopping = Stopping(lambda: now[0])
    tenth = world.timing.pass_deadline.total_seconds() / 10
    seen: set[str] = set()

    class Slow(StoreWrapper):
        def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
            if path not in seen and path.startswith("apimall/"):
                seen.add(path)
                now[0] += tenth
            return super().read(path, version, once=once)

    result = world.make_pass(store=Slow(world.memory))
    assert len(seen) == 5
    assert sorted(key.outcome for key in result.keys) == ["done"] * 5 + ["not reached"] * 7


def test_a_limit_holds_up_the_proof_of_a_new_key_and_does_not_fail_it(world: World) -> None:
    """For longer than `verify_deadline`: in this world no time at all."""
    world.timing = replace(world.timing, verify_deadline=timedelta())
    quirks = Quirks(rate_limit=RateLimit(2, timedelta(days=1), RetryAfter.DATE))
    world.server.account.quirks = quirks
    refused: list[int] = []

    def look(method: str, path: str, _phase: object) -> None:
        refused.append(1)
        if len(refused) > 8:  # list and POST, each before and after; then the probes
            world.server.account.quirks = Quirks()

    world.server.hook = look
    assert world.one().outcome is Outcome.DONE
    assert world.posts() == 1
    assert 429 in {line.status for line in world.server.requests}


def test_a_token_that_cannot_be_revoked_soon_is_left_to_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "FAREWELL", 0.0)
    stopping, ended = Stopping(), []

    class Vault:
        def close(self) -> None:
            with suppress(RotatorError):
                try:
                    stopping.sleep(3600)
                except NotReached:
                    ended.append(True)

    with wiring._closed_in_time(Vault(), stopping):  # type: ignore[arg-type]
        stopping.check()
    assert ended
