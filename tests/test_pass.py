"""Whole passes: the real gateway client over HTTP, and a store in memory. Each test tells a story."""

import json
from dataclasses import asdict, replace
from uuid import uuid4

import pytest

from rotator.errors import Denied, Rejected, RotatorError, Transient
from rotator.passes.observe import observe
from rotator.passes.result import Action, Outcome
from rotator.redaction import MARK, redact
from rotator.rules.holds import Hold
from rotator.rules.model import Version
from rotator.rules.times import format_time
from rotator.sandbox.faults import ALWAYS, GARBAGE, Fault, Phase, Status
from rotator.sandbox.ledger import Quirks
from tests.facts import PATH, at, managed
from tests.leaks import leaks
from tests.logs import captured
from tests.stores import CUT, DOWN, Faulty, StaleAtFirst
from tests.world import STATE, World


class TestTheLifeOfAKey:
    def test_first_rotation_period_grace_and_revocation(self, world: World) -> None:
        first = world.one()
        assert (first.outcome, first.plan and first.plan.reason) == (Outcome.DONE, "missing")
        assert world.works()
        old = world.rotation()["key_id"]

        world.advance(6.9)
        assert world.one().action is Action.NONE

        world.advance(0.1)
        assert world.one().plan.reason == "due"  # type: ignore[union-attr]
        assert world.works()
        assert world.rotation()["superseded"] == {str(old): format_time(at(7))}
        assert len(world.live) == 2

        world.advance(0.9)
        assert world.one().revoked == ()
        world.advance(0.1)
        assert [done.key_id for done in world.one().revoked] == [old]
        assert [key.id for key in world.live] == [world.rotation()["key_id"]]
        assert all(result.converged for result in world.log)

    def test_the_layout_of_the_secret(self, world: World) -> None:
        world.one()
        (made,) = world.live
        assert world.secret() == {
            "api_key": made.plaintext,
            "rotation": {
                "version": 1,
                "key_id": made.id,
                "title": made.title,
                "created_at": "2026-11-01T00:00:00.000Z",
                "rotated_at": "2026-11-01T00:00:00Z",
                "superseded": {},
            },
        }
        assert made.title.startswith("Backend [2026-11-01T00:00:00Z ")

    def test_other_fields_of_the_secret_are_kept(self, world: World) -> None:
        others = {"endpoint": "https://x", "ünïcode": ["a", None, {"b": 1.5}], "big": 2**70, "flag": False}
        world.memory.put(PATH, others)
        world.one()
        world.advance(7)
        world.one()
        kept = world.secret()
        assert {name: kept[name] for name in others} == others

    def test_a_deleted_secret_is_written_on_top_of_its_last_version(self, world: World) -> None:
        world.one()
        world.memory.delete(PATH)
        result = world.one()
        assert (result.plan and result.plan.reason, result.outcome) == ("missing", Outcome.DONE)
        assert world.store.read(PATH).number == 2

    def test_a_key_revoked_by_hand_is_replaced_at_once(self, world: World) -> None:
        old = world.one().key_id
        assert old
        world.server.account.revoke(old)
        result = world.one()
        assert result.plan
        assert (result.plan.reason, result.outcome) == ("revoked", Outcome.DONE)
        assert world.works()
        assert world.rotation()["superseded"] == {}

    def test_a_key_that_the_list_omits_is_kept_while_it_works(self, world: World) -> None:
        old = world.one().key_id
        assert old
        world.advance(1)
        world.server.account.quirks = Quirks(omitted=frozenset({old}))
        result = world.one()
        assert result.action is Action.NONE
        assert "missing in the gateway's list" in result.warnings[0]
        assert world.posts() == 1


