"""Copies in other Vaults: written, repaired, counted; one that is down fails no pass, and keeps old keys alive."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import Conflict, Rejected, in_vault
from rotator.passes.result import Outcome
from rotator.passes.stopping import Stopping
from rotator.redaction import redact
from rotator.rules.bookkeeping import COPY_OF, FIELD
from rotator.rules.claims import claims_path
from rotator.rules.model import CopyTarget, ManagedKey, Version
from rotator.rules.revocations import Kept
from rotator.rules.shard import Shard
from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.service.metrics import Metrics
from rotator.show.key_status import key_status
from rotator.show.severity import Severity
from tests.facts import PATH, managed
from tests.far import NO_ANSWER, FarVault
from tests.logs import captured
from tests.memory_store import MemoryStore
from tests.shown import passed, snapshot
from tests.stores import Paused
from tests.witness import is_live, rotated
from tests.world import STATE, World

LIMIT = timedelta(days=3)
THERE = "team/backend"


def copied(key: ManagedKey | None = None, path: str = THERE, **others: CopyTarget) -> ManagedKey:
    copies = {"eu": CopyTarget("eu", path), **others}
    key = key or managed()
    return replace(key, consumers=(*key.consumers, *copies), copies=copies, grace_limit=LIMIT)


@pytest.fixture
def far() -> FarVault:
    return FarVault()


@pytest.fixture
def world(world: World, far: FarVault) -> World:
    return replace(world, keys=(copied(),), vaults={"eu": far})


def goes_a_grace_from_now(world: World, old: int) -> None:
    """Hold that passes keep a superseded key for a grace that begins now, and then revoke it."""
    world.make_pass()
    assert is_live(world, old)
    world.advance(1, minutes=-1)
    world.make_pass()
    assert is_live(world, old)
    world.advance(minutes=2)
    world.make_pass()
    assert not is_live(world, old)


def is_copied(world: World, far: FarVault, path: str = THERE) -> bool:
    """Whether the copy holds what the secret holds."""
    secret, copy = world.secret(), far.holds(path)
    block = secret[FIELD]
    return copy.get("api_key") == secret["api_key"] and copy.get(FIELD) == {
        "key_id": block["key_id"],
        "rotated_at": block["rotated_at"],
        COPY_OF: f"{world.secret(STATE)['installation']}:{PATH}",
    }


class TestWritten:
    def test_with_the_first_key_and_with_each_later_one(self, world: World, far: FarVault) -> None:
        world.make_pass()
        assert is_copied(world, far)
        world.make_pass(forced=True)
        assert is_copied(world, far)
        assert len(far.versions[THERE]) == 2

    def test_after_the_secret_and_before_any_revocation(self, world: World, far: FarVault) -> None:
        """Of a leak, too: its second pass revokes, and may be the first one that reaches the copy."""
        world.make_pass()
        old = world.rotation()["key_id"]
        far.down = NO_ANSWER
        world.make_pass(forced=True, without_grace=True)
        far.down = None
        order: list[str] = []
        far.seen = lambda *_: order.append("copy")
        world.server.hook = lambda method, _path, _phase: order.append(method)
        world.make_pass()
        world.server.hook = None
        assert not is_live(world, old)
        assert order.index("copy") < order.index("DELETE")

    def test_only_where_it_does_not_hold_the_key_and_for_one_read(self, world: World, far: FarVault) -> None:
        world.make_pass()
        far.calls.clear()
        world.make_pass()
        assert far.calls == ["log_in", f"read {THERE}"]

    def test_beside_what_else_is_there(self, world: World, far: FarVault) -> None:
        far.put(THERE, {"url": "https://gateway"})
        world.make_pass()
        assert far.holds(THERE)["url"] == "https://gateway"
        assert len(far.holds(THERE)) == 3

    def test_in_a_freeze_too(self, world: World, far: FarVault) -> None:
        world.make_pass()
        far.versions.clear()
        world.memory.custom[PATH] = {"rotator-hold": "2999-01-01 sale"}
        world.make_pass()
        assert is_copied(world, far)

    def test_of_a_key_that_a_person_put_there(self, world: World, far: FarVault) -> None:
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.make_pass()
        assert is_copied(world, far)

    def test_once_the_log_says_so(self, world: World) -> None:
        with captured() as log:
            world.make_pass()
        [line] = [
            line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "copy.written"
        ]
        assert (line["key"], line["consumer"], line["vault"], line["path"]) == ("Backend", "eu", "eu", THERE)


class TestNotWritten:
    def test_in_a_dry_run(self, world: World, far: FarVault) -> None:
        world.make_pass(dry_run=True)
        world.make_pass()
        far.versions.clear()
        far.calls.clear()
        world.make_pass(dry_run=True)
        assert far.calls == []

    def test_with_a_moment_that_is_a_guess(self, world: World, far: FarVault) -> None:
        """While the clocks differ, the secret is not written, and so is no copy of its key."""
        rotated(world)
        world.advance(minutes=5)
        world.roll_back()  # it is current since then, and was made before
        written = len(far.versions[THERE])
        secret = world.secret()
        world.memory.put(PATH, {**secret, FIELD: {**secret[FIELD], "rotated_at": None}})
        world.local_skew = timedelta(days=400)
        [key] = world.make_pass().keys
        assert (key.copies, len(far.versions[THERE])) == ({"eu": None}, written)
        world.local_skew = timedelta()
        world.make_pass()
        assert is_copied(world, far)

    def test_with_a_key_that_nobody_knows(self, world: World, far: FarVault) -> None:
        world.make_pass()
        far.versions.clear()
        world.memory.put(PATH, {"api_key": "sk-" + "x" * 40})
        world.server.faults.clear()
        [key] = world.make_pass(dry_run=False).keys
        assert key.rotation, "it was replaced"
        assert is_copied(world, far)

    def test_with_a_key_that_the_gateway_refuses(self, world: World, far: FarVault) -> None:
        world.make_pass()
        far.versions.clear()
        world.server.account.revoke(world.live[0].id)
        world.server.faults.add(Fault("POST /keys", Status(500), times=ALWAYS))
        [key] = world.make_pass().keys
        assert key.outcome is Outcome.FAILED
        assert far.holds(THERE) == {}
        world.server.faults.clear()
        world.advance(minutes=16)
        world.make_pass()
        assert is_copied(world, far)

    def test_where_another_instance_has_written_the_secret(self, world: World) -> None:
        world.make_pass()
        paused = Paused(world.memory, lambda: world.memory.put(PATH, {"api_key": "sk-of-another"}))
        [key] = world.make_pass(forced=True, store=paused).keys
        assert (key.outcome, key.copies) == (Outcome.YIELDED, {})

    def test_where_it_may_have_a_newer_key(self, world: World, far: FarVault) -> None:
        """A read of the secret may be stale: another instance has rotated the key a moment ago."""
        world.make_pass()
        stale = world.memory.copied()
        stale.origin = world.memory.origin
        world.advance(minutes=5)
        world.make_pass(forced=True)
        newer = far.holds(THERE)
        [key] = world.make_pass(store=stale).keys
        assert far.holds(THERE) == newer
        assert "another instance may have rotated the key; the next pass tries again" in key.warnings[-1]
        world.make_pass()
        assert is_copied(world, far)

    @pytest.mark.parametrize("how", ["an older version", "an older key"])
    def test_for_longer_than_a_read_may_be_stale(self, world: World, far: FarVault, how: str) -> None:
        """What a person has put back is older than what the copy holds, and is copied all the same."""
        by_hand = world.server.account.create("by hand")
        world.advance(minutes=1)
        world.make_pass()
        world.advance(minutes=5)
        world.make_pass(forced=True)
        older = json.loads(world.memory.versions[PATH][0] or "")
        world.memory.put(PATH, older if how == "an older version" else {"api_key": by_hand.plaintext})
        world.advance(minutes=16)
        world.make_pass()
        assert is_copied(world, far)

    def test_unless_that_is_dated_in_some_far_future(self, world: World, far: FarVault) -> None:
        rotated(world)
        far.put(
            THERE,
            {
                "api_key": "x",
                FIELD: {**far.holds(THERE)[FIELD], "key_id": 99, "rotated_at": "2999-01-01T00:00:00Z"},
            },
        )
        world.make_pass()
        assert is_copied(world, far)


class TestRepaired:
    @pytest.mark.parametrize("how", ["older", "tampered", "dated", "deleted", "destroyed", "unblocked"])
    def test_whatever_becomes_of_it(self, world: World, far: FarVault, how: str) -> None:
        rotated(world)
        now = far.holds(THERE)
        match how:
            case "older":
                far.put(THERE, json.loads(far.versions[THERE][0] or ""))
            case "tampered":
                far.put(THERE, {**now, "api_key": "sk-another"})
            case "dated":
                far.put(THERE, {**now, FIELD: {**now[FIELD], "rotated_at": "2020-01-01T00:00:00Z"}})
            case "deleted":
                far.delete(THERE)
            case "destroyed":
                far.versions.clear()
            case "unblocked":
                far.put(THERE, {"api_key": now["api_key"]})
        assert not is_copied(world, far)
        [key] = world.make_pass().keys
        assert key.copies == {"eu": None}
        assert is_copied(world, far)

    def test_after_a_rollback_too(self, world: World, far: FarVault) -> None:
        rotated(world)
        world.advance(minutes=5)
        done = world.roll_back()
        assert done.copies == {"eu": None}
        assert is_copied(world, far)

    def test_and_a_rollback_says_which_it_did_not_reach(self, world: World, far: FarVault) -> None:
        rotated(world)
        world.advance(minutes=5)
        far.down = NO_ANSWER
        done = world.roll_back()
        assert done.copies["eu"]
        assert done.to_json()["copies"][0]["error"]["cure"] == "check vaults[eu].address (https://eu)"
        far.down = None
        world.make_pass()
        assert is_copied(world, far)

    def test_after_a_race_with_another_instance(self, world: World, far: FarVault) -> None:
        far.between = [{"note": "1"}, {"note": "2"}]
        world.make_pass()
        assert is_copied(world, far)
        assert far.holds(THERE)["note"] == "2"

    def test_not_after_the_third(self, world: World, far: FarVault) -> None:
        far.between = [{"note": "1"}, {"note": "2"}, {"note": "3"}]
        [key] = world.make_pass().keys
        assert isinstance(key.copies["eu"], Conflict)


class TestWhatIsNotOurs:
    @pytest.mark.parametrize(
        "there",
        [
            {"api_key": "sk-of-somebody", FIELD: {"key_id": 1, "rotated_at": "", "superseded": {}}},
            {"api_key": "sk-of-somebody", "other": {"key_id": 1, "rotated_at": "", "superseded": {}}},
            {"api_key": "sk-of-somebody", FIELD: {"key_id": 1, COPY_OF: "abcdef:apimall/backend"}},
            {"api_key": "sk-of-somebody"},
            {"api_key": 5},
            {FIELD: "clockwise"},
            {"installation": "0123ab", "bound": {}},
            {"installation": "0123ab"},
            {"claims": []},
            {"key_id": 13},
            {"key_id": 13, "event": "0123456789abcdef-3"},
        ],
        ids=str,
    )
    def test_is_not_written_over(self, world: World, far: FarVault, there: dict[str, Any]) -> None:
        far.put(THERE, there)
        result = world.make_pass()
        assert result.converged
        error = result.keys[0].copies["eu"]
        assert isinstance(error, Rejected)
        assert error.cure
        assert far.holds(THERE) == there
        assert "sk-of-somebody" not in result.keys[0].warnings[-1]

    @pytest.mark.parametrize("field", [FIELD, "another"])
    def test_is_not_managed(self, world: World, field: str) -> None:
        """The other side of it: what says that it is a copy is another rotator's."""
        there = {"api_key": "sk-of-somebody", field: {"key_id": 1, "rotated_at": "", COPY_OF: "abcdef:a"}}
        world.memory.put(PATH, there)
        for _ in range(2):
            [key] = world.make_pass(forced=True).keys
            assert key.outcome is Outcome.FAILED
            assert f"field {field} says that another rotator keeps a copy here" in key.errors[0].message
        assert world.secret() == there
        assert world.live == []

    def test_crossed_copies_end_in_a_refusal(self, world: World) -> None:
        """A copies to where B manages, and B to where A does; whichever is first, the other one refuses."""
        here, there = MemoryStore(), MemoryStore()
        a = replace(world, store=here, keys=(copied(path="b"),), vaults={"eu": there}, log=[])
        b = replace(
            world,
            store=there,
            keys=(copied(replace(managed(), path="b"), PATH),),
            vaults={"eu": here},
            log=[],
        )
        for first, second in ((a, b), (b, a), (a, b)):
            first.make_pass()
            second.make_pass()
        assert a.log[-1].keys[0].outcome is Outcome.DONE
        [failed] = b.log[-1].keys
        assert "keeps a copy here" in failed.errors[0].message
        assert len(world.live) == 1
        assert len(here.versions[PATH]) == len(there.versions["b"]) == 1

    def test_a_cycle_of_three_ends_in_a_refusal(self, world: World) -> None:
        stores = [MemoryStore() for _ in range(3)]
        paths = ["a", "b", "c"]
        worlds = [
            replace(
                world,
                store=stores[i],
                keys=(copied(replace(managed(), path=paths[i]), paths[(i + 1) % 3]),),
                vaults={"eu": stores[(i + 1) % 3]},
                log=[],
            )
            for i in range(3)
        ]
        for _ in range(3):
            for one in worlds:
                one.make_pass()
        outcomes = [one.log[-1].keys[0].outcome for one in worlds]
        assert outcomes == [Outcome.DONE, Outcome.FAILED, Outcome.DONE]
        assert isinstance(worlds[2].log[-1].keys[0].copies["eu"], Rejected)
        assert all(
            len(kept) == 1
            for store, path in zip(stores, paths, strict=True)
            for kept in [store.versions[path]]
        )

    @pytest.mark.parametrize("path", [PATH, STATE, claims_path(STATE, PATH)])
    def test_a_second_address_of_the_same_vault(self, world: World, path: str) -> None:
        """No config can see it."""
        far = FarVault(world.memory.versions)
        world = replace(world, keys=(copied(path=path),), vaults={"eu": far})
        for _ in range(3):
            [key] = world.make_pass(forced=True).keys
            assert key.outcome is Outcome.DONE
            assert isinstance(key.copies["eu"], Rejected)
        assert COPY_OF not in str(world.memory.versions)


