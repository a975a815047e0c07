"""Consumers that are told: by passes, with receivers on loopback that verify what they get."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock, Semaphore, Thread
from typing import Any

import pytest

from rotator.clients.receiver import Receivers
from rotator.clients.webhook_signature import parse_secrets
from rotator.errors import ConfigError, Rejected, Transient
from rotator.passes.account import Store
from rotator.passes.observe import observe
from rotator.passes.stopping import NotReached, Stopping
from rotator.passes.tell import Telling
from rotator.redaction import Secret
from rotator.rules.model import ManagedKey, Receiver, Version
from rotator.rules.revocations import Kept
from rotator.rules.shard import Shard
from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.service.metrics import Metrics
from rotator.show.key_status import key_statuses
from tests.facts import PATH, managed
from tests.interleave import interleave
from tests.leaks import leaks
from tests.logs import captured
from tests.receiver import SECRET, receiving
from tests.receiver import Receiver as Listener
from tests.serving import Answering, cut, reply
from tests.shown import passed, snapshot
from tests.stores import CUT, DOWN, Faulty, StoreWrapper, Unreadable
from tests.test_webhook import OTHER, dripping, lines
from tests.traffic import BOUND
from tests.witness import is_live
from tests.world import World

ACK = f"rotator/acks/{PATH}/batch"
LIMIT = timedelta(days=3)
BAD_TIME = 0.3
"""Seconds that a receiver has which answers badly; one that answers well has more."""


def told(url: str, *consumers: str, name: str = "Backend", path: str = PATH) -> ManagedKey:
    """A managed key all of whose consumers are told at this URL."""
    consumers = consumers or ("batch",)
    receivers = tuple(Receiver(one, url, "webhook.secret", env="WEBHOOK_SECRET") for one in consumers)
    key = replace(managed(), name=name, path=path, consumers=consumers, grace_limit=LIMIT)
    return replace(key, receivers=receivers)


def over_http(timeout: float = 30, secrets: str = SECRET) -> Receivers:
    return Receivers(lambda _receiver: parse_secrets(secrets), timeout=timedelta(seconds=timeout))


@contextmanager
def consumed(world: World, *answers: Answering, timeout: float = 30) -> Iterator[Listener]:
    """Let the consumer `batch` have a receiver."""
    with receiving(*answers) as receiver:
        world.keys, world.tell = (told(receiver.url),), over_http(timeout).tell
        yield receiver


def acked(world: World, path: str = ACK) -> Any:
    return world.store.read(path).data


def ids_of(receiver: Listener) -> list[int]:
    return [event["data"]["key_id"] for event in receiver.events()]


@dataclass
class Hears:
    """What tells in memory, as `does` says, and keeps what was told."""

    does: Callable[[Receiver], object] = lambda _receiver: None
    told: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, receiver: Receiver, id_: str, body: bytes) -> None:
        self.does(receiver)
        with self.lock:
            self.told.append((receiver.consumer, id_, json.loads(body)))

    @property
    def consumers(self) -> list[str]:
        return sorted(consumer for consumer, _, _ in self.told)


class OneOfTwelve(Thread):
    """A thread of a process that may have twelve."""

    _left = Semaphore(12)

    def start(self) -> None:
        if not self._left.acquire(blocking=False):
            raise RuntimeError("can't start new thread")
        super().start()

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._left.release()


class Silent(StoreWrapper):
    """A Vault that does not say what a token may do."""

    def missing_capabilities(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        raise DOWN


class Meanwhile(StoreWrapper):
    """A Vault to whose first read of a confirmation something happens `meanwhile`."""

    def __init__(self, store: Store, meanwhile: Callable[[], object]) -> None:
        super().__init__(store)
        self._meanwhile = [meanwhile]

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == ACK and self._meanwhile:
            self._meanwhile.pop()()
        return super().read(path, version, once=once)


class TestWhatIsTold:
    def test_it_is_a_signed_event_with_the_key_id(self, world: World) -> None:
        with consumed(world) as receiver:
            result = world.one()
        [event] = receiver.events()
        [(path, headers, _)] = receiver.received
        assert path == "/"
        assert headers["content-type"] == "application/cloudevents+json"
        assert headers["webhook-id"] == event["id"]
        rotated_at = world.rotation()["rotated_at"]
        assert event == {
            "specversion": "1.0",
            "id": event["id"],
            "source": f"urn:apimall:rotator:{world.log[-1].installation}",
            "type": "com.apimall.rotator.key.current",
            "subject": "Backend",
            "time": rotated_at,
            "datacontenttype": "application/json",
            "data": {
                "key_id": result.key_id,
                "mount": "secret",
                "path": PATH,
                "consumer": "batch",
                "rotated_at": rotated_at,
            },
        }
        assert acked(world) == {"key_id": result.key_id, "event": event["id"]}

    def test_its_2xx_confirms(self, world: World) -> None:
        with consumed(world) as receiver:
            old, new = world.one().key_id, world.one(forced=True).key_id
            world.advance(1, minutes=1)
            assert old
            world.one()
        assert ids_of(receiver) == [old, new]
        assert not is_live(world, old)

    def test_it_is_told_once(self, world: World) -> None:
        with consumed(world) as receiver:
            for _ in range(3):
                world.make_pass()
                world.advance(minutes=10)
        assert len(receiver.received) == 1

    def test_an_idle_pass_costs_one_read(self, world: World) -> None:
        with consumed(world):
            world.make_pass()
            world.memory.calls.clear()
            world.make_pass()
        assert [call for call in world.memory.calls if "acks" in call or call == "capabilities"] == [
            f"read {ACK}"
        ]

    def test_several_consumers_may_share_a_url(self, world: World) -> None:
        with receiving() as receiver:
            world.keys, world.tell = (told(receiver.url, "a", "b"),), over_http().tell
            world.make_pass()
        assert sorted(event["data"]["consumer"] for event in receiver.events()) == ["a", "b"]
        assert len(set(receiver.ids())) == 2

    def test_no_secret_is_told_or_logged(self, world: World) -> None:
        token = "/hooks/T0123456789/wJalrXUtnFEMIbPxRfiCY"
        with captured(level="debug") as out, receiving(reply(500), reply(400), cut) as receiver:
            world.keys, world.tell = (told(receiver.url + token),), over_http().tell
            for _ in range(5):
                world.make_pass(forced=True)
        plaintexts = [key.plaintext for key in world.server.account.keys]
        for _, headers, body in receiver.received:
            assert leaks(body + repr(headers).encode(), [*plaintexts, SECRET]) == []
            assert not any(key.plaintext[-4:] in body.decode() for key in world.server.account.keys)
        assert leaks(out.getvalue(), [*plaintexts, SECRET, token[-21:]]) == []
        assert token not in repr(world.keys)


def hanging(handler: BaseHTTPRequestHandler) -> None:
    """Say nothing until the client is gone."""
    handler.connection.recv(1)


BAD: Mapping[str, Answering] = {
    "500": reply(500),
    "429": reply(429, headers={"Retry-After": "3600"}),
    "410": reply(410),
    "400": reply(400),
    "401": reply(401),
    "307": reply(307),
    "304": reply(304),
    "closes": cut,
    "drips a body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    "drips headers": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "hangs": hanging,
    "is no HTTP": dripping(b"\0\xff\r\n\r\n"),
    "is endless": reply(200, raw=b"x" * 2_000_000),
}


class TestTrouble:
    @pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
    def test_what_was_not_taken_is_owed_in_the_next_pass_and_fails_nothing(
        self, world: World, answer: Answering
    ) -> None:
        with captured() as out, consumed(world, answer, timeout=BAD_TIME) as receiver:
            result = world.one()
            assert world.log[-1].converged
            assert (result.failed, result.untold, acked(world)) == (False, ("batch",), None)
            [line] = lines(out, "consumer.untold")
            assert (line["level"], line["key"], line["consumer"]) == ("warning", "Backend", "batch")
            assert line["cure"]
            assert line["run_id"] == world.log[-1].run_id
            world.tell = over_http().tell
            again = world.one()
        assert (again.untold, acked(world)["key_id"]) == ((), result.key_id)
        first, second = receiver.ids()
        assert first == second

    def test_a_receiver_that_is_down(self, world: World) -> None:
        with consumed(world):
            pass
        with captured() as out:
            assert world.one().untold == ("batch",)
        [line] = lines(out, "consumer.untold")
        assert "Connection refused" in line["error"]
        assert "check the `url` of this consumer" in line["cure"]

    def test_a_redirect_is_not_followed(self, world: World) -> None:
        with receiving() as other, captured() as out:
            elsewhere = reply(307, headers={"Location": other.url})
            with consumed(world, elsewhere):
                world.make_pass()
        assert other.received == []
        assert "a redirect, which is not followed" in lines(out, "consumer.untold")[0]["error"]

    @pytest.mark.parametrize("answer", [reply(503), reply(410), cut])
    def test_after_a_receiver_has_failed_the_others_with_its_url_are_left_to_the_next_pass(
        self, world: World, answer: Answering
    ) -> None:
        with captured() as out, receiving(answer) as receiver:
            world.keys, world.tell = (told(receiver.url, "a", "b", "c"),), over_http().tell
            assert sorted(world.one().untold) == ["a", "b", "c"]
            [line] = lines(out, "consumer.untold")
            assert (len(receiver.received), line["left"]) == (1, 2)
            assert world.one().untold == ()

    def test_one_that_refuses_an_event_is_asked_for_the_next_one(self, world: World) -> None:
        with receiving(reply(400)) as receiver:
            world.keys, world.tell = (told(receiver.url, "a", "b", "c"),), over_http().tell
            assert len(world.one().untold) == 1
        assert len(receiver.received) == 3

    def test_what_signs_is_gone(self, world: World) -> None:
        def gone(_receiver: Receiver) -> tuple[Secret, ...]:
            raise ConfigError("webhook.secret names a file that is not there; mount the file")

        with captured() as out, consumed(world) as receiver:
            world.tell = Receivers(gone).tell
            assert world.one().untold == ("batch",)
        assert receiver.received == []
        assert "mount the file" in lines(out, "consumer.untold")[0]["error"]

    def test_what_signs_may_be_replaced(self, world: World) -> None:
        """A file that is mounted changes while the process lives."""
        signs = [parse_secrets(OTHER), parse_secrets(SECRET)]
        with consumed(world) as receiver:
            world.tell = Receivers(lambda _receiver: signs.pop()).tell
            world.make_pass()
            assert len(receiver.events(SECRET)) == 1
            receiver.received.clear()
            world.make_pass(forced=True)
            assert len(receiver.events(OTHER)) == 1

    def test_a_url_that_holds_a_name_takes_that_name_out_of_nothing(self, world: World) -> None:
        with captured() as out, receiving(reply(500), cut) as receiver:
            world.keys = (told(f"{receiver.url}/hooks/{PATH}/and-more", name="apimall/backend"),)
            world.tell = over_http().tell
            for _ in range(3):
                world.make_pass()
        assert {event["data"]["path"] for event in receiver.events()} == {PATH}
        assert {line["key"] for line in lines(out, "consumer.untold")} == {"apimall/backend"}
        assert "hooks" not in out.getvalue()

    def test_what_nobody_foresaw_fails_no_pass(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.keys = (told("http://127.0.0.1:1"),)
        world.tell = Hears(lambda _receiver: 1 / 0)
        with captured() as out:
            assert world.one().untold == ("batch",)
            assert world.log[-1].converged
        assert lines(out, "consumer.untold")[0]["error"] == "unexpected ZeroDivisionError"

    def test_a_slow_url_holds_up_itself_alone(self, world: World) -> None:
        """Of 200, half never answer before the others were all told."""
        slow = [f"http://127.0.0.1:1/{number}" for number in range(100)]
        healthy, released = Event(), []

        def does(receiver: Receiver) -> None:
            if receiver.url in slow:
                released.append(healthy.wait(BOUND))
                raise Transient("no answer", ambiguous=True)

        class Counting(Hears):
            def __call__(self, receiver: Receiver, id_: str, body: bytes) -> None:
                super().__call__(receiver, id_, body)
                if len(self.told) == 100:
                    healthy.set()

        hears = world.tell = Counting(does)
        world.keys = tuple(
            told(url, name=f"Key {number}", path=f"apimall/{number}")
            for number, url in enumerate([*slow, *(f"{url}/healthy" for url in slow)])
        )
        results = world.make_pass().keys
        assert released == [True] * 100
        assert len(hears.told) == 100
        assert {result.key.name for result in results if result.untold} == {
            f"Key {number}" for number in range(100)
        }
        assert world.log[-1].converged

    def test_where_threads_are_few_enough_are_left_to_look_names_up(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A unit or a container allows 64."""
        monkeypatch.setattr("rotator.passes.tell.Thread", OneOfTwelve)
        monkeypatch.setattr("rotator.clients.within.Thread", OneOfTwelve)
        with receiving() as receiver:
            url = receiver.url.replace("127.0.0.1", "localhost")
            world.keys = tuple(
                told(f"{url}/{number}", name=f"Key {number}", path=f"apimall/{number}")
                for number in range(40)
            )
            world.tell = over_http().tell
            assert [result.untold for result in world.make_pass().keys] == [()] * 40

    def test_those_whose_turn_does_not_come_in_time_are_left(self, world: World) -> None:
        result = world.one()
        key = told("http://127.0.0.1:1", "a", "b")
        world.keys, hears = (key,), Hears()
        world.tell = hears
        with captured() as out, world.account() as account:
            left = Telling(account, observe(account, dry_run=False), wait=0).tell([replace(result, key=key)])
        assert (sorted(left["Backend"]), hears.told) == (["a", "b"], [])
        [line] = lines(out, "consumer.untold")
        assert line["left"] == 1


