"""Whole passes: the real gateway client over HTTP against the sandbox's gateway, and a store in memory.

Each test tells a story, day by day on the gateway's clock.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.bookkeeping import format_time
from rotator.errors import Denied, Rejected, RotatorError, Transient
from rotator.model import Version
from rotator.result import Action, Outcome, action_of
from rotator.sandbox.account import Lag, Quirks
from rotator.sandbox.faults import ALWAYS, GARBAGE, Cut, Fault, Phase, Status, data_with, data_without
from tests.facts import PATH, at, managed
from tests.memory_store import MemoryStore
from tests.world import STATE, World


class TestTheLifeOfAKey:
    def test_first_rotation_period_grace_and_revocation(self, world: World) -> None:
        first = world.one()
        assert (first.outcome, first.plan and first.plan.reason) == (Outcome.DONE, "missing")
        assert world.works()
        old = world.rotation()["key_id"]

        world.advance(6.9)
        assert action_of(world.one().plan) is Action.NONE  # type: ignore[arg-type]

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
        assert action_of(result.plan) is Action.NONE  # type: ignore[arg-type]
        assert "missing in the gateway's list" in result.warnings[0]
        assert world.posts() == 1


class TestIdentity:
    def test_it_is_made_once(self, world: World) -> None:
        first, second = world.make_pass(), world.make_pass()
        assert first.installation == second.installation
        assert world.memory.versions[STATE] == [f'{{"installation": "{first.installation}"}}']

    def test_a_lost_one_makes_the_old_family_foreign_and_leaves_it_alone(self, world: World) -> None:
        world.one()
        world.memory.versions.pop(STATE)
        world.advance(7)
        world.one()
        world.advance(30)
        result = world.make_pass(only=frozenset({"none of them"}))
        assert len(world.live) == 2
        assert [stranger.id for stranger in result.strangers] == [world.live[0].id]

    def test_a_broken_one_stops_everything(self, world: World) -> None:
        world.memory.put(STATE, {"installation": "by hand"})
        with pytest.raises(Rejected, match="holds no installation"):
            world.make_pass()
        assert world.posts() == 0

    def test_a_stale_read_does_not_make_a_second_one(self, world: World) -> None:
        world.make_pass()
        stale = _StaleOnce(world.memory, STATE)
        assert world.make_pass(store=stale).installation == world.log[0].installation
        assert len(world.memory.versions[STATE]) == 1


class TestAdoption:
    def test_a_key_put_there_by_hand_is_adopted_and_then_rotated(self, world: World) -> None:
        by_hand = world.server.account.create("Backend, made by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext, "endpoint": "https://x"})
        adopted = world.one()
        assert action_of(adopted.plan) is Action.ADOPT  # type: ignore[arg-type]
        assert world.secret()["api_key"] == by_hand.plaintext
        assert world.rotation()["key_id"] == by_hand.id
        world.advance(7)
        world.one()
        world.advance(30)
        assert "set revoke_adopted" in world.one().warnings[0]
        assert by_hand in world.live
        world.keys = (managed(revoke_adopted=True),)
        world.one()
        assert by_hand.id not in [key.id for key in world.live]

    def test_nonsense_in_the_block_is_adopted_and_reported(self, world: World) -> None:
        made = world.one().key_id
        world.memory.put(PATH, {**world.secret(), "rotation": {"key_id": "nonsense"}})
        result = world.one()
        assert action_of(result.plan) is Action.ADOPT  # type: ignore[arg-type]
        assert "makes no sense" in result.warnings[0]
        assert world.rotation()["key_id"] == made

    def test_an_overwritten_key_lives_on_for_its_grace_and_then_goes(self, world: World) -> None:
        """Somebody pastes another key over ours; programs may still run on ours."""
        ours = world.one().key_id
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.advance(0.5)
        world.one()
        world.one()
        assert ours in [key.id for key in world.live]
        world.advance(0.9)
        world.one()
        assert ours in [key.id for key in world.live]
        world.advance(0.1)
        world.one()
        assert ours not in [key.id for key in world.live]
        assert world.secret()["api_key"] == by_hand.plaintext


class TestHistory:
    def test_a_rolled_back_secret_keeps_the_newer_key_for_its_grace(self, world: World) -> None:
        world.one()
        older = world.secret()
        world.advance(7)
        newer = world.one().key_id
        world.memory.put(PATH, older)
        world.advance(0, minutes=60)
        result = world.one()
        # The older one is a week old, so it is due at once; both predecessors are kept for their grace.
        assert result.outcome is Outcome.DONE
        assert {str(newer), str(older["rotation"]["key_id"])} == set(world.rotation()["superseded"])
        assert len(world.live) == 3

    def test_a_key_found_in_an_earlier_version_is_recorded(self, world: World) -> None:
        ours = world.one()
        by_hand = world.server.account.create("by hand")
        world.advance(1)
        rotation = {**world.rotation(), "key_id": by_hand.id, "rotated_at": format_time(at(1))}
        world.memory.put(PATH, {"api_key": by_hand.plaintext, "rotation": rotation})
        result = world.one()
        assert action_of(result.plan) is Action.RECORD  # type: ignore[arg-type]
        assert world.rotation()["superseded"] == {str(ours.key_id): format_time(at(1))}
        assert world.secret()["api_key"] == by_hand.plaintext

    def test_history_is_asked_only_when_there_is_a_suspect(self, world: World) -> None:
        world.one()
        world.memory.calls.clear()
        world.one()
        assert world.memory.calls == [f"read {STATE}", f"read {PATH}"]


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
        titles = [key.title for key in world.server.account.ledger[1:]]
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
        world.server.faults.add(Fault("POST /keys", Status(status), times=ALWAYS))
        result = world.make_pass()
        assert isinstance(result.refused, Denied)
        assert not result.changed
        assert world.posts() <= 4  # one for each worker

    def test_an_answer_without_the_plaintext_is_final_and_its_key_is_swept(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_without("api_key"), at=Phase.AFTER))
        result = world.one()
        assert result.outcome is Outcome.FAILED
        assert "data.api_key: Field required" in str(result.errors[0])
        assert world.posts() == 1

    def test_a_title_that_the_gateway_changed_is_refused_and_its_key_revoked(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_with(title="Backend"), at=Phase.AFTER))
        result = world.one()
        assert "choose a title_template" in str(result.errors[0])
        assert world.live == []

    def test_a_key_that_existed_before_is_refused_and_left_alone(self, world: World) -> None:
        world.server.faults.add(Fault("POST /keys", data_with(id=1), at=Phase.AFTER))
        result = world.one()
        assert "which existed before" in str(result.errors[0])
        assert world.server.account.ledger[0].live


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
        assert world.live == []
        assert PATH not in world.memory.versions

    def test_without_the_balances_endpoint_the_list_is_asked(self, world: World) -> None:
        world.server.faults.add(Fault("GET /account/balances", Status(404), times=ALWAYS))
        assert world.one().outcome is Outcome.DONE
        assert world.works()

    def test_a_prove_that_is_refused_with_403_fails_this_key_and_not_the_account(self, world: World) -> None:
        world.server.faults.add(Fault("GET /account/balances", Status(403), times=ALWAYS))
        result = world.make_pass()
        assert result.refused is None
        assert world.live == []


class _Faulty:
    """A store that fails as it is told to; all else is the store behind it."""

    def __init__(self, store: MemoryStore, path: str = PATH) -> None:
        self._store, self._path = store, path
        self.before: list[RotatorError] = []
        """Raised by the next writes, before their effect."""
        self.after: list[RotatorError] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def write(self, path: str, data: dict[str, object], *, cas: int) -> int:
        if path == self._path and self.before:
            raise self.before.pop(0)
        number = self._store.write(path, data, cas=cas)
        if path == self._path and self.after:
            raise self.after.pop(0)
        return number


class _StaleOnce:
    """A store whose first read of a path is stale: as if it had never been written."""

    def __init__(self, store: MemoryStore, path: str) -> None:
        self._store, self._path, self._stale = store, path, 2

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == self._path and self._stale:
            self._stale -= 1
            return Version(0, None)
        return self._store.read(path, version)


CUT = Transient("cut", ambiguous=True)
DOWN = Transient("down", ambiguous=False)


class TestStore:
    def test_an_outage_is_waited_for(self, world: World) -> None:
        store = _Faulty(world.memory)
        store.before = [DOWN, CUT, DOWN]
        assert world.one(store=store).outcome is Outcome.DONE
        assert len(world.live) == 1

    def test_a_write_that_landed_though_its_answer_was_lost_is_recognised(self, world: World) -> None:
        store = _Faulty(world.memory)
        store.after = [CUT]
        assert world.one(store=store).outcome is Outcome.DONE
        assert len(world.memory.versions[PATH]) == 1
        assert world.works()

    def test_down_for_too_long_fails_without_revoking(self, world: World) -> None:
        world.impatient()
        store = _Faulty(world.memory)
        store.before = [CUT] * 100
        result = world.one(store=store)
        assert "not known whether" in str(result.errors[0])
        assert len(world.live) == 1
        assert PATH not in world.memory.versions

    def test_and_a_later_pass_sweeps_it(self, world: World) -> None:
        self.test_down_for_too_long_fails_without_revoking(world)
        world.advance(0, minutes=15)
        result = world.one()
        assert result.outcome is Outcome.DONE
        assert [done.victim for done in result.revoked] == ["orphan"]
        assert len(world.live) == 1

    def test_a_refusal_revokes_the_new_key(self, world: World) -> None:
        store = _Faulty(world.memory)
        store.before = [Rejected("403", status=403)]
        assert world.one(store=store).outcome is Outcome.FAILED
        assert world.live == []

    def test_a_refusal_after_an_ambiguous_attempt_does_not(self, world: World) -> None:
        store = _Faulty(world.memory)
        store.before = [CUT, Rejected("403", status=403)]
        assert world.one(store=store).outcome is Outcome.FAILED
        assert len(world.live) == 1

    def test_a_lost_race_yields_and_revokes_the_new_key(self, world: World) -> None:
        world.one()
        world.advance(7)
        rival = {**world.secret(), "note": "somebody wrote first"}
        world.server.hook = lambda method, _path, phase: (
            world.memory.put(PATH, rival) if (method, phase) == ("POST", Phase.AFTER) else None
        )
        result = world.make_pass()
        assert result.keys[0].outcome is Outcome.YIELDED
        assert result.converged
        assert len(world.live) == 1
        assert world.secret() == rival

    def test_a_published_key_that_was_overwritten_at_once_is_not_revoked(self, world: World) -> None:
        """Our write lands, its answer is lost, and a person writes on top before we look."""
        by_hand = world.server.account.create("by hand")

        class Overwritten(_Faulty):
            def write(self, path: str, data: dict[str, object], *, cas: int) -> int:
                number = super().write(path, data, cas=cas)
                if path == PATH:
                    world.memory.put(PATH, {"api_key": by_hand.plaintext})
                    raise CUT
                return number

        assert world.one(store=Overwritten(world.memory)).outcome is Outcome.DONE
        assert len(world.live) == 2

    def test_nothing_is_created_that_could_not_be_stored(self, world: World) -> None:
        world.memory.missing[PATH] = "update on secret/data/x"
        result = world.one()
        assert result.outcome is Outcome.FAILED
        assert "lacks update on secret/data/x" in str(result.errors[0])
        assert world.posts() == 0

    def test_nothing_is_created_with_a_token_about_to_expire(self, world: World) -> None:
        world.memory.ttl = timedelta(minutes=5)
        with pytest.raises(Rejected, match="expires in 300 s"):
            world.make_pass()
        assert world.posts() == 0
        world.memory.ttl = timedelta(minutes=7)
        assert world.make_pass().converged


class TestRevoke:
    def _superseded(self, world: World) -> int:
        old = world.one().key_id
        world.advance(7)
        world.one()
        world.advance(1)
        assert old
        return old

    @pytest.mark.parametrize("phase", list(Phase))
    def test_a_failed_revoke_is_repeated(self, world: World, phase: Phase) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), at=phase, times=2))
        result = world.one()
        assert [done.key_id for done in result.revoked] == [old]
        assert not result.failed

    def test_one_that_keeps_failing_is_due_again_in_the_next_pass(self, world: World) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", Status(500), times=4))
        assert world.one().failed
        assert [done.key_id for done in world.one().revoked] == [old]

    def test_a_404_alone_is_no_success(self, world: World) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", Status(404)))
        assert world.one().failed
        assert old in [key.id for key in world.live]

    def test_a_200_that_does_not_say_revoked_is_no_success(self, world: World) -> None:
        self._superseded(world)
        world.server.faults.add(Fault("DELETE /keys/*", data_with(status="active"), at=Phase.AFTER))
        assert "not said to be revoked" in str(world.one().errors[0])

    def test_not_while_the_key_that_replaced_it_is_refused(self, world: World) -> None:
        old = self._superseded(world)
        world.server.faults.add(Fault("GET /account/balances", Status(401), times=ALWAYS))
        result = world.one()
        assert "the gateway refuses the key that replaced it" in str(result.errors[0])
        assert old in [key.id for key in world.live]

    def test_not_once_the_secret_has_moved(self, world: World) -> None:
        """Between our observation and our revoke a person rolls the secret back to the victim."""
        old = self._superseded(world)
        moved = _Moving(world.memory, reads=1)
        result = world.one(store=moved)
        assert result.revoked == ()
        assert not result.failed
        assert old in [key.id for key in world.live]

    def test_a_key_that_another_secret_holds_is_left(self, world: World) -> None:
        world.one()
        world.memory.put("apimall/copy", world.secret())
        world.keys = (*world.keys, replace(managed(), name="Copy", path="apimall/copy"))
        old = self._superseded(replace(world, keys=world.keys[:1]))
        world.memory.put("apimall/copy", {"api_key": world.server.account.ledger[1].plaintext})
        result = world.make_pass()
        assert old == world.server.account.ledger[1].id
        assert old in [key.id for key in world.live]
        assert any("in use by another managed key" in warning for warning in result.keys[0].warnings)


class _Moving:
    """A store in which a person restores the first version after `reads` reads of the secret."""

    def __init__(self, store: MemoryStore, *, reads: int) -> None:
        self._store, self._reads = store, reads

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        if path == PATH:
            if self._reads == 0:
                self._store.put(PATH, self._store.read(PATH, 1).data or {})
            self._reads -= 1
        return self._store.read(path, version)


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


class TestThePass:
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

        class Broken(_Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == PATH:
                    raise Rejected("403", status=403, cure="grant it")
                return world.memory.read(path, version)

        result = world.make_pass(store=Broken(world.memory))
        assert [key.outcome for key in result.keys] == [Outcome.FAILED, Outcome.DONE]
        assert not result.converged

    def test_a_bug_in_one_entry_does_not_stop_the_others(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Other", path="apimall/other"))

        class Buggy(_Faulty):
            def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
                if path == PATH:
                    raise ZeroDivisionError
                return world.memory.read(path, version)

        result = world.make_pass(store=Buggy(world.memory))
        assert [key.outcome for key in result.keys] == [Outcome.FAILED, Outcome.DONE]
        assert "unexpected ZeroDivisionError" in str(result.keys[0].errors[0])

    def test_progress_is_told(self, world: World) -> None:
        told: list[tuple[int, int]] = []
        world.make_pass(progress=lambda done, total: told.append((done, total)))
        assert told == [(1, 1)]

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


class TestDryRun:
    def test_it_writes_nothing_and_says_what_the_next_pass_does(self, world: World) -> None:
        def nothing() -> None: ...

        def a_week() -> None:
            world.advance(7)

        def a_day() -> None:
            world.advance(1)

        def a_key_by_hand() -> None:
            world.memory.put(PATH, {"api_key": world.server.account.create("x").plaintext})

        for prepare in (nothing, a_week, a_day, a_key_by_hand):
            prepare()
            before = ({**world.memory.versions}, world.server.account.ledger)
            foretold = world.one(dry_run=True)
            assert ({**world.memory.versions}, world.server.account.ledger) == before
            done = world.one()
            assert foretold.plan
            assert done.plan
            assert (foretold.plan.reason, action_of(foretold.plan)) == (
                done.plan.reason,
                action_of(done.plan),
            )
            assert foretold.revoked == done.revoked
            assert foretold.outcome is Outcome.PLANNED

    def test_it_foretells_what_the_token_lacks(self, world: World) -> None:
        world.memory.missing[PATH] = "update on secret/data/x"
        assert world.one(dry_run=True).failed


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

    def test_what_was_created_is_stored_though_it_takes_a_while(self, world: World) -> None:
        store = _Faulty(world.memory)
        store.before = [CUT, DOWN, CUT]
        world.server.hook = lambda method, _path, phase: (
            world.stopping.request() if (method, phase) == ("POST", Phase.AFTER) else None
        )
        assert world.one(store=store).outcome is Outcome.DONE
        assert world.works()