class TestWhatItSaysCuresIt:
    def test_another_path(self, world: World, far: FarVault) -> None:
        far.put(THERE, {"claims": []})
        assert "name another path for this copy" in world.make_pass().keys[0].warnings[0]
        replace(world, keys=(copied(path="another"),)).make_pass()
        assert is_copied(world, far, "another")

    def test_a_copy_of_something_else_is_deleted(self, world: World, far: FarVault) -> None:
        far.put(THERE, {"api_key": "sk-of-nobody", FIELD: {COPY_OF: "another"}})
        assert "delete that secret" in world.make_pass().keys[0].warnings[0]
        far.delete(THERE)
        world.make_pass()
        assert is_copied(world, far)

    @pytest.mark.parametrize("field", ["api_key", FIELD])
    def test_a_field_is_removed(self, world: World, far: FarVault, field: str) -> None:
        far.put(THERE, {"url": "https://gateway", field: "of somebody"})
        assert f"its field {field} holds something" in world.make_pass().keys[0].warnings[0]
        far.put(THERE, {"url": "https://gateway"})
        world.make_pass()
        assert is_copied(world, far)

    def test_a_copy_is_ended_and_its_path_managed(self, world: World, far: FarVault) -> None:
        """What the rotator says that would manage the path of another one's copy."""
        world.make_pass()
        other = replace(
            world, store=MemoryStore(far.versions), keys=(replace(managed(), path=THERE),), vaults={}, log=[]
        )
        assert "then remove the field rotation here" in (other.make_pass().keys[0].errors[0].cure or "")
        far.put(THERE, {"api_key": far.holds(THERE)["api_key"]})
        world.keys = (managed(),)
        assert other.make_pass().converged