class TestNeverInTheWay:
    def test_all_is_written_and_revoked_before_anybody_is_told(self, world: World) -> None:
        world.keys = (told("http://127.0.0.1:1"),)
        old = world.make_pass().keys[0].key_id
        world.make_pass(forced=True)
        world.advance(1, minutes=1)
        confirmed = {"key_id": world.rotation()["key_id"], "event": "another"}
        world.memory.put(ACK, confirmed)
        world.keys += (replace(managed(), name="Second", path="apimall/second"),)
        seen: list[bool] = []

        def does(_receiver: Receiver) -> None:
            assert old
            seen.append(not is_live(world, old) and world.works("apimall/second"))

        hears = world.tell = Hears(does)
        assert world.make_pass().rotated == 1
        assert (hears.consumers, seen) == (["batch"], [True])

    def test_a_dry_run_tells_nobody(self, world: World) -> None:
        world.make_pass()
        with consumed(world) as receiver:
            world.make_pass(dry_run=True)
            assert receiver.received == []

    def test_the_pass_that_replaces_a_leaked_key_leaves_it_to_the_one_that_revokes(
        self, world: World
    ) -> None:
        with consumed(world) as receiver:
            world.make_pass()
            world.make_pass(forced=True, without_grace=True, only=frozenset({"Backend"}))
            assert len(receiver.received) == 1
            world.make_pass(only=frozenset({"Backend"}))
        assert ids_of(receiver)[1:] == [world.rotation()["key_id"]]

    def test_a_stop_ends_it(self, world: World) -> None:
        world.keys = (told("http://127.0.0.1:1", "a", "b", "c"),)
        hears = world.tell = Hears(lambda _receiver: world.stopping.request())
        world.make_pass()
        assert len(hears.told) == 1
        world.stopping = Stopping()
        hears.does = lambda _receiver: None
        world.make_pass()
        assert hears.consumers == ["a", "b", "c"]


