"""`rotator prune`: a person's word ends an unmanaged key, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import Rejected
from rotator.rules.claims import Claim
from rotator.rules.evidence import Fence, to_prune
from rotator.rules.prune import Sight, Spared, Word, spared
from rotator.rules.whose import Owned, Whose
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.ledger import AccountKey, Quirks
from tests.facts import PATH, at, facts, key, managed, plaintext
from tests.stores import Paused
from tests.test_look_up import FOREIGN, rotated
from tests.world import CLAIMS, World

__all__ = ["rotated"]


def live(world: World) -> set[int]:
    return {key.id for key in world.server.account.keys if key.live}


@pytest.fixture
def theirs(rotated: World) -> AccountKey:
    """A person's key, and it is old enough."""
    key = rotated.server.account.create("by hand")
    rotated.advance(minutes=60)
    return key


def leftover(world: World) -> AccountKey:
    identity = world.memory.read("rotator/installation").data
    assert identity
    title = f"Backend [2026-11-01T00:00:00Z {identity['installation']}-dba00010]"
    return world.server.account.create(title)


class TestWhatGoes:
    def test_a_persons_key(self, rotated: World, theirs: AccountKey) -> None:
        before = rotated.memory.read(PATH)
        plan, (done,) = rotated.prune(theirs.id)
        assert (plan.sound, done.revoked, done.over) == (True, True, True)
        assert live(rotated) == {1, 2, 3}
        assert rotated.memory.read(PATH) == before, "no secret is written for what no rotator could publish"

    def test_another_installations(self, rotated: World) -> None:
        key = rotated.server.account.create(FOREIGN)
        rotated.advance(minutes=60)
        assert rotated.prune(key.id)[1][0].revoked
        assert live(rotated) == {1, 2, 3}

    def test_one_with_our_title_is_fenced(self, rotated: World) -> None:
        """A rotator of a version before claims may have asked for it, and still be about to store it."""
        key = leftover(rotated)
        rotated.advance(minutes=60)
        before = rotated.memory.read(PATH)
        assert rotated.prune(key.id)[1][0].revoked
        after = rotated.memory.read(PATH)
        assert (after.number, after.data["api_key"]) == (before.number + 1, before.data["api_key"])  # type: ignore[index]

    def test_the_fence_forgets_what_two_lists_show_dead(self, rotated: World) -> None:
        rotated.advance(1, minutes=1)
        assert rotated.one().revoked
        key = leftover(rotated)
        rotated.advance(minutes=60)
        assert rotated.rotation()["superseded"], "the next write would forget it"
        assert rotated.prune(key.id)[1][0].revoked

    def test_several_and_one_that_is_dead_already(self, rotated: World, theirs: AccountKey) -> None:
        other = rotated.server.account.create("other")
        dead = rotated.server.account.create("dead")
        rotated.server.account.revoke(dead.id)
        rotated.advance(minutes=60)
        _, done = rotated.prune(theirs.id, dead.id, other.id)
        assert [key.revoked for key in done] == [True, False, True]
        assert all(key.over for key in done)


BROKEN: dict[Spared, Callable[[World, AccountKey], int]] = {
    Spared.NOT_LISTED: lambda world, key: 99,
    Spared.BEARER: lambda world, key: 1,
    Spared.MANAGED: lambda world, key: 3,
}