class TestAsAConsumer:
    def test_a_copy_that_holds_the_key_lets_the_old_one_go(self, world: World) -> None:
        old, _ = rotated(world)
        world.advance(1, minutes=1)
        world.make_pass()
        assert not is_live(world, old)

    def test_it_is_asked_only_when_a_grace_is_over(self, world: World, far: FarVault) -> None:
        """No rotation waits for it."""
        rotated(world)
        order: list[str] = []
        far.calls.clear()
        world.server.hook = lambda method, path, _: order.append(method)
        read = far.read
        far.read = lambda *args, **options: order.append("copy") or read(*args, **options)  # type: ignore
        world.make_pass(forced=True)
        world.server.hook = None
        assert order.index("POST") < order.index("copy")

    def test_one_that_is_down_keeps_the_old_key_until_its_limit(self, world: World, far: FarVault) -> None:
        world.make_pass()
        far.down = NO_ANSWER
        old = world.rotation()["key_id"]
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        with captured() as log:
            result = world.make_pass()
        assert log.getvalue().count("copy.behind") == 1, "though it was asked before the copies were brought"
        assert result.converged
        [key] = result.keys
        [other] = key.others
        assert (other.kept, other.unconfirmed) == (Kept.UNCONFIRMED, ("eu",))
        world.advance(2)
        world.make_pass()
        assert not is_live(world, old)

    def test_one_that_was_down_gives_its_programs_their_grace_from_then_on(
        self, world: World, far: FarVault
    ) -> None:
        world.make_pass()
        far.down = NO_ANSWER
        old = world.rotation()["key_id"]
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        world.make_pass()
        far.down = None
        world.make_pass()
        assert far.holds(THERE)["api_key"] == world.secret()["api_key"]
        world.advance(1, minutes=-1)
        [key] = world.make_pass().keys
        assert not key.behind
        assert "eu has had key 3 in its copy only since 2026-11-02 00:01" in key.warnings[-1]
        assert is_live(world, old)
        written = len(far.versions[THERE])
        world.advance(minutes=2)
        world.make_pass()
        assert not is_live(world, old)
        assert len(far.versions[THERE]) == written

    @pytest.mark.parametrize("how", ["deleted", "destroyed", "unblocked", "of an unknown key"])
    def test_whatever_it_held_before(self, world: World, far: FarVault, how: str) -> None:
        """What was lost there says nothing of how old the key is that its programs still have."""
        world.make_pass()
        far.down = NO_ANSWER
        old = world.rotation()["key_id"]
        world.make_pass(forced=True)
        match how:
            case "deleted":
                far.delete(THERE)
            case "destroyed":
                far.versions.clear()
            case "unblocked":
                far.put(THERE, {"url": "https://gateway"})
            case _:
                there = far.holds(THERE)
                far.put(THERE, {**there, FIELD: {**there[FIELD], "key_id": 99}})
        world.advance(1, minutes=1)
        far.down = None
        goes_a_grace_from_now(world, old)

    def test_though_the_next_key_follows_within_that_grace(self, world: World, far: FarVault) -> None:
        world.make_pass()
        far.down = NO_ANSWER
        old = world.rotation()["key_id"]
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        far.down = None
        world.make_pass()
        world.advance(minutes=1)
        world.make_pass(forced=True)
        world.make_pass()
        assert is_live(world, old)
        world.advance(1)
        world.make_pass()
        assert not is_live(world, old)

    @pytest.mark.parametrize("skew", [timedelta(days=-400), timedelta(days=400)], ids=["behind", "ahead"])
    def test_from_a_moment_at_which_the_clocks_agree(
        self, world: World, far: FarVault, skew: timedelta
    ) -> None:
        """While they differ nobody can say when the copy got the key, or how late that was."""
        world.make_pass()
        far.down = NO_ANSWER
        old = world.rotation()["key_id"]
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        far.down = None
        world.server.account.clock.advance(skew)
        world.local_skew = -skew
        world.make_pass()
        assert far.holds(THERE)["api_key"] == world.secret()["api_key"]
        world.server.account.clock.advance(-skew)
        world.local_skew = timedelta()
        goes_a_grace_from_now(world, old)

    def test_and_from_no_time_that_somebody_makes_up(self, world: World, far: FarVault) -> None:
        old, _ = rotated(world)
        there = far.holds(THERE)
        far.put(THERE, {**there, FIELD: {**there[FIELD], "copied_at": "2999-01-01T00:00:00Z"}})
        world.advance(1, minutes=1)
        world.make_pass()
        assert not is_live(world, old)

    def test_what_it_holds_right_before_the_revocation_counts(self, world: World, far: FarVault) -> None:
        old, _ = rotated(world)
        world.advance(1, minutes=1)
        older, bring = json.loads(far.versions[THERE][0] or ""), far.read
        reads: list[str] = []

        def read(*args: Any, **options: Any) -> Version:
            reads.append("read")
            if len(reads) == 3:  # after it was asked, and after it was brought
                far.put(THERE, older)
            return bring(*args, **options)

        far.read = read  # type: ignore[method-assign]
        world.make_pass()
        assert is_live(world, old)
        world.make_pass()
        assert not is_live(world, old)

    def test_in_a_pass_that_rotates_the_new_key_and_the_one_before_it_confirm(
        self, world: World, far: FarVault
    ) -> None:
        old, _ = rotated(world)
        world.advance(1, minutes=1)
        world.make_pass(forced=True)
        assert not is_live(world, old)
        old = world.rotation()["key_id"]
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        far.refuses = Rejected("PUT: 403", status=403)
        world.make_pass(forced=True)
        assert not is_live(world, old), "the copy holds the key after it"

    def test_it_needs_no_confirmation_in_words(self, world: World) -> None:
        rotated(world)
        world.advance(1, minutes=1)
        world.memory.calls.clear()
        world.make_pass()
        assert not [call for call in world.memory.calls if "acks" in call]


