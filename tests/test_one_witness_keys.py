"""Which key is it? Titles that the gateway changes, previews that say nothing, ids that were another's before."""

import pytest

from rotator.rules.claims import MOST, Claim, Claims, read_claims
from rotator.sandbox.disguises import previews, titles
from rotator.sandbox.faults import Fault, Phase, data_with
from rotator.sandbox.ledger import AccountKey, Lag, Quirks
from tests.facts import PATH, managed
from tests.witness import CLAIMS, is_live, rotated, tell
from tests.world import World

PERIODS = 6


def periods(world: World) -> list[int]:
    """Let periods pass, each with its grace; return how many keys were live after each."""
    live = []
    for _ in range(PERIODS):
        for days in (7, 1, 1):
            world.advance(days, minutes=1)
            world.make_pass()
        live.append(len(world.live))
    return live


def current_of(world: World) -> AccountKey:
    id_ = world.rotation()["key_id"]
    return next(key for key in world.live if key.id == id_)


class TestTitles:
    @pytest.mark.parametrize(
        "how",
        [
            "cut 40",
            "cut 3",
            "lower",
            "folded",
            "html",
            "nfkc",
        ],
    )
    def test_what_the_list_makes_of_them_piles_nothing_up(self, world: World, how: str) -> None:
        world.server.account.quirks = Quirks(titles=titles(how))
        world.make_pass()
        assert max(periods(world)) <= 2
        assert world.works()

    def test_a_claim_is_remembered_as_long_as_a_live_key_bears_its_nonce(self, world: World) -> None:
        """Forty claims and more may follow it; without it, the key would be nobody's."""
        world.make_pass()
        path = CLAIMS + PATH
        [first] = read_claims(world.store.read(path), path).kept
        others = (Claim(99, first.at, (f"{n:08x}",), ended=True) for n in range(MOST))
        world.memory.put(path, Claims(0, (first, *others)).to_json())
        world.make_pass(forced=True)
        kept = read_claims(world.store.read(path), path).kept
        assert first.nonces in [claim.nonces for claim in kept]
        assert len(kept) == MOST

    @pytest.mark.parametrize("how", ["cut 40", "lower"])
    def test_it_is_told_with_its_cure(self, world: World, how: str) -> None:
        world.server.account.quirks = Quirks(titles=titles(how))
        world.make_pass()
        told = tell(world)
        assert told.names("title", "title_template")

    def test_a_key_that_the_list_calls_something_else_is_left_to_a_person(self, world: World) -> None:
        """Perhaps it was renamed; perhaps it is another's, and the answer to our create was."""
        world.make_pass()
        renamed = world.live[0].id
        world.server.account.rename(renamed, "the backend's, do not touch")
        assert periods(world)[-1] == 2
        assert is_live(world, renamed)
        assert tell(world).names(str(renamed))

    def test_a_renamed_key_that_is_current_is_kept(self, world: World) -> None:
        world.make_pass()
        world.server.account.rename(world.live[0].id, "renamed")
        for _ in range(3):
            world.advance(0, minutes=20)
            assert tell(world).code == 0
        assert world.works()
        assert len(world.live) == 1

    def test_a_person_s_key_is_not_taken_for_ours_by_a_changed_title(self, world: World) -> None:
        """Cut to three characters, every title is another's."""
        world.server.account.quirks = Quirks(titles=titles("cut 3"))
        theirs = world.server.account.create("Backup")
        world.make_pass()
        periods(world)
        assert is_live(world, theirs.id)


class TestTheBearer:
    """It is compared as text: what a preview does not say is not a no."""

    @pytest.mark.parametrize(
        "how",
        ["weak", "stars", "empty", "equal", "as promised"],
    )
    def test_it_is_never_revoked(self, world: World, how: str) -> None:
        world.make_pass()
        world.bearer = world.secret()["api_key"]
        bearer = current_of(world)
        world.server.account.quirks = Quirks(previews=previews(how), revokes_itself=True)
        for days in (7, 1, 1, 7, 1):
            world.advance(days, minutes=1)
            told = tell(world)
            assert is_live(world, bearer.id)
        assert told.code != 3
        assert told.names(str(bearer.id), "bearer")

    @pytest.mark.parametrize(
        "how",
        ["weak", "empty", "equal"],
    )
    def test_others_go_as_ever_where_it_is_known_by_its_text(self, world: World, how: str) -> None:
        world.server.account.quirks = Quirks(previews=previews(how), revokes_itself=True)
        old, current = rotated(world)
        for _ in range(2):
            world.advance(1, minutes=1)
            tell(world)
        assert not is_live(world, old)
        assert is_live(world, current)

    def test_a_twin_of_the_bearer_is_kept(self, world: World) -> None:
        """One preview, two keys: the one that is not the bearer is kept in doubt, and both are named."""
        world.keys = (managed(revoke_adopted=True),)
        twin = world.server.account.create("made by hand", like=world.server.account.bootstrap)
        world.memory.put(PATH, {"api_key": twin.plaintext})
        for days in (0, 7, 1, 1):
            world.advance(days, minutes=1)
            tell(world)
        assert world.server.account.bootstrap.live
        assert world.works()


