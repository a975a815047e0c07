"""One answer, preview, record or clock that lies, or says nothing: each was enough for a wrong act once."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from rotator.clients.answers import Answer
from rotator.clients.gateway.answers import GatewayAnswer
from rotator.errors import Rejected
from rotator.passes.reconcile import reconcile
from rotator.passes.result import Outcome
from rotator.passes.rollback import NotRolledBack
from rotator.redaction import redact
from rotator.rules.model import Version
from rotator.rules.times import format_time
from rotator.sandbox.dates import Dated
from rotator.sandbox.disguises import plaintexts, previews, titles
from rotator.sandbox.faults import ALWAYS, Body, Fault, Phase, Rewrite, Status, data_with
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.replies import Reply
from tests.facts import PATH, managed
from tests.memory_store import MemoryStore
from tests.stores import StoreWrapper
from tests.witness import edit, is_live, rotated, tell
from tests.world import CLAIMS, STATE, World

OTHER = "apimall/other"
SILENT = Quirks(previews=previews("empty"), revokes_itself=True)


@pytest.fixture
def dated(world: World) -> World:
    """A world whose Vault says when each version was written."""
    world.store = MemoryStore(clock=world.server.account.clock.now)
    return world


def two(world: World) -> None:
    world.keys = (managed(), replace(managed(), name="Other", path=OTHER))


class TestTheAnswerToACreate:
    def test_another_creates_answer_revokes_nothing(self, world: World) -> None:
        """As an answer that was cached, or crossed with another one."""
        two(world)
        world.concurrency = 1
        answers: list[Reply] = []

        def crossed(reply: Reply | None) -> Reply | None:
            answers.extend([reply] if reply else [])
            return answers[0]

        world.server.faults.add(Fault("POST /keys", crossed, at=Phase.AFTER, times=2))
        told = tell(world)
        assert is_live(world, world.rotation()["key_id"])
        assert world.works()
        assert told.code == 1
        assert told.names("another title", "not revoked")

    @pytest.mark.parametrize("echoed", [False, True])
    def test_a_persons_key_is_never_ours(self, world: World, echoed: bool) -> None:
        """Nor when the answer echoes the title as it was sent: the list calls the key something else."""
        theirs = []

        def theirs_instead(envelope: Any) -> Any:
            key = world.server.account.create("somebody's laptop")
            theirs.append(key)
            title = envelope["data"]["title"] if echoed else key.title
            answer = {"id": key.id, "api_key": key.plaintext, "title": title}
            return {**envelope, "data": {**envelope["data"], **answer}}

        world.server.faults.add(Fault("POST /keys", Rewrite(theirs_instead), at=Phase.AFTER))
        for days in (0, 7, 1, 1, 7, 1):
            world.advance(days, minutes=1)
            told = tell(world)
            assert is_live(world, theirs[0].id)
        assert not echoed or told.names(str(theirs[0].id))


class TestDatesInABlock:
    """Who may write a secret may write any moment into it; Vault's own says since when another one stood there."""

    @pytest.mark.parametrize("since", ["2026-10-01T00:00:00Z", "1970-01-01T00:00:00Z"])
    def test_one_that_was_put_back_ends_no_grace(self, dated: World, since: str) -> None:
        old, _ = rotated(dated)
        edit(dated, superseded={str(old): since})
        for minutes in (1, 60 * 12):
            dated.advance(0, minutes=minutes)
            tell(dated)
            assert is_live(dated, old)
        dated.advance(1)
        assert tell(dated).code == 0
        assert not is_live(dated, old)

    def test_what_an_operator_ended_goes_at_once(self, dated: World) -> None:
        leaked = dated.one().key_id
        dated.contain()
        assert not is_live(dated, leaked)
        assert dated.works()