class Bounded(Stopping):
    """Says which bounds a pass sets itself, and lets the one of now be over."""

    def __init__(self) -> None:
        super().__init__()
        self.bounds: list[float] = []

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self.bounds.append(seconds)
        with super().within(seconds):
            yield

    def expire(self) -> None:
        self._ends = 0.0


class TestDown:
    def test_it_fails_no_pass_and_is_told(self, world: World, far: FarVault) -> None:
        far.down = NO_ANSWER
        with captured() as log:
            result = world.make_pass()
        assert result.converged
        [key] = result.keys
        assert key.to_json()["behind"] == ["eu"]
        assert key.warnings == (
            "the copy for eu is behind: GET: no answer within 10 s; check vaults[eu].address (https://eu)",
        )
        [line] = [
            line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "copy.behind"
        ]
        assert line["level"] == "warning"
        assert line["cure"] == "check vaults[eu].address (https://eu)"

    @pytest.mark.parametrize("concurrency", [1, 4])
    def test_it_is_asked_once_in_a_pass(self, world: World, far: FarVault, concurrency: int) -> None:
        keys = tuple(
            copied(replace(managed(), name=f"K{n}", path=f"apimall/k{n}"), f"k{n}") for n in range(6)
        )
        world = replace(world, keys=keys, concurrency=concurrency)
        far.down = NO_ANSWER
        with captured() as log:
            result = world.make_pass()
        assert len(far.calls) == 2
        assert all(key.behind for key in result.keys)
        assert log.getvalue().count("copy.behind") == 1

    def test_a_login_that_is_refused_is_tried_once_in_a_pass(self, world: World, far: FarVault) -> None:
        keys = tuple(
            copied(replace(managed(), name=f"K{n}", path=f"apimall/k{n}"), f"k{n}") for n in range(3)
        )
        tries: list[str] = []

        def refused() -> None:
            tries.append("log in")
            raise Rejected("POST: 403", status=403, cure="check vault.auth.mount and role_id")

        far.log_in = refused  # type: ignore[method-assign]
        result = replace(world, keys=keys).make_pass()
        assert result.converged
        assert len(tries) == 1
        assert "check vaults[eu].auth.mount and role_id" in result.keys[2].warnings[0]

    def test_one_refusal_is_that_copys_alone(self, world: World, far: FarVault) -> None:
        keys = tuple(
            copied(replace(managed(), name=f"K{n}", path=f"apimall/k{n}"), f"k{n}") for n in range(3)
        )
        far.put("k1", {"api_key": "sk-of-somebody"})
        result = replace(world, keys=keys).make_pass()
        assert [bool(key.behind) for key in result.keys] == [False, True, False]

    def test_another_vault_is_asked_all_the_same(self, world: World, far: FarVault) -> None:
        well = FarVault()
        world = replace(world, keys=(copied(us=CopyTarget("us", THERE)),), vaults={"eu": far, "us": well})
        far.down = NO_ANSWER
        [key] = world.make_pass().keys
        assert list(key.behind) == ["eu"]
        assert is_copied(world, well)

    def test_a_leak_waits_for_no_copy_and_reaches_those_it_can_first(
        self, world: World, far: FarVault
    ) -> None:
        old, _ = rotated(world)
        far.down = NO_ANSWER
        result = world.contain()
        assert not is_live(world, old)
        assert list(result.keys[0].behind) == ["eu"]

    @pytest.mark.parametrize("whose", ["of the same key", "of another key"])
    def test_a_leak_waits_for_no_copy_of_an_earlier_key(
        self, world: World, far: FarVault, whose: str
    ) -> None:
        """Its own copies are reached before it is revoked. No other question comes before that."""
        other = copied(replace(managed(), name="Other", path="apimall/other"), "other")
        world = replace(world, keys=(*world.keys, other))
        world.make_pass()
        world.make_pass(only=frozenset({"Backend" if whose == "of the same key" else "Other"}), forced=True)
        world.advance(1, minutes=1)
        order: list[str] = []
        world.server.hook = lambda method, path, _: order.append(method)
        read = far.read
        far.read = lambda *args, **options: order.append(args[0]) or read(*args, **options)  # type: ignore
        world.contain()
        world.server.hook = None
        assert THERE in order
        assert "other" not in order
        assert order.index("POST") < order.index(THERE) < order.index("DELETE")

    @pytest.mark.parametrize("held", [True, False])
    def test_of_another_shard_no_copy_is_asked(self, world: World, far: FarVault, held: bool) -> None:
        rotated(world)
        world.advance(1, minutes=1)
        far.calls.clear()
        shards = [Shard(index, 2) for index in range(2)]
        [shard] = [shard for shard in shards if shard.holds("Backend") is held]
        replace(world, shard=shard).make_pass()
        assert bool(far.calls) is held

    def test_one_that_answers_slowly_holds_up_no_more_than_its_part_of_a_pass(
        self, world: World, far: FarVault
    ) -> None:
        world.stopping = Bounded()
        keys = tuple(
            copied(replace(managed(), name=f"K{n}", path=f"apimall/k{n}"), f"k{n}") for n in range(3)
        )
        world = replace(world, keys=keys, concurrency=1)
        far.seen = lambda *_: world.stopping.expire()  # type: ignore[attr-defined]
        result = world.make_pass()
        assert world.stopping.bounds[-2] == world.timing.pass_deadline.total_seconds() / 4  # type: ignore[attr-defined]
        assert result.converged
        assert sorted(bool(key.behind) for key in result.keys) == [False, True, True]
        assert len(far.versions) == 1

    def test_one_that_answers_slowly_is_left_before_a_decision_too(self, world: World, far: FarVault) -> None:
        """Else what it should hold of all keys whose grace is over would be asked before any rotation."""
        keys = tuple(
            copied(replace(managed(), name=f"K{n}", path=f"apimall/k{n}"), f"k{n}") for n in range(40)
        )
        world = replace(world, keys=keys, concurrency=1)
        world.make_pass()
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        elapsed, read = [0.0], far.read
        world.stopping = Stopping(lambda: elapsed[0])

        def slow(*args: Any, **options: Any) -> Version:
            elapsed[0] += 60
            return read(*args, **options)

        far.read = slow  # type: ignore[method-assign]
        far.calls.clear()
        with captured() as log:
            result = world.make_pass(forced=True)
        most = world.timing.copying.total_seconds()
        assert most < elapsed[0] <= most + 60
        assert (result.converged, result.rotated) == (True, 40)
        assert log.getvalue().count("copy.behind") == 1
        assert "the copy for eu is behind: that Vault answers too slowly" in result.keys[-1].warnings[-1]

    def test_who_is_asked_to_stop_begins_no_other_copy(self, world: World, far: FarVault) -> None:
        keys = tuple(
            copied(replace(managed(), name=f"K{n}", path=f"apimall/k{n}"), f"k{n}") for n in range(3)
        )
        far.seen = lambda *_: world.stopping.request()
        replace(world, keys=keys, concurrency=1).make_pass()
        assert len(far.versions) == 1

    def test_it_is_a_note(self, world: World, far: FarVault) -> None:
        far.down = NO_ANSWER
        [result] = world.make_pass().keys
        status = key_status(result, world.log[-1].now)
        assert (status.severity, status.copies, status.to_json()["behind"]) == (
            Severity.NOTE,
            {"eu": False},
            ["eu"],
        )
        assert "the copy for eu is behind" in status.warnings[-1]

    def test_the_plaintext_in_a_copy_is_redacted_from_then_on(self, world: World, far: FarVault) -> None:
        far.put(THERE, {"api_key": "nobody-knows-this-text"})
        world.make_pass()
        assert "nobody-knows" not in redact("it is nobody-knows-this-text")


