"""What a person reads after a pass, at the width of a terminal and in a pipe."""

import random
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from rotator.commands.run import what_it_waits_for
from rotator.passes.account import Store
from rotator.passes.result import Outcome
from rotator.passes.stopping import NotReached
from rotator.rules.model import Version
from rotator.sandbox.faults import ALWAYS, Delay, Fault, Phase, Status
from rotator.sandbox.ledger import Quirks, RateLimit, RetryAfter
from rotator.show.pass_table import render
from tests.facts import PATH, managed
from tests.stores import StoreWrapper
from tests.world import World


class Limited(StoreWrapper):
    """Lets so many secrets be read; the others have no turn before the pass is over."""

    def __init__(self, inner: Store, reads: int) -> None:
        super().__init__(inner)
        self._reads, self._seen = reads, set[str]()

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path.startswith("apimall/") and path not in self._seen:
            if len(self._seen) == self._reads:
                raise NotReached
            self._seen.add(path)
        return super().read(path, version, once=once)


def _shown(world: World, width: int = 120, **options: object) -> list[str]:
    console = Console(width=width, highlight=False, markup=False)
    return render(world.make_pass(**options), console).splitlines()


def test_a_first_pass_and_an_idle_one(world: World) -> None:
    assert _shown(world) == [
        "managed key  state             key id  age  next rotation  other keys",
        "Backend      rotated: missing       2   0s          in 7d  -",
        "1 managed: 1 rotated, 0 revoked, 0 failed",
    ]
    world.advance(1)
    assert _shown(world)[1] == "Backend      ok          2   1d          in 6d  -"


def test_other_keys_and_when_they_go(world: World) -> None:
    world.one()
    world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
    assert "2 goes in 1d" in _shown(world, forced=True)[1]
    assert re.search("orphan 3 goes in 1[45]m; 2 goes in 1d", _shown(world)[1])
    world.advance(1)
    assert "would revoke 2; would revoke 3" in _shown(world, dry_run=True)[1]
    assert "revoked 2; revoked 3" in _shown(world)[1]


def test_an_adopted_key_stays(world: World) -> None:
    by_hand = world.server.account.create("by hand")
    world.memory.put(PATH, {"api_key": by_hand.plaintext})
    world.one()
    assert f"{by_hand.id} stays" in _shown(world, forced=True)[1]
    result = world.make_pass()
    (stays,) = result.to_json()["keys"][0]["superseded"]
    assert (stays["key_id"], stays["revoke_at"], bool(stays["stays"])) == (by_hand.id, None, True)


def test_many_other_keys_are_counted(world: World) -> None:
    for _ in range(6):
        world.one(forced=True)
    assert _shown(world)[1].endswith("2 goes in 1d; 3 goes in 1d; 4 goes in 1d; +2 more")


def test_no_other_key_is_broken_over_two_lines(world: World) -> None:
    for _ in range(4):
        world.one(forced=True)
    lines = _shown(world, width=80)
    assert max(map(len, lines)) <= 80
    assert sum("goes in 1d" in line for line in lines) >= 2
    assert not any(line.endswith(("goes", "in")) for line in lines)


def test_a_failure_names_the_request_and_the_cure(world: World) -> None:
    world.server.faults.add(Fault("POST /keys", Status(400)))
    lines = _shown(world)
    refused = next(line for line in world.server.requests if line.status == 400)
    assert lines[1].startswith("Backend      failed: missing")
    assert lines[2].endswith(f"400 (invalid_request: Invalid request) (request_id {refused.request_id})")
    assert lines[3] == "  cure: ask the gateway's support, and name the request_id"


def test_a_failed_revoke_shows_in_the_row(world: World) -> None:
    world.one()
    world.one(forced=True)
    world.advance(1)
    world.server.faults.add(Fault("DELETE /keys/*", Status(404)))
    lines = _shown(world)
    assert "ok, revocation failed" in lines[1]
    assert "and the list shows the key as live" in lines[2]


def test_what_is_held_back_says_why(world: World) -> None:
    for _ in range(13):
        world.one(forced=True)
    lines = _shown(world, forced=True)
    assert "held: backing_off" in lines[1]
    assert "0 orphans of 3, 12 superseded of 12: making more keys does not help" in lines[2]
    assert "cure: they are revoked in time" in lines[3]


def test_what_the_list_omits_is_held_back_and_says_why(world: World) -> None:
    made = world.one().key_id
    assert made
    world.advance(8)
    world.server.account.quirks = replace(world.server.account.quirks, omitted=frozenset({made}))
    assert any(f"the list omits key {made}, though it works" in line for line in _shown(world))


def test_unmanaged_keys_of_our_kind_are_named(world: World) -> None:
    world.server.account.create("Backend [2026-11-01T00:00:00Z abcdef-00000000]")
    assert (
        "! key 2 “Backend [2026-11-01T00:00:00Z abcdef-00000000]” is unmanaged: another" in _shown(world)[2]
    )


