"""Create, prove, store: what can go wrong at each, and what becomes of the new key."""

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import Denied, Rejected
from rotator.passes.result import Outcome
from rotator.rules.claims import MOST
from rotator.rules.holds import Hold
from rotator.rules.model import Version
from rotator.rules.times import format_time
from rotator.rules.titles import TitleTemplate
from rotator.sandbox.faults import ALWAYS, Cut, Delay, Fault, Phase, Rewrite, Status, data_with, data_without
from rotator.sandbox.ledger import Lag, Quirks
from rotator.sandbox.replies import Reply
from tests.facts import PATH, managed
from tests.stores import CUT, Faulty, Paused, StaleAtFirst
from tests.world import CLAIMS, World


def changed(how: Callable[[bytes], bytes]) -> Callable[[Reply | None], Reply | None]:
    """Change the letters of an answer."""
    return lambda reply: reply and replace(reply, body=how(reply.body))


class TestCreate:
    @pytest.mark.parametrize("do", [Status(500), Cut(), Status(503), data_with(id="x")])
    def test_what_an_ambiguous_attempt_left_behind_is_swept(self, world: World, do: object) -> None:
        world.server.faults.add(Fault("POST /keys", do, at=Phase.AFTER))  # type: ignore[arg-type]
        world.one()
        world.advance(0, minutes=14)
        world.one()
        world.advance(0, minutes=1)
        world.one()
        assert world.works()
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    def test_each_attempt_has_a_title_of_its_own(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=2))
        world.one()
        titles = [key.title for key in world.server.account.keys[1:]]
        assert len(set(titles)) == 3

    def test_refusals_that_were_not_executed_are_repeated(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(429, retry_after="1"), times=3))
        assert world.one().outcome is Outcome.DONE
        assert len(world.live) == 1

    def test_ambiguous_attempts_are_bounded_by_the_orphans_that_may_live(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        for _ in range(6):
            world.make_pass()
            world.advance(0, minutes=3)
            assert len(world.live) <= 3
        world.server.faults.clear()
        world.advance(0, minutes=15)
        world.make_pass()
        world.advance(0, minutes=15)
        assert world.make_pass().converged
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]

    def test_orphans_that_live_already_count(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(400), at=Phase.AFTER))
        world.one()
        assert len(world.live) == 1
        world.advance(0, minutes=5)
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        world.one()
        assert len(world.live) == 3

    @pytest.mark.parametrize("status", [400, 404])
    def test_a_refusal_is_final_for_this_managed_key_alone(self, world: World, status: int) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))
        world.server.faults.add(Fault("POST /keys", Status(status)))
        result = world.make_pass()
        assert sorted(key.outcome for key in result.keys) == [Outcome.DONE, Outcome.FAILED]
        (failed,) = [key for key in result.keys if key.failed]
        assert failed.errors[0].request_id

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_bearer_stops_the_account(self, world: World, status: int) -> None:
        world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(20))
        world.server.faults.add(Fault("GET /keys", Delay(0)), Fault("* *", Status(status), times=ALWAYS))
        result = world.make_pass()
        assert isinstance(result.refused, Denied)
        assert not result.changed
        assert all(key.errors[0].request_id and key.errors[0].cure for key in result.keys)
        assert world.posts() <= 4  # one for each worker

    @pytest.mark.parametrize("status", [401, 403])
    def test_what_is_refused_for_one_key_is_that_keys_alone(self, world: World, status: int) -> None:
        world.concurrency = 1
        world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(4))
        world.server.faults.add(Fault("POST /keys", Status(status), times=2))
        result = world.make_pass()
        assert result.refused is None
        failed = [key for key in result.keys if key.failed]
        assert len(failed) == (1 if status == 401 else 2)
        assert "the gateway accepts the bearer for other requests" in failed[0].errors[0].message

    def test_one_401_among_good_answers_is_asked_again(self, world: World) -> None:
        for on in ("GET /keys", "POST /keys"):
            world.server.faults.add(Fault(on, Status(401)))
        assert world.make_pass().converged

    @pytest.mark.parametrize(
        "answer",
        [
            lambda reply: replace(reply, status=201),
            lambda reply: replace(reply, body=b"\xef\xbb\xbf" + reply.body),
            lambda reply: replace(reply, body=reply.body.decode().encode("utf-16")),
            lambda reply: replace(reply, body=reply.body.replace(b'{"', b'{"owner": "Ren\xe9", "', 1)),
            Rewrite(
                lambda envelope: {**envelope, "data": {**envelope["data"], "id": str(envelope["data"]["id"])}}
            ),
            lambda reply: replace(
                reply, body=gzip.compress(reply.body), headers={"Content-Encoding": "gzip"}
            ),
            data_without("created_at", "title"),
            data_with(created_at="today"),
            Rewrite(lambda envelope: {**envelope, "success": "yes"}),
            changed(lambda body: re.sub(rb'("api_key": ?")([^"]*)', rb"\1 \2\\n", body)),
            data_with(title=5),
            data_with(title={"en": "Backend"}),
            changed(lambda body: re.sub(rb'"id": ?([0-9]+)', rb'"id": \1.0', body)),
            changed(lambda body: body.replace(b"{", b'{"note": "a\x01b", ', 1)),
            changed(lambda body: body + b"\n<!-- by the CDN -->"),
            changed(lambda body: b")]}',\n" + body),
            changed(lambda body: b"{} " + body),
            changed(lambda body: body.replace(b"{", b'{"note": ' + b"[" * 120 + b"]" * 120 + b", ", 1)),
            changed(lambda body: body.replace(b"{", b'{"note": ' + b"[" * 9000 + b"]" * 9000 + b", ", 1)),
            changed(lambda body: body[: body.rindex(b"}")]),
            Rewrite(lambda envelope: {"key": envelope["data"]}),
        ],
        ids=[
            "201",
            "BOM",
            "UTF-16",
            "Latin-1",
            "id in quotes",
            "gzip",
            "no time",
            "no such time",
            "no such success",
            "space around the key",
            "a number for a title",
            "an object for a title",
            "id 2.0",
            "a control character",
            "text after it",
            "text before it",
            "another object before it",
            "deep",
            "too deep to be read",
            "its last brace missing",
            "elsewhere",
        ],
    )
    def test_a_plaintext_in_hand_is_not_thrown_away(self, world: World, answer: Any) -> None:
        world.server.faults.add(Fault("POST /keys", answer, at=Phase.AFTER))
        assert world.one().outcome is Outcome.DONE
        assert world.works()
        assert world.posts() == 1

    @pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"", b'{"success": true}', b"{" * 50_000])
    def test_that_there_is_none_is_not_blamed_on_the_url(self, world: World, body: bytes) -> None:
        """The list came from it."""
        world.server.faults.add(Fault("POST /keys", changed(lambda _: body), at=Phase.AFTER))
        (error,) = world.one().errors
        assert "POST /keys: the answer breaks the contract: " in error.message
        assert str(error.cure).startswith("if a key was made all the same")

    def test_an_answer_without_the_plaintext_is_final_and_its_key_is_swept(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_without("api_key"), at=Phase.AFTER))
        result = world.one()
        assert result.outcome is Outcome.FAILED
        assert "data.api_key is missing" in str(result.errors[0])
        assert world.posts() == 1

    def test_a_title_that_the_gateway_changed_is_refused_and_its_key_revoked(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_with(title="Backend"), at=Phase.AFTER))
        result = world.one()
        (error,) = result.errors
        assert error.request_id == next(
            line.request_id for line in world.server.requests if line.method == "POST"
        )
        assert str(error.cure).startswith("choose a title_template")
        assert world.live == []

    def test_a_key_that_existed_before_is_refused_and_left_alone(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_with(id=1), at=Phase.AFTER))
        result = world.one()
        (error,) = result.errors
        assert error.message.endswith("answered with key 1, which existed before")
        assert error.request_id == world.server.requests[-1].request_id
        assert world.server.account.keys[0].live