class TestWhatIsSpared:
    def refused(self, world: World, id_: int) -> Spared | None:
        before = live(world)
        plan, (key,) = world.prune(id_)
        assert not plan.sound
        assert live(world) == before
        return key.why

    @pytest.mark.parametrize("why", BROKEN)
    def test_the_bearer_what_is_managed_and_what_is_not_there(
        self, rotated: World, theirs: AccountKey, why: Spared
    ) -> None:
        assert self.refused(rotated, BROKEN[why](rotated, theirs)) is why

    def test_a_superseded_key_in_its_grace_and_after_it(self, rotated: World) -> None:
        assert self.refused(rotated, 2) is Spared.MANAGED
        rotated.advance(1, minutes=1)
        assert self.refused(rotated, 2) is Spared.MANAGED

    def test_an_orphan(self, rotated: World) -> None:
        rotated.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
        rotated.one(forced=True)
        assert self.refused(rotated, 4) is Spared.MANAGED

    def test_one_that_a_list_omits(self, rotated: World, theirs: AccountKey) -> None:
        rotated.server.account.quirks = Quirks(omitted=frozenset({theirs.id}))
        assert self.refused(rotated, theirs.id) is Spared.NOT_LISTED

    def test_one_that_may_be_the_bearer_by_its_preview(self, rotated: World) -> None:
        twin = rotated.server.account.create("twin", like=rotated.server.account.bootstrap)
        rotated.advance(minutes=60)
        assert self.refused(rotated, twin.id) is Spared.BEARER

    def test_one_that_may_be_what_a_secret_holds_by_its_preview(self, rotated: World) -> None:
        twin = rotated.server.account.create("twin", like=rotated.live[-1])
        rotated.advance(minutes=60)
        assert self.refused(rotated, twin.id) is Spared.USED

    def test_all_while_it_is_not_known_which_key_the_bearer_is(
        self, rotated: World, theirs: AccountKey
    ) -> None:
        rotated.server.account.quirks = Quirks(omitted=frozenset({1}))
        assert self.refused(rotated, theirs.id) is Spared.USED

    @pytest.mark.parametrize("how", ["unreadable", "deleted", "claims"])
    def test_all_while_a_secret_cannot_be_read(self, rotated: World, theirs: AccountKey, how: str) -> None:
        if how == "unreadable":
            rotated.memory.put(PATH, {"api_key": 7})
        elif how == "deleted":
            rotated.memory.delete(PATH)
        else:
            rotated.memory.put(CLAIMS, {"somebody": "else's"})
        assert self.refused(rotated, theirs.id) is Spared.UNREAD

    def test_what_a_rotator_may_be_about_to_store_though_the_list_calls_it_something_else(
        self, rotated: World
    ) -> None:
        claims = rotated.memory.read(CLAIMS).data or {}
        number = rotated.memory.read(PATH).number
        claim = {"version": number + 1, "at": "2026-11-01T00:00:00Z", "nonces": ["12345678"]}
        rotated.memory.put(CLAIMS, {"claims": [*claims["claims"], claim]})
        key = rotated.server.account.create("cut by the list")
        rotated.advance(minutes=60)
        assert self.refused(rotated, key.id) is Spared.CLAIMED

    def test_a_young_one(self, rotated: World) -> None:
        key = rotated.server.account.create("new")
        assert self.refused(rotated, key.id) is Spared.YOUNG

    def test_one_that_is_dated_to_the_last_moment(self, rotated: World, theirs: AccountKey) -> None:
        rotated.server.account.quirks = Quirks(times=lambda _: "9999-12-31T23:59:59Z")
        assert self.refused(rotated, theirs.id) is Spared.YOUNG

    def test_while_the_clocks_part(self, rotated: World, theirs: AccountKey) -> None:
        rotated.local_skew = timedelta(hours=2)
        assert self.refused(rotated, theirs.id) is Spared.CLOCK

    def test_if_one_may_not_go_none_does(self, rotated: World, theirs: AccountKey) -> None:
        plan, _ = rotated.prune(theirs.id, 3)
        assert (plan.sound, live(rotated)) == (False, {1, 2, 3, theirs.id})