class TestIdentity:
    def test_it_is_made_once(self, world: World) -> None:
        first, second = world.make_pass(), world.make_pass()
        assert first.installation == second.installation
        (written,) = world.memory.versions[STATE]
        assert f'"installation": "{first.installation}"' in str(written)

    def test_a_lost_one_makes_the_old_family_foreign_and_leaves_it_alone(self, world: World) -> None:
        world.one()
        world.memory.versions.pop(STATE)
        world.advance(7)
        with pytest.raises(Transient, match="was deleted"):  # the secrets say that there was one
            world.one()
        world.memory.put(STATE, {"installation": "abcdef"})
        world.one()
        world.advance(30)
        result = world.make_pass(only=frozenset({"none of them"}))
        assert len(world.live) == 2
        assert not result.foreign  # the secret names it, and its own line tells of it
        assert [other.goes_at for other in world.one(dry_run=True).left] == [None]
        world.memory.delete(PATH)
        foreign = world.make_pass(only=frozenset({"none of them"})).foreign
        assert world.live[0].id in [key.id for key in foreign]

    def test_a_broken_one_stops_everything(self, world: World) -> None:
        world.memory.put(STATE, {"installation": "by hand"})
        with pytest.raises(
            Rejected, match=r"holds no identity: `installation` must be six hex digits"
        ) as raised:
            world.make_pass()
        assert str(raised.value.cure).startswith(
            "roll the secret back; if it is lost, make a new identity: `rotator installation renew`"
        )
        assert world.posts() == 0

    def test_a_stale_read_does_not_make_a_second_one(self, world: World) -> None:
        world.make_pass()
        stale = StaleAtFirst(world.memory, STATE)
        assert world.make_pass(store=stale).installation == world.log[0].installation
        assert len(world.memory.versions[STATE]) == 1

    def test_a_read_that_stays_stale_makes_no_second_one_either(self, world: World) -> None:
        world.make_pass()
        stale = StaleAtFirst(world.memory, STATE, times=100)
        with pytest.raises(Transient, match="was deleted"):
            world.make_pass(store=stale)
        assert all(stale.once[1:]), "what is repeated as a whole is not repeated within"
        assert len(world.memory.versions[STATE]) == 1