def test_the_worst_comes_first_and_says_when_it_is_tried_again(world: World) -> None:
    world.keys = tuple(replace(managed(), name=name, path=f"apimall/{name.lower()}") for name in "ABC")
    world.make_pass()
    world.advance(0, minutes=3)
    last = next(key.id for key in world.live if key.title.startswith("C "))
    world.server.account.revoke(last)
    world.server.faults.add(Fault("POST /keys", Status(400)))
    lines = _shown(world)
    assert [line.split()[0] for line in lines[1:4]] == ["C", "A", "B"]
    assert "failed: revoked" in lines[1]
    assert "next pass" in lines[1]


def test_what_waits_for_a_person_is_held_in_the_row_and_in_the_sum(world: World) -> None:
    made = world.one().key_id
    assert made
    world.advance(8)
    world.server.account.quirks = replace(world.server.account.quirks, omitted=frozenset({made}))
    lines = _shown(world)
    assert "held: backing_off" in lines[1]
    assert lines[-1] == "1 managed: 0 rotated, 0 revoked, 0 failed, 1 held"
    assert not world.log[-1].converged


def test_a_refused_account_is_said_once(world: World) -> None:
    world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(2))
    world.server.faults.add(Fault("GET /keys", Delay(0)), Fault("* *", Status(403), times=ALWAYS))
    lines = _shown(world)
    assert any(line.startswith("✗ the account: GET /keys: 403") for line in lines)
    assert "  cure: ask the gateway's support to approve API access, and name the request_id" in lines


@pytest.mark.parametrize(
    ("limits", "done", "words"),
    [
        ({}, 30, "keys"),
        ({"gateway": 19.6}, 30, "keys, gateway 20 calls/s, 3m left"),
        ({"vault": 0.5}, 0, "keys, Vault 30 calls/min"),
    ],
)
def test_a_line_says_what_a_long_pass_waits_for(limits: dict[str, float], done: int, words: str) -> None:
    assert what_it_waits_for(limits, 60.0, done, 120) == words


def test_what_is_not_reached_goes_first_in_the_next_pass(world: World) -> None:
    world.keys = tuple(replace(managed(), name=f"K{n}", path=f"apimall/{n}") for n in range(3))
    world.concurrency = 1
    world.timing = replace(world.timing, pass_deadline=timedelta(seconds=0.3))
    world.server.account.quirks = Quirks(rate_limit=RateLimit(4, timedelta(days=1), RetryAfter.SECONDS))
    result = world.make_pass()
    assert [key.outcome for key in result.keys] == ["done", "not reached", "not reached"]
    assert (result.failed, result.not_reached, result.converged) == (0, 2, False)
    console = Console(width=120, highlight=False, markup=False)
    lines = render(result, console).splitlines()
    assert "not reached: missing" in lines[2]
    assert lines[-1] == (
        "3 managed: 1 rotated, 0 revoked, 0 failed; 2 not reached within pass_deadline, and first in the next pass"
    )
    world.server.account.quirks = Quirks()
    world.timing = replace(world.timing, pass_deadline=timedelta(minutes=30))
    assert world.make_pass().converged


def test_what_was_revoked_did_not_fail_for_want_of_a_list_that_says_so(world: World) -> None:
    world.one()
    world.one(forced=True)
    world.advance(2)
    world.timing = replace(world.timing, pass_deadline=timedelta(seconds=0.3))
    world.server.account.quirks = Quirks(rate_limit=RateLimit(4, timedelta(days=1), RetryAfter.SECONDS))
    result = world.make_pass()
    assert [(line.method, line.status) for line in world.server.requests[-2:]] == [
        ("DELETE", 200),
        ("GET", 429),
    ]
    assert (result.revoked, result.failed, result.converged) == (1, 0, True)


def test_what_could_be_read_is_acted_on(world: World) -> None:
    """A limit of Vault's lets few secrets be read: they are rotated, and they are not the same in each pass."""
    random.seed(1)
    world.make_pass()
    world.keys = tuple(replace(managed(), name=f"K{n}", path=f"apimall/{n}") for n in range(12))
    world.concurrency = 1
    rotated: set[str] = set()
    for _ in range(4):
        result = world.make_pass(store=Limited(world.memory, reads=4))
        assert {key.outcome for key in result.keys} == {Outcome.DONE, Outcome.NOT_REACHED}
        assert (result.failed, result.converged) == (0, False)
        rotated |= {key.key.name for key in result.keys if key.rotation}
    assert len(rotated) >= 6


def test_a_stopped_pass_says_so(world: World) -> None:
    world.server.hook = lambda _method, _path, phase: (
        world.stopping.request() if phase is Phase.AFTER else None
    )
    assert _shown(world)[-1].endswith("; stopped before all was done, and the next pass does the rest")


def test_of_many_those_that_are_well_are_only_counted(world: World) -> None:
    world.keys = tuple(replace(managed(), name=f"K{n:03}", path=f"apimall/{n}") for n in range(60))
    assert len(_shown(world)) == 62
    assert _shown(world) == [
        "60 are ok, and there is nothing to do",
        "60 managed: 0 rotated, 0 revoked, 0 failed",
    ]
    world.server.account.revoke(world.rotation("apimall/0")["key_id"])
    lines = _shown(world, dry_run=True)
    assert [line.split()[0] for line in lines[:2]] == ["managed", "K000"]
    assert lines[2] == "59 more are ok, and there is nothing to do"