def test_of_another_shard_no_copy_is_touched(world: World, far: FarVault) -> None:
    shards = [Shard(index, 2) for index in range(2)]
    [mine] = [shard for shard in shards if shard.holds("Backend")]
    [other] = [shard for shard in shards if shard != mine]
    replace(world, shard=other).make_pass()
    assert far.calls == []
    replace(world, shard=mine).make_pass()
    assert is_copied(world, far)


def test_the_further_vault_counts_as_the_config_calls_it() -> None:
    said = (
        "check vault.address (https://vault.auth.example.com/vault.mount) or VAULT_NAMESPACE, vault.auth.file"
    )
    assert in_vault(said, "eu") == (
        "check vaults[eu].address (https://vault.auth.example.com/vault.mount), vaults[eu].auth.file"
    )


@pytest.mark.parametrize(("down", "behind"), [(NO_ANSWER, 1.0), (None, 0.0)], ids=["down", "up"])
def test_in_metrics(world: World, far: FarVault, down: Exception | None, behind: float) -> None:
    far.down = down
    metrics, shown = Metrics(), snapshot(passed(world.make_pass(), world.local_now()))
    metrics.follow(lambda: shown)
    lines = metrics.exposition().decode().splitlines()
    found = [line for line in lines if line.startswith("rotator_copy_behind{")]
    assert found == [f'rotator_copy_behind{{consumer="eu",key="Backend"}} {behind}']