class TestWhatIsOwed:
    def test_a_restart_before_it_was_recorded_tells_again_by_the_same_id(self, world: World) -> None:
        with consumed(world) as receiver:
            world.store = store = Faulty(world.memory, ACK)
            store.before = [CUT]
            with captured() as out:
                assert world.one().untold == ("batch",)
            [line] = lines(out, "consumer.untold")
            assert line["error"] == "told, but it could not be confirmed: cut"
            assert world.one().untold == ()
        first, second = receiver.ids()
        assert first == second

    def test_two_replicas_tell_by_one_id(self, world: World) -> None:
        """In any order of their requests: at least once, at most once each, and then never again."""
        for order in ([0, 1] * 40, [0] * 7 + [1] * 60, [0] * 9 + [1] * 9 + [0, 1] * 30):
            hears = world.tell = Hears()
            world.keys = (told("http://127.0.0.1:1"),)
            interleave([lambda gate: world.make_pass(gate=gate)] * 2, order)
            assert 1 <= len(hears.told) <= 2
            assert len({id_ for _, id_, _ in hears.told}) == 1
            before = len(hears.told)
            world.make_pass()
            assert len(hears.told) == before
            world.advance(7)

    def test_a_rollback_is_told_anew(self, world: World) -> None:
        with consumed(world) as receiver:
            old, new = world.one().key_id, world.one(forced=True).key_id
            world.advance(minutes=10)
            world.roll_back()
            world.make_pass()
            world.make_pass()
        assert ids_of(receiver) == [old, new, old]
        assert len(set(receiver.ids())) == 3

    def test_a_version_that_a_person_restores_is_told_anew(self, world: World) -> None:
        """Its bookkeeping says what it said when it was told first."""
        with consumed(world) as receiver:
            old, new = world.one().key_id, world.one(forced=True).key_id
            world.memory.put(PATH, json.loads(world.memory.versions[PATH][0] or ""))
            world.advance(minutes=10)
            world.make_pass()
            world.make_pass()
        assert ids_of(receiver) == [old, new, old]
        assert len(set(receiver.ids())) == 3

    @pytest.mark.parametrize("put_back", ["a version", "a plaintext"])
    def test_a_key_that_a_person_puts_back_is_told_anew_whoever_took_the_one_between(
        self, world: World, put_back: str
    ) -> None:
        """Its receiver took that one so late that nothing records it."""
        late: list[Exception] = []

        def does(_receiver: Receiver) -> None:
            if late:
                raise late[0]

        world.keys, hears = (told("http://x"),), Hears(does)
        world.tell = hears
        old = world.one().key_id
        first = json.loads(world.memory.versions[PATH][0] or "")
        late.append(Transient("no answer", ambiguous=True))
        assert world.one(forced=True).untold
        if put_back == "a plaintext":
            first = {"api_key": first["api_key"]}
        world.memory.put(PATH, first)
        world.advance(minutes=10)
        assert world.one().untold == ("batch",)
        late.clear()
        for _ in range(3):
            world.advance(minutes=10)
            assert world.one().untold == ()
        assert [event["data"]["key_id"] for _, _, event in hears.told] == [old, old]
        assert len({id_ for _, id_, _ in hears.told}) == 2

    def test_a_shard_tells_only_its_own(self, world: World) -> None:
        hears = world.tell = Hears()
        world.keys = tuple(
            told("http://127.0.0.1:1", name=f"Key {number}", path=f"apimall/{number}") for number in range(6)
        )
        for index in range(2):
            world.shard = Shard(index, 2)
            before = len(hears.told)
            world.make_pass()
            subjects = {event["subject"] for _, _, event in hears.told[before:]}
            assert subjects == {key.name for key in world.keys if world.shard.holds(key.name)} != set()

    def test_only_the_chosen_keys_consumers_are_told(self, world: World) -> None:
        hears = world.tell = Hears()
        world.keys = (told("http://x"), told("http://x", name="Second", path="apimall/second"))
        world.make_pass(only=frozenset({"Second"}))
        assert [event["subject"] for _, _, event in hears.told] == ["Second"]

    def test_nobody_is_told_of_a_key_that_the_gateway_refuses(self, world: World) -> None:
        hears = world.tell = Hears()
        world.keys = (managed(),)
        dead = world.one().key_id
        assert dead
        world.keys = (told("http://x"),)
        world.server.account.revoke(dead)
        world.server.faults.add(Fault("POST /keys", Status(400), times=ALWAYS))
        world.make_pass()
        assert hears.told == []
        world.server.faults.clear()
        assert world.make_pass().rotated == 1
        assert [event["data"]["key_id"] for _, _, event in hears.told] == [world.rotation()["key_id"]]

    def test_a_key_that_cannot_be_rotated_is_told_all_the_same(self, world: World) -> None:
        world.keys = (managed(),)
        world.make_pass()
        hears = world.tell = Hears()
        world.keys = (told("http://x"),)
        world.server.faults.add(Fault("POST /keys", Status(400), times=ALWAYS))
        assert world.one(forced=True).failed
        assert [event["data"]["key_id"] for _, _, event in hears.told] == [world.rotation()["key_id"]]

    def test_what_another_rotator_has_replaced_meanwhile_is_not_told(self, world: World) -> None:
        world.keys = (managed(),)
        world.make_pass()
        hears = world.tell = Hears()
        world.keys = (told("http://x"),)
        other = replace(world, keys=(managed(),))
        world.store = Meanwhile(world.memory, lambda: other.make_pass(forced=True))
        world.make_pass()
        assert hears.told == []
        world.store = other.store
        world.make_pass()
        assert [event["data"]["key_id"] for _, _, event in hears.told] == [world.rotation()["key_id"]]