class TestMeanwhile:
    """Between what the person saw and their word, the world goes on."""

    def refused(self, world: World, id_: int, meanwhile: Callable[[], object]) -> str:
        _, (key,) = world.prune(id_, meanwhile=meanwhile)
        assert not key.revoked
        assert key.error
        assert id_ in live(world)
        return key.error.message

    def test_it_became_current(self, rotated: World, theirs: AccountKey) -> None:
        def paste() -> None:
            rotated.memory.put(PATH, {"api_key": theirs.plaintext})

        assert "it is the current key of Backend" in self.refused(rotated, theirs.id, paste)

    def test_its_id_is_another_keys(self, rotated: World, theirs: AccountKey) -> None:
        def reuse() -> None:
            account = rotated.server.account
            account._keys = [
                replace(one, title="somebody new") if one.id == theirs.id else one for one in account.keys
            ]

        assert "called “somebody new” now" in self.refused(rotated, theirs.id, reuse)

    def test_a_secret_became_unreadable(self, rotated: World, theirs: AccountKey) -> None:
        said = self.refused(rotated, theirs.id, lambda: rotated.memory.delete(PATH))
        assert "could not be read" in said

    def test_it_became_the_bearer(self, rotated: World, theirs: AccountKey) -> None:
        rotated.bearer_path = "apimall/rotator"
        rotated.memory.put("apimall/rotator", {"api_key": rotated.server.account.bootstrap.plaintext})

        def change() -> None:
            rotated.memory.put("apimall/rotator", {"api_key": theirs.plaintext})

        assert "the bearer" in self.refused(rotated, theirs.id, change)

    def test_it_became_the_bearer_during_the_look(self, rotated: World, theirs: AccountKey) -> None:
        rotated.bearer_path = "apimall/rotator"
        rotated.memory.put("apimall/rotator", {"api_key": rotated.server.account.bootstrap.plaintext})

        def change(method: str, path: str, _phase: Phase) -> None:
            if (method, path) == ("GET", "/keys"):
                rotated.memory.put("apimall/rotator", {"api_key": theirs.plaintext})

        def on_the_way() -> None:
            rotated.server.hook = change

        assert "the bearer was replaced meanwhile" in self.refused(rotated, theirs.id, on_the_way)

    def test_another_rotator_is_at_work(self, rotated: World) -> None:
        key = leftover(rotated)
        rotated.advance(minutes=60)

        def claim() -> None:
            claims = rotated.memory.read(CLAIMS).data or {}
            now = f"{rotated.server.account.clock.now():%Y-%m-%dT%H:%M:%SZ}"
            open_ = {
                "version": rotated.memory.read(PATH).number + 1,
                "at": now,
                "nonces": ["12345678"],
            }
            rotated.memory.put(CLAIMS, {"claims": [*claims["claims"], open_]})

        before = rotated.memory.read(PATH).number
        assert "Backend is being rotated" in self.refused(rotated, key.id, claim)
        assert rotated.memory.read(PATH).number == before
        rotated.advance(minutes=3)  # as its cure says
        assert rotated.prune(key.id)[1][0].revoked

    def test_the_others_go_on_when_somebody_else_was_faster_with_one(
        self, rotated: World, theirs: AccountKey
    ) -> None:
        other = rotated.server.account.create("other")
        rotated.advance(minutes=60)
        _, done = rotated.prune(
            theirs.id, other.id, meanwhile=lambda: rotated.server.account.revoke(theirs.id)
        )
        assert [(key.why, key.revoked, key.over) for key in done] == [
            (Spared.DEAD, False, True),
            (None, True, True),
        ]

    def test_somebody_else_revokes_it_while_ours_fails(self, rotated: World, theirs: AccountKey) -> None:
        """Whatever the DELETE was answered: a list that shows it dead says what was asked for."""
        rotated.server.faults.add(
            Fault(f"DELETE /keys/{theirs.id}", Status(500), at=Phase.AFTER, times=ALWAYS)
        )
        _, (key,) = rotated.prune(theirs.id)
        assert (key.why, key.over, key.error) == (Spared.DEAD, True, None)

    def test_the_secret_is_written_between_the_look_and_the_fence(self, rotated: World) -> None:
        key = leftover(rotated)
        rotated.advance(minutes=60)
        store = Paused(rotated.memory, lambda: rotated.memory.put(PATH, rotated.secret()))
        plan, (done,) = rotated.prune(key.id, store=store)
        assert plan.sound
        assert done.error
        assert (
            str(done.error)
            == f"key {key.id} was not revoked: the secret of Backend was written meanwhile; run this again"
        )


