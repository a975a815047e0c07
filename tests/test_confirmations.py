"""Consumers confirm the key that they have taken up: no old key goes before, and none stays beyond the limit."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.commands.leak import exposed_in
from rotator.errors import BrokenContract, Conflict, Rejected, Transient
from rotator.passes.confirm import confirm as write_ack
from rotator.passes.observe import observe
from rotator.rules.model import Version
from rotator.rules.revocations import Kept
from rotator.service.metrics import Metrics
from rotator.show.console import console_for_stdout
from rotator.show.exposed import Exposed
from rotator.show.incident import foretell
from rotator.show.key_status import KeyStatus, key_status
from rotator.show.severity import KeyState, Severity
from tests import facts as some
from tests.facts import PATH, at, managed
from tests.memory_store import MemoryStore
from tests.shown import passed, snapshot
from tests.stores import Unreadable
from tests.witness import is_live, rotated
from tests.world import World

ACKS = f"rotator/acks/{PATH}"
LIMIT = timedelta(days=3)


@pytest.fixture
def world(world: World) -> World:
    """Grace of a day, and at most three while `web` or `batch` has not confirmed."""
    key = replace(managed(), consumers=("web", "batch"), grace_limit=LIMIT)
    return replace(world, keys=(key,))


def confirm(world: World, consumer: str, key_id: object, **more: Any) -> None:
    world.memory.put(f"{ACKS}/{consumer}", {"key_id": key_id, **more})


def confirm_all(world: World, key_id: object) -> None:
    for consumer in ("web", "batch"):
        confirm(world, consumer, key_id)


def fate(world: World, id_: int) -> tuple[Kept | None, tuple[str, ...]]:
    """Make a pass; return what keeps a key, and who has not confirmed."""
    [key] = world.make_pass().keys
    assert not key.failed
    return next((other.kept, other.unconfirmed) for other in key.others if other.key_id == id_)


class TestTheOldKey:
    def test_goes_when_its_grace_is_over_and_all_have_confirmed(self, world: World) -> None:
        old, new = rotated(world)
        confirm_all(world, new)
        world.advance(minutes=23 * 60)
        assert fate(world, old) == (Kept.IN_GRACE, ())
        world.advance(minutes=61)
        assert fate(world, old) == (None, ())
        assert not is_live(world, old)

    def test_lives_on_while_one_has_not_confirmed(self, world: World) -> None:
        old, new = rotated(world)
        confirm(world, "web", new)
        world.advance(1, minutes=1)
        assert fate(world, old) == (Kept.UNCONFIRMED, ("batch",))
        world.advance(1)
        assert is_live(world, old)
        confirm(world, "batch", new)
        assert fate(world, old) == (None, ())
        assert not is_live(world, old)

    def test_goes_at_its_limit_whoever_has_not_confirmed(self, world: World) -> None:
        old, _ = rotated(world)
        world.advance(3, minutes=-1)
        assert fate(world, old) == (Kept.UNCONFIRMED, ("web", "batch"))
        world.advance(minutes=2)
        assert fate(world, old) == (None, ("web", "batch"))
        assert not is_live(world, old)

    def test_of_a_leak_waits_for_nobody(self, world: World) -> None:
        old, new = rotated(world)
        world.contain()
        assert not is_live(world, old)
        assert not is_live(world, new)

    def test_that_two_rotations_replaced_waits_only_for_who_may_use_it(self, world: World) -> None:
        """Who confirmed the second key does not use the first any more, though the third is there."""
        first, second = rotated(world)
        confirm_all(world, second)
        world.advance(minutes=60)
        world.make_pass(forced=True)
        world.advance(1, minutes=-30)
        assert fate(world, first) == (None, ())
        world.advance(minutes=40)
        assert fate(world, second) == (Kept.UNCONFIRMED, ("web", "batch"))

    def test_of_a_rollback_is_the_newer_one(self, world: World) -> None:
        old, new = rotated(world)
        confirm_all(world, new)
        world.advance(minutes=60)
        world.roll_back()
        world.advance(1, minutes=1)
        assert fate(world, new) == (Kept.UNCONFIRMED, ("web", "batch"))
        confirm_all(world, old)
        assert fate(world, new) == (None, ())
        assert not is_live(world, new)

    def test_of_a_restored_version_waits_anew(self, world: World) -> None:
        old, new = rotated(world)
        confirm_all(world, new)
        world.memory.put(
            PATH, json.loads(world.memory.versions[PATH][0] or "")
        )  # a person's `vault kv rollback`
        world.advance(minutes=10)
        world.make_pass()
        world.advance(1, minutes=1)
        assert fate(world, new) == (Kept.UNCONFIRMED, ("web", "batch"))
        assert is_live(world, old)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"key_id": None},
        {"key_id": True},
        {"key_id": 1.0},
        {"key_id": -1},
        {"key_id": 0},
        {"key_id": 2**63},
        {"key_id": "9" * 5000},
        {"key_id": "{new padded}"},
        {"key_id": "²"},
        {"key_id": "two"},
        {"key_id": ["{new}"]},
        {"id": "{new}"},
        {"key_id": "{old}"},
        {"key_id": 10**9},
    ],
    ids=str,
)
def test_what_is_no_confirmation_of_the_new_key_keeps_the_old_one(
    world: World, said: Mapping[str, Any]
) -> None:
    old, new = rotated(world)
    confirm(world, "web", new)
    world.memory.put(
        f"{ACKS}/batch",
        json.loads(
            json.dumps(said)
            .replace('"{new}"', str(new))
            .replace("{old}", str(old))
            .replace("{new padded}", f"{new:020d}0")
        ),
    )
    world.advance(1, minutes=1)
    assert fate(world, old) == (Kept.UNCONFIRMED, ("batch",))
    world.advance(2)
    assert fate(world, old)[0] is None


def test_vaults_own_client_writes_numbers_as_strings(world: World) -> None:
    old, new = rotated(world)
    confirm_all(world, str(new))
    world.advance(1, minutes=1)
    assert fate(world, old) == (None, ())


@pytest.mark.parametrize(
    "error",
    [
        Rejected("GET: 403", status=403),
        Transient("GET: 500", ambiguous=False),
        BrokenContract("GET: an answer of over 1 bytes"),
    ],
    ids=str,
)
def test_what_cannot_be_read_keeps_the_old_key_and_fails_nothing(world: World, error: Exception) -> None:
    old, new = rotated(world)
    confirm_all(world, new)
    store = Unreadable(world.memory, error)
    world.advance(1, minutes=1)
    [key] = world.make_pass(store=store).keys
    assert not key.failed
    [other] = key.others
    assert other.kept is Kept.UNCONFIRMED
    assert "GET: " in other.text
    world.advance(2)
    world.make_pass(store=store)
    assert not is_live(world, old)


class TakesBack(MemoryStore):
    """A consumer that changes what it has confirmed while a pass acts."""

    says: object = None
    looks: int = 0

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == f"{ACKS}/web":
            self.looks += 1
            if self.looks == 2:
                self.put(path, {"key_id": self.says})
        return super().read(path, version, once=once)


def test_what_a_consumer_says_right_before_a_revocation_counts(world: World) -> None:
    old, new = rotated(world)
    confirm_all(world, new)
    fickle = TakesBack(world.memory.versions, origin=world.memory.origin)
    fickle.says = old
    world.advance(1, minutes=1)
    [key] = world.make_pass(store=fickle).keys
    assert not key.failed
    assert not key.revoked
    assert is_live(world, old)
    fickle.put(f"{ACKS}/web", {"key_id": new})
    world.make_pass(store=fickle)
    assert not is_live(world, old)


@pytest.mark.parametrize("which", ["until now", "made by this pass"])
def test_in_a_pass_that_rotates_both_the_new_key_and_the_one_before_it_confirm(
    world: World, which: str
) -> None:
    """Where the grace is as long as the period, each old key goes in the pass that makes another one."""
    old, new = rotated(world)
    confirm_all(world, new)
    fast = TakesBack(world.memory.versions, origin=world.memory.origin)
    fast.says = new if which == "until now" else new + 1
    world.advance(1, minutes=1)
    [key] = world.make_pass(forced=True, store=fast).keys
    assert key.rotation
    assert key.rotation.key_id == new + 1
    assert [gone.key_id for gone in key.revoked] == [old]


class TestWhatWasSaidBeforeARollback:
    """A consumer that took the old key up again, and has not said so, may use it when it is replaced again."""

    @pytest.fixture
    def keys(self, world: World) -> tuple[int, int]:
        world.memory.clock = world.server.account.clock.now
        old, new = rotated(world)
        world.advance(minutes=10)
        confirm_all(world, new)
        for name in (old, new):
            world.advance(minutes=10)
            world.roll_back()
            assert world.rotation()["key_id"] == name
        return old, new

    def test_does_not_count(self, world: World, keys: tuple[int, int]) -> None:
        old, new = keys
        world.advance(1, minutes=1)
        assert fate(world, old) == (Kept.UNCONFIRMED, ("web", "batch"))
        assert (
            f"web last confirmed key {new}, before this one was replaced" in world.log[-1].keys[0].warnings[0]
        )
        world.advance(2)
        assert fate(world, old)[0] is None

    def test_nor_what_was_said_in_the_very_moment(self, world: World, keys: tuple[int, int]) -> None:
        old, new = keys
        confirm_all(world, new)
        world.advance(1, minutes=1)
        assert fate(world, old)[0] is Kept.UNCONFIRMED

    def test_counts_once_it_is_said_again(self, world: World, keys: tuple[int, int]) -> None:
        old, new = keys
        world.advance(minutes=1)
        for consumer in world.keys[0].consumers:
            write_ack(world.store, world.keys[0], consumer, f"{ACKS}/{consumer}", new)
        world.advance(1, minutes=1)
        assert fate(world, old) == (None, ())


class Raced(MemoryStore):
    """Another instance of the consumer writes first, each time."""

    says: int = 0

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        self.put(path, {"key_id": self.says})
        return super().write(path, data, cas=cas)


def test_two_instances_that_say_the_same_at_once_have_both_confirmed() -> None:
    store = Raced()
    store.says = 13
    write_ack(store, managed(), "web", f"{ACKS}/web", 13)
    assert len(store.versions[f"{ACKS}/web"]) == 1
    store.says = 12
    with pytest.raises(Conflict):
        write_ack(store, managed(), "web", f"{ACKS}/web", 13)


def test_where_vault_does_not_answer_one_confirmation_is_asked_for_once_in_a_pass(world: World) -> None:
    """Nothing else waits for confirmations: not for one of each consumer, and not for repetitions."""
    second = replace(world.keys[0], name="Second", path="apimall/second")
    world = replace(world, keys=(world.keys[0], second), concurrency=1)
    world.make_pass()
    world.make_pass(forced=True)
    store = Unreadable(world.memory, Transient("GET: no answer", ambiguous=False))
    world.advance(1, minutes=1)
    result = world.make_pass(store=store)
    assert [other.kept for key in result.keys for other in key.others] == [Kept.UNCONFIRMED] * 2
    assert store.asked == [True]


def test_of_a_key_that_stays_anyway_no_confirmation_is_asked_for(world: World) -> None:
    """Else each pass would ask, for years."""
    by_hand = world.server.account.create("by hand")
    world.memory.put(PATH, {"api_key": by_hand.plaintext})
    world.make_pass()
    world.make_pass(forced=True)
    world.advance(1, minutes=1)
    world.memory.calls.clear()
    assert fate(world, by_hand.id) == (Kept.ADOPTED, ())
    assert not [call for call in world.memory.calls if "acks" in call]


def test_a_key_that_the_list_omits_is_not_forgotten_before_its_limit() -> None:
    """Its grace is over, but a consumer may keep it alive; forgotten, an adopted one would never go."""
    consumed = replace(managed(), consumers=("web",), grace_limit=LIMIT)
    data = some.secret(some.block(2, rotated=at(0), superseded={1: at(0)}))
    assert some.facts([some.key(2)], data, now=at(2), managed_key=consumed).carried == {1: at(0)}
    assert some.facts([some.key(2)], data, now=at(4), managed_key=consumed).carried == {}
    assert some.facts([some.key(2)], data, now=at(2)).carried == {}


def test_a_pass_with_nothing_to_confirm_reads_none(world: World) -> None:
    rotated(world)
    world.advance(minutes=23 * 60)
    world.memory.calls.clear()
    world.make_pass()
    assert not [call for call in world.memory.calls if "acks" in call]
    world.advance(minutes=61)
    world.make_pass()
    assert [call for call in world.memory.calls if "acks" in call] == [
        f"read {ACKS}/{n}" for n in ("web", "batch")
    ]


def test_a_key_that_stands_in_two_secrets_waits_for_the_consumers_of_both(world: World) -> None:
    plain = replace(managed(revoke_adopted=True), name="Second", path="apimall/second")
    world = replace(world, keys=(replace(world.keys[0], revoke_adopted=True), plain))
    by_hand = world.server.account.create("by hand")
    for key in world.keys:
        world.memory.put(key.path, {"api_key": by_hand.plaintext})
    world.make_pass()
    world.make_pass(forced=True)
    world.advance(2)
    world.make_pass()
    assert is_live(world, by_hand.id)
    world.advance(1, minutes=1)
    world.make_pass()
    assert not is_live(world, by_hand.id)


class TestShown:
    @pytest.fixture
    def status(self, world: World) -> KeyStatus:
        rotated(world)
        world.advance(1, minutes=1)
        [result] = world.make_pass().keys
        return key_status(result, world.log[-1].now)

    def test_it_is_a_note_that_names_who_and_until_when(self, status: KeyStatus) -> None:
        assert (status.severity, status.state) == (Severity.NOTE, KeyState.OK)
        [warning] = status.warnings
        assert re.fullmatch(
            r"key \d+ lives on until 20.{14} UTC at the latest: web has not confirmed any key; "
            "batch has not confirmed any key",
            warning,
        )

    def test_as_json(self, status: KeyStatus) -> None:
        [old] = status.to_json()["superseded"]
        assert (old["unconfirmed"], old["overdue"]) == (["web", "batch"], False)

    def test_in_metrics(self, world: World) -> None:
        rotated(world)
        world.advance(1, minutes=1)
        confirm(world, "web", world.rotation()["key_id"])
        metrics, shown = Metrics(), snapshot(passed(world.make_pass(), world.local_now()))
        metrics.follow(lambda: shown)
        lines = metrics.exposition().decode().splitlines()
        assert [line for line in lines if line.startswith("rotator_key_unconfirmed{")] == [
            'rotator_key_unconfirmed{consumer="batch",key="Backend"} 1.0'
        ]

    def test_of_one_that_goes_all_the_same_too(self, world: World) -> None:
        old, _ = rotated(world)
        world.advance(3, minutes=1)
        [result] = world.make_pass().keys
        [warning] = result.warnings
        assert warning.startswith(f"key {old} goes, because its grace_limit is over, though web")


def exposed_now(world: World) -> tuple[Exposed, ...]:
    """What both ways to end a leak look at first."""
    with world.account() as account:
        return exposed_in(account, observe(account, dry_run=True), frozenset({"Backend"}))


def test_a_pass_that_ends_a_leak_waits_for_no_confirmation(world: World) -> None:
    rotated(world)
    world.memory.calls.clear()
    world.contain()
    assert not [call for call in world.memory.calls if "acks" in call]


def test_the_record_of_a_leak_says_who_still_runs_on_an_exposed_key(world: World) -> None:
    old, new = rotated(world)
    confirm(world, "web", old)
    [exposed] = exposed_now(world)
    assert exposed.consumers == {"web": old, "batch": None}
    told = foretell([exposed], console_for_stdout(), dry_run=True)
    assert f"! web last confirmed key {old}: it fails until it takes up the new one" in told
    assert "! batch has not confirmed any key: it fails" in told
    confirm_all(world, new + 1)
    [exposed] = exposed_now(world)
    assert exposed.running == ()