class TestIds:
    def test_a_person_s_key_with_the_id_of_a_superseded_one_is_kept(self, world: World) -> None:
        world.keys = (managed(revoke_adopted=True),)
        old, _ = rotated(world)
        world.server.account.revoke(old)
        world.server.account.quirks = Quirks(reuses_ids=True)
        theirs = world.server.account.create("a person's")
        assert theirs.id == old
        for days in (0, 1, 1):
            world.advance(days, minutes=1)
            tell(world)
            assert is_live(world, theirs.id)

    def test_a_person_s_key_with_the_id_of_the_current_one_is_kept(self, world: World) -> None:
        world.keys = (managed(revoke_adopted=True),)
        world.make_pass()
        current = current_of(world)
        world.server.account.revoke(current.id)
        world.server.account.quirks = Quirks(reuses_ids=True)
        theirs = world.server.account.create("a person's")
        assert theirs.id == current.id
        for days in (1, 1, 7, 1):
            world.advance(days, minutes=5)
            tell(world)
            assert any(key.live for key in world.server.account.keys if key.plaintext == theirs.plaintext)
        assert world.works()

    def test_our_own_keys_with_ids_of_before(self, world: World) -> None:
        world.make_pass()
        world.server.account.quirks = Quirks(reuses_ids=True)
        assert max(periods(world)) <= 2
        assert world.works()

    @pytest.mark.parametrize(
        "since",
        [
            False,
            True,
        ],
    )
    @pytest.mark.parametrize("proved", [False, True])
    def test_post_answers_the_id_of_a_person_s_key(self, world: World, proved: bool, since: bool) -> None:
        """One that was there when the list was read, or was made `since`."""
        world.make_pass()
        world.impatient()
        world.advance(7)
        theirs = [] if since else [world.server.account.create("a person's")]

        def spoilt(method: str, _path: str, phase: Phase) -> None:
            if method != "POST" or phase is not Phase.BEFORE:
                return
            if since:
                theirs.append(world.server.account.create("a person's"))
            if proved:
                world.memory.put(PATH, {**world.secret(), "note": "by hand"})
            else:
                world.server.account.quirks = Quirks(propagation=Lag(requests=99))

        world.server.hook = spoilt
        world.server.faults.add(Fault("POST /keys", data_with(id=3), at=Phase.AFTER))
        tell(world)
        assert [key.id for key in theirs] == [3]
        assert is_live(world, 3)

    def test_post_answers_the_id_of_a_key_that_a_person_makes_next(self, world: World) -> None:
        world.keys = (managed(revoke_adopted=True),)
        world.server.faults.add(Fault("POST /keys", data_with(id=3), at=Phase.AFTER))
        world.make_pass()
        theirs = world.server.account.create("a person's")
        assert theirs.id == 3
        for days in (7, 1, 1, 7):
            world.advance(days, minutes=1)
            tell(world)
            assert is_live(world, theirs.id)


class TestStatuses:
    """Only a status that is known to be well is believed without a probe."""

    @pytest.mark.parametrize("word", ["expired", "disabled", "suspended", "REVOKED"])
    def test_a_current_key_that_is_refused_is_replaced(self, world: World, word: str) -> None:
        world.make_pass()
        dead = world.rotation()["key_id"]
        world.server.account.quirks = Quirks(statuses={dead: word}, refused=frozenset({dead}))
        world.advance(0, minutes=5)
        tell(world)
        assert world.rotation()["key_id"] != dead
        assert world.works()

    @pytest.mark.parametrize("word", ["expired", "disabled", "suspended", "ACTIVE", ""])
    def test_a_current_key_that_works_is_kept(self, world: World, word: str) -> None:
        world.make_pass()
        current = world.rotation()["key_id"]
        world.server.account.quirks = Quirks(statuses={current: word})
        world.advance(0, minutes=5)
        assert tell(world).code == 0
        assert world.rotation()["key_id"] == current

    def test_a_revoked_key_is_known_by_any_spelling(self, world: World) -> None:
        world.make_pass()
        dead = world.rotation()["key_id"]
        world.server.account.revoke(dead)
        world.server.account.quirks = Quirks(status_words={"revoked": "Revoked"})
        world.advance(0, minutes=5)
        tell(world)
        assert world.rotation()["key_id"] != dead
        assert world.works()

    @pytest.mark.parametrize("word", ["expired", "suspended"])
    def test_a_superseded_key_goes_whatever_it_is_called(self, world: World, word: str) -> None:
        old, _ = rotated(world)
        world.server.account.quirks = Quirks(statuses={old: word})
        world.advance(1, minutes=1)
        tell(world)
        assert not is_live(world, old)