def test_a_delete_without_effect_is_not_over(rotated: World, theirs: AccountKey) -> None:
    rotated.server.account.quirks = Quirks(revoke_lag=None)
    _, (key,) = rotated.prune(theirs.id)
    assert (key.revoked, key.over) == (False, False)
    assert key.error
    assert "the list shows it live" in key.error.message


def test_no_pass_tries_a_failed_one_again_and_the_log_does_not_say_so(
    rotated: World, theirs: AccountKey, capsys: pytest.CaptureFixture[str]
) -> None:
    rotated.prune(theirs.id, meanwhile=lambda: rotated.memory.put(PATH, {"api_key": theirs.plaintext}))
    logged = capsys.readouterr().out
    assert "key.revoke_failed" in logged
    assert "tries again" not in logged


def test_a_failure_ends_it(rotated: World, theirs: AccountKey) -> None:
    other = rotated.server.account.create("other")
    rotated.advance(minutes=60)
    rotated.server.faults.add(Fault(f"DELETE /keys/{theirs.id}", Status(403), times=ALWAYS))
    _, done = rotated.prune(theirs.id, other.id)
    assert [(key.revoked, key.error is None) for key in done] == [(False, False), (False, True)]
    assert live(rotated) == {1, 2, 3, theirs.id, other.id}


class TestTheWarrant:
    """It cannot be had without each of its witnesses."""

    def sight(self, **changes: object) -> Sight:
        theirs = key(9, created=at(0), ours=False)
        owned = {9: Owned(9, theirs, Whose.UNMANAGED)}
        sight = Sight(at(8), owned, {}, (), {}, timedelta(minutes=15))
        return replace(sight, **changes)  # type: ignore[arg-type]

    WORD = Word(9, "Made by hand")

    def test_with_all_of_them(self) -> None:
        assert spared(self.sight(), self.WORD) is None
        assert to_prune(self.WORD, (self.sight(), self.sight()), None, None).key_id == 9

    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize(
        "changes",
        [
            {"used": {9: "it is known to be the bearer"}},
            {"unread": ("Backend",)},
            {"claims": {"Backend": (Claim(3, at(0), ("00000000",)),)}},
            {"doubt": "the clocks part"},
            {"now": at(0, minutes=14)},
            {"now": at(-1)},  # the list dates it ahead: it may have been made just now
            {"owned": {9: Owned(9, None, Whose.UNMANAGED)}},
            {"owned": {9: Owned(9, key(9, ours=False), Whose.UNMANAGED, bearer=True)}},
            {"owned": {9: Owned(9, key(9, ours=False), Whose.CURRENT, (managed(),))}},
            {"owned": {9: Owned(9, replace(key(9, ours=False), title="x"), Whose.UNMANAGED)}},
        ],
    )
    def test_one_look_that_speaks_against_it_is_enough(self, first: bool, changes: dict[str, object]) -> None:
        against, for_ = self.sight(**changes), self.sight()
        with pytest.raises(Rejected, match="key 9 was not revoked"):
            to_prune(self.WORD, (against, for_) if first else (for_, against), None, None)

    def test_with_a_title_of_ours_it_wants_a_write(self) -> None:
        seen = facts([], {"api_key": plaintext(1)}, now=at(8))
        looks = (self.sight(), self.sight())
        for fence in (None, Fence(0)):
            with pytest.raises(Rejected, match="nothing was written"):
                to_prune(self.WORD, looks, fence, seen)
        assert to_prune(self.WORD, looks, Fence(1), seen).key_id == 9

    def test_a_claim_that_came_after_the_key_is_not_of_it(self) -> None:
        claims = {"Backend": (Claim(3, at(1), ("00000000",)),)}
        assert spared(self.sight(claims=claims), self.WORD) is None