class TestOtherSecrets:
    def test_while_one_cannot_be_read_nothing_goes_that_it_may_hold(self, world: World) -> None:
        two(world)
        old, _ = rotated(world)
        world.memory.put(OTHER, {"api_key": json.loads(str(world.memory.versions[PATH][0]))["api_key"]})

        class Closed(StoreWrapper):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == OTHER:
                    raise Rejected("403", status=403)
                return super().read(path, version, once=once)

        world.advance(1, minutes=1)
        assert tell(world, partial(World.make_pass, store=Closed(world.memory))).code == 1
        assert is_live(world, old)

    def test_a_plaintext_that_stands_in_another_is_known_by_its_text(self, world: World) -> None:
        two(world)
        world.keys = (world.keys[0], replace(world.keys[1], cadence=managed().cadence, name="Other"))
        world.server.account.quirks = SILENT
        only = frozenset({"Backend"})
        world.make_pass(only=only)
        shared = world.rotation()["key_id"]
        world.memory.put(OTHER, {"api_key": world.secret()["api_key"]})
        world.make_pass(only=only, forced=True)
        for _ in range(3):
            world.advance(1, minutes=1)
            world.make_pass(only=only)
            assert is_live(world, shared)


class TestTheBearer:
    def test_one_false_preview_does_not_say_that_it_is_another(self, world: World) -> None:
        """No version is left that held it, and the list shows the preview of nobody for it alone."""
        world.store = MemoryStore(max_versions=1)
        world.make_pass()
        bearer = world.rotation()["key_id"]
        world.bearer = world.secret()["api_key"]
        rows = Rewrite(
            lambda envelope: {
                **envelope,
                "data": [
                    {**row, "key_preview": "sk-zzzz...zzzz"} if row["id"] == bearer else row
                    for row in envelope["data"]
                ],
            }
        )
        world.server.account.quirks = Quirks(revokes_itself=True)
        world.server.faults.add(Fault("GET /keys", rows, at=Phase.AFTER, times=ALWAYS))
        for days in (7, 1, 1, 7, 1):
            world.advance(days, minutes=1)
            assert tell(world).code != 3
            assert is_live(world, bearer)


class TestTheSuccessor:
    def test_a_probe_that_takes_anything_does_not_outweigh_the_list(self, world: World) -> None:
        """A cache answers for the balances; a person has revoked the current key, and the list says so."""
        old, current = rotated(world)
        world.server.account.revoke(current)
        cached = Body(b'{"success": true, "data": {}}')
        world.server.faults.add(Fault("GET /account/balances", cached, times=ALWAYS))
        world.advance(1, minutes=1)
        tell(world)
        assert world.works()
        assert world.rotation()["key_id"] not in (old, current)

    def test_one_that_the_list_calls_dead_lets_nobody_go_though_it_works(self, world: World) -> None:
        old, current = rotated(world)
        world.server.account.quirks = Quirks(statuses={current: "revoked"})
        world.advance(1, minutes=1)
        told = tell(world)
        assert is_live(world, old)
        assert told.code == 1
        assert told.names("is not listed as live")


class TestHistory:
    def test_one_that_began_anew_proves_no_orphan(self, dated: World) -> None:
        """All of the secret was deleted, and a saved version put back: what stood there since is unknown."""
        dated.make_pass()
        first = dated.secret()
        dated.advance(0, minutes=30)
        dated.make_pass(forced=True)
        current = dated.rotation()["key_id"]
        dated.advance(0, minutes=30)
        del dated.memory.versions[PATH]
        for number in (1, 2):
            dated.memory.written.pop((PATH, number), None)
        dated.memory.write(PATH, first, cas=0)
        for _ in range(3):
            tell(dated)
            assert is_live(dated, current)
            dated.advance(0, minutes=20)

    def test_a_version_that_names_a_key_says_that_it_is_no_orphan(self, world: World) -> None:
        """Its claim was edited, and somebody wrote over the secret since."""
        _, current = rotated(world)
        claims = world.secret(CLAIMS)
        claims["claims"][-1] |= {"version": 3, "at": "2026-10-01T00:00:00Z"}
        world.memory.put(CLAIMS, claims)
        world.memory.put(PATH, {"api_key": world.server.account.create("by hand").plaintext})
        world.advance(0, minutes=30)
        tell(world)
        assert is_live(world, current)

    @pytest.mark.parametrize("how", ["empty", "weak"])
    def test_what_was_patched_back_has_a_grace_when_it_is_replaced(self, world: World, how: str) -> None:
        """The previews do not tell which of two keys the plaintext is."""
        world.server.account.quirks = Quirks(previews=previews(how))
        old, _ = rotated(world)
        world.advance(0.5)
        world.memory.put(
            PATH, {**world.secret(), "api_key": json.loads(str(world.memory.versions[PATH][0]))["api_key"]}
        )
        world.advance(1)
        world.make_pass(forced=True)
        for _ in range(3):
            world.make_pass()
            assert is_live(world, old)
            world.advance(0, minutes=60)

    @pytest.mark.parametrize("patched", [False, True])
    def test_a_rollback_where_every_plaintext_fits_every_preview(self, world: World, patched: bool) -> None:
        """The block of a version says which key it held, not a preview that fits them all."""
        world.server.account.quirks = Quirks(
            plaintexts=plaintexts("project"), previews=lambda plaintext: f"{plaintext[:8]}..."
        )
        old, current = rotated(world)
        before = json.loads(str(world.memory.versions[PATH][0]))["api_key"]
        if patched:
            world.memory.put(PATH, {**world.secret(), "note": "by hand"})
        try:
            assert world.roll_back().current == old
        except NotRolledBack:
            assert patched  # which key the secret holds cannot be told
            assert world.rotation()["key_id"] == current
        else:
            assert world.secret()["api_key"] == before