class TestItsOwnConfirmation:
    @pytest.fixture
    def world(self, world: World) -> World:
        world.memory.clock = world.server.account.clock.now
        return world

    def confirm(self, world: World, key_id: object) -> None:
        world.memory.put(ACK, {"key_id": key_id})

    def test_who_has_confirmed_the_current_key_needs_not_be_told(self, world: World) -> None:
        world.keys = (managed(),)
        world.make_pass()
        world.advance(minutes=1)
        self.confirm(world, world.rotation()["key_id"])
        hears = world.tell = Hears()
        world.keys = (told("http://x"),)
        world.make_pass()
        assert hears.told == []

    def test_what_was_confirmed_before_a_rollback_does_not_count(self, world: World) -> None:
        world.keys = (managed(),)
        old = world.one().key_id
        self.confirm(world, old)
        world.advance(minutes=10)
        world.make_pass(forced=True)
        world.advance(minutes=10)
        world.roll_back()
        hears = world.tell = Hears()
        world.keys = (told("http://x"),)
        world.make_pass()
        assert [event["data"]["key_id"] for _, _, event in hears.told] == [old]

    def test_who_confirms_before_it_answers_is_told_once(self, world: World) -> None:
        hears = Hears(lambda _receiver: self.confirm(world, world.rotation()["key_id"]))
        world.keys, world.tell = (told("http://x"),), hears
        for _ in range(3):
            world.advance(minutes=10)
            world.make_pass()
        assert len(hears.told) == 1
        assert acked(world)["event"] == hears.told[0][1]

    def test_who_confirms_another_key_before_it_answers_is_told_again(self, world: World) -> None:
        """What it says itself stands."""
        hears = Hears(lambda _receiver: self.confirm(world, 10**9))
        world.keys, world.tell = (told("http://x"),), hears
        world.make_pass()
        assert acked(world) == {"key_id": 10**9}
        world.make_pass()
        assert len(hears.told) == 2

    def test_who_confirms_after_it_has_answered_is_told_once(self, world: World) -> None:
        hears = Hears()
        world.keys, world.tell = (told("http://x"),), hears
        for _ in range(3):
            world.make_pass()
            world.advance(minutes=10)
            self.confirm(world, world.rotation()["key_id"])
        assert len(hears.told) == 1

    def test_who_says_that_it_uses_another_key_is_told_again(self, world: World) -> None:
        hears = Hears()
        world.keys, world.tell = (told("http://x"),), hears
        world.make_pass()
        self.confirm(world, 10**9)
        world.make_pass()
        first, second = hears.told
        assert first[2]["data"] == second[2]["data"]
        assert first[1] != second[1]

    def test_one_that_lies_moves_a_revocation_within_its_limits(self, world: World) -> None:
        """It answers 2xx, and runs on the old key: that goes after its grace, as if nobody were named."""
        world.keys, world.tell = (told("http://x"),), Hears(lambda _receiver: world.advance(minutes=1))
        old = world.one().key_id
        world.make_pass(forced=True)
        world.advance(minutes=23 * 60)
        assert [other.kept for other in world.one().others] == [Kept.IN_GRACE]
        world.advance(minutes=61)
        world.make_pass()
        assert old
        assert not is_live(world, old)