class TestProve:
    def test_propagation_is_waited_for(self, world: World) -> None:
        world.server.account.quirks = Quirks(propagation=Lag(requests=5))
        assert world.one().outcome is Outcome.DONE
        assert world.works()

    def test_a_key_that_never_works_is_revoked_and_not_published(self, world: World) -> None:
        world.impatient()
        world.server.account.quirks = Quirks(propagation=Lag(by=timedelta(days=1)))
        result = world.one()
        assert result.outcome is Outcome.FAILED
        assert "does not authenticate" in str(result.errors[0])
        assert result.errors[0].request_id
        assert world.live == []
        assert PATH not in world.memory.versions

    def test_without_the_balances_endpoint_the_list_is_asked(self, world: World) -> None:
        world.server.faults.add(Fault("GET /account/balances", Status(404), times=ALWAYS))
        assert world.one().outcome is Outcome.DONE
        assert world.works()

    @pytest.mark.parametrize("status", [402, 403, 404, 405, 408, 409, 410, 425, 429, 500])
    def test_a_probe_that_cannot_tell_is_not_a_no(self, world: World, status: int) -> None:
        """As an account without credits: the list takes the new key all the same."""
        world.server.faults.add(Fault("GET /account/balances", Status(status), times=ALWAYS))
        assert world.one().outcome is Outcome.DONE
        assert world.works()

    def test_a_prove_that_is_refused_with_403_fails_this_key_and_not_the_account(self, world: World) -> None:
        world.impatient()
        world.server.faults.add(Fault("GET /account/balances", Status(403), times=ALWAYS))
        world.server.faults.add(Fault("GET /keys", Delay(0)), Fault("GET /keys", Status(403), times=ALWAYS))
        result = world.make_pass()
        assert result.refused is None
        assert result.keys[0].errors[0].request_id
        assert "the rotator cannot tell whether the key works" in result.keys[0].errors[0].message