class TestTime:
    def test_a_doubt_lasts_for_a_pass(self, world: World) -> None:
        """The long-running mode keeps its clients; one wrong Date must not hold it back for ever."""
        old, _ = rotated(world)
        world.advance(1, minutes=1)
        world.server.faults.add(Fault("GET /keys", Dated("+2d"), at=Phase.AFTER))
        with world.account() as account:
            assert reconcile(account).failed
            assert is_live(world, old)
            assert not reconcile(account).failed
            assert not is_live(world, old)

    def test_a_key_that_the_list_dates_ahead_is_tried_when_it_is_missing(self, world: World) -> None:
        world.server.account.quirks = Quirks(
            lists_revoked=False, times=lambda at: (at + timedelta(hours=8)).isoformat(timespec="milliseconds")
        )
        dead = world.one().key_id
        assert dead
        world.server.account.revoke(dead)
        world.advance(0, minutes=10)
        tell(world)
        assert world.works()


MORE: list[dict[str, Any]] = [
    {"next_cursor": "abc"},
    {"next": "/keys?cursor=abc"},
    {"nextPageToken": "abc"},
    {"total_pages": 3},
    {"last_page": "3"},
    {"totalCount": 26},
    {"total_keys": 26},
    {"keyCount": 26},
    {"num_keys": 26},
    {"total": "26"},
    {"count": 26},
    {"remaining": 6},
    {"cursor": "abc"},
    {"continuation_token": "abc"},
    {"truncated": True},
    {"is_truncated": "true"},
    {"incomplete_results": True},
    {"complete": False},
    {"is_last": False},
    {"last_page": False},
    {"pagination": {"next_page": 2}},
    {"_links": {"next": {"href": "/keys?page=2"}}},
    {"meta": {"total": 26}},
    {"meta": {"pagination": {"total": 26}}},
    {"meta": {"list": {"page_info": {"has_next_page": True}}}},
]
NO_MORE: list[dict[str, Any]] = [
    {"total": "2", "total_pages": 1, "has_more": False, "next": None, "remaining": 0},
    {"total": 2.0, "complete": True, "is_last": True, "truncated": False},
    {"has_more": "false", "cursor": "abc"},
    {"page_info": {"end_cursor": "abc", "has_next_page": False}},
    {"last": "/keys?page=1", "next": "", "error": None, "errors": []},
]
OF_SOMETHING_ELSE: list[dict[str, Any]] = [
    {"rate_limit": {"total": 120, "remaining": 119}},
    {"meta": {"quota": {"total_keys": 100, "remaining": 98}}},
    {"usage": {"total_tokens": 9000, "total": 9000}},
    {"meta": {"total_credits": 9000, "next_maintenance": "2026-12-01", "token": "abc"}},
    {"completed_at": None, "lasting": False},
]


def beside(world: World, fields: dict[str, Any], *, paged: bool) -> None:
    """Let the list be answered with these fields beside its rows, of which there are two."""

    def said(envelope: Any) -> Any:
        return (
            {**envelope, "data": {"items": envelope["data"], **fields}} if paged else {**envelope, **fields}
        )

    world.server.faults.add(Fault("GET /keys", Rewrite(said), at=Phase.AFTER, times=ALWAYS))