class TestVaultsTrouble:
    def test_a_confirmation_that_may_not_be_read(self, world: World) -> None:
        hears = world.tell = Hears()
        world.keys = (told("http://x", "a", "b"),)
        world.store = Unreadable(world.memory, Rejected("GET: 403", cure="grant it"))
        with captured() as out:
            assert sorted(world.one().untold) == ["a", "b"]
        assert hears.told == []
        assert [line["cure"] for line in lines(out, "consumer.untold")] == ["grant it"] * 2

    def test_where_vault_does_not_answer_it_is_asked_once(self, world: World) -> None:
        world.keys = (told("http://x", "a", "b"), told("http://x", name="Second", path="apimall/second"))
        world.concurrency = 1
        store = Unreadable(world.memory, Transient("GET: no answer", ambiguous=False))
        world.store = store
        with captured() as out:
            world.make_pass()
        assert store.asked == [True]
        assert len(lines(out, "consumer.untold")) == 1
        assert [sorted(result.untold) for result in world.log[-1].keys] == [["a", "b"], ["batch"]]
        assert world.log[-1].converged

    def test_after_a_stop_no_confirmation_is_read(self, world: World) -> None:
        world.keys = (told("http://x", "a", "b"),)
        store = Unreadable(world.memory, DOWN)
        world.store = store
        result = world.one()
        store.asked.clear()
        world.stopping.request()
        with world.account() as account:
            seen = observe(replace(account, stopping=Stopping()), dry_run=False)
            assert Telling(account, seen).tell([result]) == {"Backend": ["a", "b"]}
        assert store.asked == []

    def test_where_the_pass_is_over_it_is_said_once_who_is_left(self, world: World) -> None:
        """Else a rate limit that uses up each pass would let consumers wait without a word."""
        hears = world.tell = Hears()
        world.keys = (told("http://x", "a", "b"),)
        world.store = Unreadable(world.memory, NotReached())
        with captured() as out:
            assert sorted(world.one().untold) == ["a", "b"]
        [line] = lines(out, "consumer.untold")
        assert (hears.told, "raise pass_deadline" in line["cure"]) == ([], True)
        assert world.log[-1].converged

    def test_nobody_is_told_what_could_not_be_recorded(self, world: World) -> None:
        """Else it would be told in each pass."""
        hears = world.tell = Hears()
        world.keys = (told("http://x"),)
        world.memory.missing[ACK] = f"create, update on secret/data/{ACK}"
        with captured() as out:
            assert world.one().untold == ("batch",)
        assert hears.told == []
        [line] = lines(out, "consumer.untold")
        assert f"lacks create, update on secret/data/{ACK}" in line["error"]
        assert line["cure"] == "grant it in the token's policy"
        assert not world.log[-1].failed

    def test_where_vault_does_not_say_what_may_be_written(self, world: World) -> None:
        hears = world.tell = Hears()
        world.keys = (managed(),)
        world.make_pass()
        world.keys = (told("http://x", "a", "b"),)
        world.store = Silent(world.memory)
        with captured() as out:
            assert sorted(world.one().untold) == ["a", "b"]
        [line] = lines(out, "consumer.untold")
        assert (hears.told, line["error"], line["left"]) == ([], "down", 1)


def test_in_metrics(world: World) -> None:
    world.keys, world.tell = (told("http://127.0.0.1:1"),), over_http().tell
    metrics, shown = Metrics(), snapshot(passed(world.make_pass(), world.local_now()))
    metrics.follow(lambda: shown)
    found = [
        line for line in metrics.exposition().decode().splitlines() if line.startswith("rotator_key_untold{")
    ]
    assert found == ['rotator_key_untold{consumer="batch",key="Backend"} 1.0']


def test_it_stays_in_the_metrics_while_the_secret_cannot_be_read(world: World) -> None:
    world.keys, world.tell = (told("http://127.0.0.1:1"),), over_http().tell
    before = passed(world.make_pass(), world.local_now())
    world.memory.put(PATH, {"api_key": 1})  # nothing is read of it, so nobody is told
    after = world.make_pass()
    assert after.keys[0].plan is None
    shown = snapshot(passed(after, world.local_now()), before)
    assert [key.untold for key in key_statuses(shown)] == [("batch",)]