class TestASecondLookBeforeCreate:
    """The list and the secrets of a pass may be minutes old when a key's turn comes."""

    class Moved(Faulty):
        """A store whose secret is written by somebody else between the observation and the second look."""

        def __init__(self, world: World, data: Mapping[str, Any]) -> None:
            super().__init__(world.memory)
            self._world, self._data, self._looks = world, data, 0

        def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
            self._looks += path == PATH
            if path == PATH and self._looks == 2:
                self._world.memory.put(PATH, self._data)
            return self._world.memory.read(path, version, once=once)

    def test_what_another_rotator_has_rotated_is_left_as_it_is(self, world: World) -> None:
        world.one()
        result = world.one(store=self.Moved(world, {"api_key": "another"}), forced=True)
        assert result.outcome is Outcome.YIELDED
        assert world.posts() == 1

    def test_a_write_that_rotated_nothing_is_no_success(self, world: World) -> None:
        world.one()
        result = world.one(store=self.Moved(world, world.secret()), forced=True)
        assert result.outcome is Outcome.FAILED
        assert "did not rotate the key" in str(result.errors[0])
        assert world.posts() == 1


class TestTheClaim:
    """Of several rotators that decided the same, the one that writes the record of its intent makes a key."""

    def _claim(self, world: World, version: int) -> None:
        """Another rotator's, as it would write it now."""
        at = format_time(world.server.account.clock.now())
        kept = world.store.read(CLAIMS).data or {"claims": []}
        claim = {"version": version, "at": at, "nonces": ["0123abcd"]}
        world.memory.put(CLAIMS, {"claims": [*kept["claims"], claim]})

    @pytest.mark.parametrize("first", [True, False])
    def test_what_a_replica_claims_meanwhile_makes_no_second_key(self, world: World, first: bool) -> None:
        if not first:
            world.one()
            world.advance(7)
        before = world.posts()
        version = world.store.read(PATH).number + 1
        store = Paused(world.memory, lambda: self._claim(world, version), CLAIMS)
        assert world.one(store=store).outcome is Outcome.YIELDED
        assert world.posts() == before

    def test_what_a_replica_has_claimed_is_waited_for(self, world: World) -> None:
        self._claim(world, 1)
        held = world.one()
        assert held.plan
        assert held.plan.hold is Hold.IN_FLIGHT
        assert world.posts() == 0
        world.advance(minutes=2)
        assert world.one().outcome is Outcome.DONE

    def test_who_asked_for_a_key_is_told_that_another_makes_it(self, world: World) -> None:
        self._claim(world, 1)
        result = world.one(forced=True)
        assert "a claim on this key is 0s old: another rotator may be making a new key" in str(
            result.errors[0]
        )
        assert (
            "see whether a new key appears within 2m: `rotator status`; if none does, run this again"
            in str(result.errors[0].cure)
        )
        assert world.posts() == 0
        world.advance(minutes=2)
        assert world.one(forced=True).outcome is Outcome.DONE

    def test_one_of_which_no_key_came_holds_nobody_up(self, world: World) -> None:
        world.one()
        world.advance(7)
        world.server.faults.add(Fault("POST /keys", Status(400)))
        assert world.one().outcome is Outcome.FAILED
        assert world.one().outcome is Outcome.DONE
        assert world.works()

    def test_one_that_was_used_holds_nobody_up(self, world: World) -> None:
        assert [world.one(forced=True).outcome for _ in range(3)] == [Outcome.DONE] * 3

    def test_one_whose_answer_was_lost_is_ours(self, world: World) -> None:
        world.one()
        world.advance(7)
        store = Faulty(world.memory, CLAIMS)
        store.after = [CUT]
        assert world.one(store=store).outcome is Outcome.DONE
        assert world.posts() == 2

    def test_a_record_that_is_read_from_a_standby_that_lags_is_claimed_in_the_end(self, world: World) -> None:
        world.one()
        world.advance(7)
        assert world.one(store=StaleAtFirst(world.memory, CLAIMS)).outcome is Outcome.DONE
        assert world.posts() == 2

    def test_one_that_is_always_out_of_date_is_given_up(self, world: World) -> None:
        world.one()
        world.advance(7)
        world.memory.calls.clear()
        result = world.one(store=StaleAtFirst(world.memory, CLAIMS, times=10**6))
        assert "or a standby that lags behind answered" in str(result.errors[0])
        assert world.memory.calls.count(f"write {CLAIMS}") == world.policy.attempts
        assert world.posts() == 1

    def test_nor_does_it_hold_up_a_stop(self, world: World) -> None:
        world.one()
        world.advance(7)
        world.policy = replace(world.policy, attempts=0, deadline=60)
        store = StaleAtFirst(world.memory, CLAIMS, times=10**6)
        stopped = Paused(store, world.stopping.request, CLAIMS)
        assert world.one(store=stopped).outcome is Outcome.STOPPED
        assert world.posts() == 1

    def test_a_secret_that_a_person_wrote_meanwhile_costs_no_key(self, world: World) -> None:
        world.one()
        world.advance(7)
        by_hand = world.server.account.create("by hand")
        theirs = {"api_key": by_hand.plaintext}
        store = Paused(world.memory, lambda: world.memory.put(PATH, theirs), CLAIMS)
        assert world.one(store=store).outcome is Outcome.YIELDED
        assert world.posts() == 1

    def test_one_that_cannot_be_written_costs_no_key(self, world: World) -> None:
        world.one()
        world.advance(7)
        store = Faulty(world.memory, CLAIMS)
        store.before = [Rejected("read-only")]
        assert world.one(store=store).outcome is Outcome.FAILED
        assert world.posts() == 1

    def test_a_rotation_is_one_new_version_of_the_secret(self, world: World) -> None:
        for number in range(1, 5):
            assert world.one(forced=number == 3).outcome is Outcome.DONE
            assert len(world.memory.versions[PATH]) == number
            world.keys = (managed(grace=timedelta(days=300)),)
            world.advance(7)

    def test_the_record_stays_small_and_forgets_no_live_key(self, world: World) -> None:
        world.memory.max_versions = 1000
        orphan = self._orphan(world)
        for _ in range(MOST // 2 + 5):
            world.contain()
            world.server.faults.add(Fault("POST /keys", Status(400)))
            world.one(forced=True)  # a claim that came to nothing
        kept = (world.store.read(CLAIMS).data or {})["claims"]
        assert len(kept) <= MOST
        assert any(orphan in claim["nonces"] for claim in kept)

    def _orphan(self, world: World) -> str:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
        world.one()
        title = TitleTemplate().parse(world.server.account.keys[1].title)
        assert title
        return title.nonce


class TestTheBearer:
    def _managed(self, world: World) -> World:
        world.keys = (replace(managed(), name="Rotator", path="apimall/rotator"), managed())
        world.bearer_path = "apimall/rotator"
        return world

    def test_it_rotates_itself_last_and_goes_on_with_the_new_one(self, world: World) -> None:
        self._managed(world).make_pass()
        posts = [line for line in world.server.requests if line.method == "POST"]
        assert [line.bearer for line in posts] == [1, 1]
        assert world.rotation("apimall/rotator")["key_id"] == 3
        world.advance(7)
        world.make_pass()
        world.advance(1)
        result = world.make_pass()
        assert result.converged
        assert {key.id for key in world.live} == {
            world.rotation(path)["key_id"] for path in ("apimall/rotator", PATH)
        }
        assert world.server.account.bootstrap.live

    def test_a_401_makes_it_read_its_source_again(self, world: World) -> None:
        self._managed(world).make_pass()
        with world.account() as account:
            old = account.bearer.current()
            world.advance(7)
            world.make_pass()
            world.server.account.revoke(3)
            assert account.gateway.list_keys().keys
            assert account.bearer.current() != old

    def test_it_is_never_revoked(self, world: World) -> None:
        """The bearer's plaintext comes from a file that nobody renewed: it is the superseded key."""
        world.one()
        world.bearer = world.secret()["api_key"]
        world.advance(7)
        world.one()
        world.advance(2)
        result = world.one()
        assert result.revoked == ()
        assert "is the bearer" in result.warnings[0]