def http(world: World, change: Callable[[Reply], Reply]) -> None:
    """Let the list be answered with what is changed of an answer."""

    def changed(reply: Reply | None) -> Reply | None:
        return reply and change(reply)

    world.server.faults.add(Fault("GET /keys", changed, at=Phase.AFTER, times=ALWAYS))


class TestLists:
    @pytest.mark.parametrize("counters", MORE, ids=json.dumps)
    @pytest.mark.parametrize("paged", [False, True])
    def test_a_counter_of_any_name_is_heeded(
        self, world: World, counters: dict[str, Any], paged: bool
    ) -> None:
        world.one()
        beside(world, counters, paged=paged)
        assert tell(world).names("the list contradicts itself")

    @pytest.mark.parametrize("counters", [*NO_MORE, *OF_SOMETHING_ELSE], ids=json.dumps)
    @pytest.mark.parametrize("paged", [False, True])
    def test_what_says_that_it_is_whole_or_counts_something_else_is_no_fault(
        self, world: World, counters: dict[str, Any], paged: bool
    ) -> None:
        world.one()
        beside(world, counters, paged=paged)
        assert tell(world).code == 0

    @pytest.mark.parametrize("letters", ["9.0", "9e0", "1e400", "9" * 5000, '"9"'])
    def test_a_total_in_other_letters_is_heeded(self, world: World, letters: str) -> None:
        world.one()
        http(world, lambda reply: replace(reply, body=reply.body[:-1] + f', "total": {letters}}}'.encode()))
        assert tell(world).names("the list contradicts itself")

    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (200, {"Link": '</keys?page=1>; rel="prev", </keys?page=2>; rel="next"'}),
            (200, {"link": "</keys?page=2>; rel=next"}),
            (200, {"X-Total-Count": "9"}),
            (200, {"X-Total": "9"}),
            (200, {"X-Total-Pages": "2"}),
            (200, {"X-Next-Page": "2"}),
            (200, {"X-Has-More": "true"}),
            (200, {"Content-Range": "items 0-1/9"}),
            (206, {"Content-Range": "0-1/9"}),
            (206, {"Content-Range": "items 0-1/*"}),
            (206, {}),
        ],
    )
    def test_a_header_or_a_status_is_heeded(self, world: World, status: int, headers: dict[str, str]) -> None:
        world.one()
        http(world, lambda reply: replace(reply, status=status, headers={**reply.headers, **headers}))
        assert tell(world).names("the list contradicts itself")

    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (200, {"Link": '</keys?page=1>; rel="last", </style>; rel="preload"; as="next.css"'}),
            (200, {"X-Total-Count": "2", "X-Next-Page": "", "X-Has-More": "false"}),
            (200, {"X-RateLimit-Remaining": "119", "X-Remaining": "119", "X-NextJS-Cache": "HIT"}),
            (206, {"Content-Range": "items 0-1/2"}),
        ],
    )
    def test_a_header_that_says_that_it_is_whole_or_speaks_of_something_else_is_no_fault(
        self, world: World, status: int, headers: dict[str, str]
    ) -> None:
        world.one()
        http(world, lambda reply: replace(reply, status=status, headers={**reply.headers, **headers}))
        assert tell(world).code == 0

    def test_an_error_beside_a_success_is_no_success(self, world: World) -> None:
        world.one()
        said = {"error": {"code": "partial", "message": "shard 2 is down"}}
        beside(world, said, paged=False)
        told = tell(world)
        assert told.code == 3
        assert told.names("with an error beside its `success` (partial: shard 2 is down)")

    def test_of_a_key_that_comes_twice_the_live_row_counts(self, world: World) -> None:
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.one()
        twice = Rewrite(
            lambda envelope: {
                **envelope,
                "data": [*envelope["data"], {**envelope["data"][1], "status": "revoked"}],
            }
        )
        world.server.faults.add(Fault("GET /keys", twice, at=Phase.AFTER, times=ALWAYS))
        world.advance(7)
        world.one()
        assert str(by_hand.id) in world.rotation()["superseded"]

    def test_one_without_the_current_key_lets_nothing_be_forgotten(self, world: World) -> None:
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        for days in (0, 7, 8):
            world.advance(days)
            world.one()
        empty = Rewrite(lambda envelope: {**envelope, "data": []})
        world.server.faults.add(Fault("GET /keys", empty, at=Phase.AFTER, times=ALWAYS))
        tell(world, partial(World.make_pass, forced=True))
        assert str(by_hand.id) in world.rotation()["superseded"]