class TestThePass:
    def test_its_result_holds_no_plaintext(self, world: World) -> None:
        """It is kept for as long as it is shown."""
        world.one()
        world.advance(days=8)
        for result in (world.make_pass(), world.make_pass(dry_run=True)):
            assert leaks(repr(asdict(result)), [key.plaintext for key in world.server.account.keys]) == []

    def test_only_the_named_ones_are_acted_on(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))
        result = world.make_pass(only=frozenset({"Other"}))
        assert [key.key.name for key in result.keys] == ["Other"]
        assert PATH not in world.memory.versions

    def test_forced(self, world: World) -> None:
        world.one()
        result = world.one(forced=True)
        assert result.plan
        assert (result.plan.reason, result.outcome) == ("forced", Outcome.DONE)

    def test_one_broken_entry_does_not_stop_the_others(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))

        class Broken(Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == PATH:
                    raise Rejected("403", status=403, cure="grant it")
                return world.memory.read(path, version)

        with captured() as log:
            result = world.make_pass(store=Broken(world.memory))
        assert [key.outcome for key in result.keys] == [Outcome.FAILED, Outcome.DONE]
        assert not result.converged
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        assert {line["run_id"] for line in lines} == {result.run_id}
        (line,) = (line for line in lines if line["event"] == "rotation.failed")
        assert (line["key"], line["error"], line["cure"]) == ("Backend", "403", "grant it")

    def test_a_bug_in_one_entry_does_not_stop_the_others(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))

        class Buggy(Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == PATH:
                    raise ZeroDivisionError
                return world.memory.read(path, version)

        result = world.make_pass(store=Buggy(world.memory))
        assert [key.outcome for key in result.keys] == [Outcome.FAILED, Outcome.DONE]
        assert "unexpected ZeroDivisionError" in str(result.keys[0].errors[0])

    def test_a_clock_beyond_reason_is_doubted(self, world: World) -> None:
        world.one()
        world.advance(7100 * 365)
        result = world.make_pass()
        assert result.keys[0].plan
        assert result.keys[0].plan.hold is Hold.CLOCK
        assert result.failed

    def test_a_create_that_may_have_happened_is_a_change(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
        world.server.faults.add(Fault("POST /keys", Status(403), at=Phase.AFTER))
        result = world.make_pass()
        assert result.failed
        assert result.changed

    def test_an_account_that_refuses_us_is_left_as_it_is(self, world: World) -> None:
        world.server.faults.add(Fault("GET /keys", Status(403), times=2))
        with pytest.raises(Denied):
            world.make_pass()
        assert world.memory.versions == {}

    def test_a_plaintext_that_was_only_read_is_known_to_the_redaction(self, world: World) -> None:
        world.one()
        made = world.secret()["api_key"]
        plaintext = f"{made[:7]}-{uuid4()}-{made[-4:]}"  # fits, and does not look like a key
        world.memory.put(PATH, {**world.secret(), "api_key": plaintext})
        world.one(dry_run=True)
        assert redact(plaintext) == MARK

    def test_a_plaintext_that_fits_several_keys_protects_each_of_them(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.one()
        world.advance(7)
        monkeypatch.setattr("rotator.sandbox.ledger.secrets.token_hex", lambda _: f"0000{uuid4().hex}0000")
        old = world.one()
        world.server.account.create("Made by hand")
        monkeypatch.undo()
        held_elsewhere = world.secret()["api_key"]
        world.advance(7)
        world.one()
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))
        world.memory.put("apimall/other", {"api_key": held_elsewhere})
        world.advance(1)
        assert world.make_pass().keys[0].revoked == ()
        assert old.key_id in [key.id for key in world.live]

    def test_what_is_others_is_not_carried_along_by_each(self, world: World) -> None:
        world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(300))
        assert world.make_pass().converged
        with world.account() as account:
            seen = observe(account, dry_run=True)
        assert all(facts.protected == {} for facts in seen.facts.values())

    def test_progress_is_told(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))
        told: list[tuple[int, int]] = []
        world.make_pass(progress=lambda done, total: told.append((done, total)))
        assert told == [(0, 2), (1, 2), (2, 2)]

    @pytest.mark.parametrize("name", [name for name in GARBAGE if "api_key" not in name])
    def test_a_list_that_breaks_the_contract_changes_nothing(self, world: World, name: str) -> None:
        world.one()
        before = dict(world.memory.versions)
        world.advance(9)
        world.server.faults.add(Fault("GET /keys", GARBAGE[name], at=Phase.AFTER, times=ALWAYS))
        with pytest.raises(RotatorError) as raised:
            world.make_pass()
        assert str(raised.value).startswith("GET /keys: ")
        assert world.memory.versions == before
        assert world.posts() == 1


class TestStopping:
    def test_nothing_new_is_begun(self, world: World) -> None:
        world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(20))

        def stop_at_first_create(method: str, _path: str, phase: Phase) -> None:
            if (method, phase) == ("POST", Phase.BEFORE):
                world.stopping.request()

        world.server.hook = stop_at_first_create
        result = world.make_pass()
        outcomes = [key.outcome for key in result.keys]
        assert set(outcomes) == {Outcome.DONE, Outcome.STOPPED}
        assert outcomes.count(Outcome.DONE) == len(world.live) <= 4
        assert all(world.works(key.key.path) for key in result.keys if key.outcome is Outcome.DONE)

    def test_a_pass_that_was_stopped_has_not_converged_and_has_not_failed(self, world: World) -> None:
        world.server.hook = lambda _method, _path, phase: (
            world.stopping.request() if phase is Phase.AFTER else None
        )
        world.one()  # the identity is made after the list
        result = world.log[-1]
        assert (result.stopped, result.converged, result.failed) == (True, False, 0)

    def test_what_was_created_is_stored_though_it_takes_a_while(self, world: World) -> None:
        store = Faulty(world.memory)
        store.before = [CUT, DOWN, CUT]
        world.server.hook = lambda method, _path, phase: (
            world.stopping.request() if (method, phase) == ("POST", Phase.AFTER) else None
        )
        assert world.one(store=store).outcome is Outcome.DONE
        assert world.works()