class TestNoMoreThanAFew:
    @pytest.mark.parametrize("versions", [1, 10])
    def test_keys_whose_titles_are_cut_go_all_the_same(self, world: World, versions: int) -> None:
        world.store = MemoryStore(max_versions=versions)
        world.server.account.quirks = Quirks(titles=titles("cut 20"))
        for _ in range(6):
            for days in (7, 1, 1):
                world.advance(days, minutes=1)
                world.make_pass()
        assert len(world.live) == 1

    @pytest.mark.parametrize("forced", [False, True])
    def test_creates_of_which_nothing_is_seen_come_to_an_end(self, world: World, forced: bool) -> None:
        """They make a key and fail, and the list does not show it as ours."""
        if forced:
            world.one()
        world.server.account.quirks = Quirks(titles=titles("cut 20"))
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        for _ in range(8):
            world.advance(0, minutes=20)
            told = tell(world, partial(World.make_pass, forced=forced))
            assert told.code == 1
        assert len(world.live) <= 9

    def test_an_outage_that_makes_nothing_holds_nothing_back(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), times=ALWAYS))
        for _ in range(8):
            world.advance(0, minutes=20)
            world.make_pass()
        world.server.faults.clear()
        assert world.one().outcome is Outcome.DONE


class TestRecords:
    def test_an_identity_of_which_secrets_still_speak_is_lost_and_not_new(self, world: World) -> None:
        world.make_pass()
        del world.memory.versions[STATE]
        assert tell(world).names("was deleted", "renew")
        assert STATE not in world.memory.versions

    def test_a_secret_of_somebodys_where_claims_are_kept_is_not_written_over(self, world: World) -> None:
        world.memory.put(CLAIMS, {"password": "theirs"})
        assert tell(world).names(CLAIMS, "nothing was written over it")
        assert world.secret(CLAIMS) == {"password": "theirs"}
        assert world.posts() == 0

    def test_a_plaintext_in_a_field_of_before_is_named(self, world: World) -> None:
        world.one()
        world.keys = (replace(managed(), field="token"),)
        world.advance(8)
        for _ in range(3):
            told = tell(world)
            world.advance(1, minutes=1)
        assert told.names("the field api_key holds the plaintext of key 2", "is revoked", "remove")

    def test_a_plaintext_in_a_request_id_is_not_shown(self) -> None:
        plaintext = "of-a-form-that-nobody-knows-0123456789"
        body = {"success": True, "data": {"api_key": plaintext}, "request_id": plaintext}
        answer: Answer = GatewayAnswer("POST /keys", 200, {}, json.dumps(body).encode())
        assert plaintext not in str(answer.request_id)
        assert plaintext not in redact(f"x {plaintext}")


def test_a_key_dated_in_the_year_9999_is_rolled_back_from(world: World) -> None:
    old, _ = rotated(world)
    world.server.account.quirks = Quirks(times=lambda _: "9999-12-31T23:59:59.999Z")
    assert world.roll_back().current == old
    (since,) = world.rotation()["superseded"].values()
    assert since == format_time(world.server.account.clock.now())


def test_what_was_revoked_and_cannot_be_verified_is_no_success(world: World) -> None:
    old, _ = rotated(world)
    world.advance(1, minutes=1)

    def then_refuse(reply: Reply | None) -> Reply | None:
        world.server.faults.add(Fault("GET /keys", Status(400), times=ALWAYS))
        return reply

    world.server.faults.add(Fault("DELETE /keys/*", then_refuse, at=Phase.AFTER))
    assert tell(world).code == 1
    assert not is_live(world, old)


def test_the_block_keeps_the_titles_of_what_it_names_and_no_others(world: World) -> None:
    first = world.one().key_id
    sent = world.rotation()["title"]
    for days in (7, 1, 7):
        world.advance(days, minutes=1)
        world.one()
        named = world.rotation()
        titles = named.get("titles", {})
        assert titles.keys() == named["superseded"].keys()
        assert titles.get(str(first), sent) == sent
    assert str(first) not in titles


def test_the_answer_of_a_create_may_lack_its_title(world: World) -> None:
    world.server.faults.add(Fault("POST /keys", data_with(title=None), at=Phase.AFTER))
    assert world.one().outcome is Outcome.DONE
