"""Which key a string is, of a world that has one of each kind."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.passes.look_up import look_up
from rotator.rules.freeze import FIELD, write_freeze
from rotator.rules.given import Form, NoKey, read_given
from rotator.rules.identify import Identified, Verdict
from rotator.rules.whose import Whose
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.ledger import AccountKey, Quirks
from rotator.show.console import console_for_stdout
from rotator.show.identified import identified_to_json, render
from tests.facts import PATH, managed
from tests.world import World, new_server

FOREIGN = "Backend [2026-11-01T00:00:00Z abcdef-00000000]"


def identify(world: World, given: str | int) -> Identified:
    """Look it up, and see that nothing is changed."""
    before = world.server.account.keys, {path: list(kept) for path, kept in world.memory.versions.items()}
    with world.account() as account:
        found, _ = look_up(account, read_given(str(given).encode()))
    after = world.server.account.keys, {path: list(kept) for path, kept in world.memory.versions.items()}
    assert before == after
    return found


def only(found: Identified) -> tuple[int, Whose]:
    (key,) = found.keys
    return key.id, key.whose


@pytest.fixture
def rotated(world: World) -> World:
    """Key 2 is superseded, key 3 current; key 1 is the bearer."""
    world.one()
    world.one(forced=True)
    return world


def plaintext(world: World, id_: int) -> str:
    return next(key.plaintext for key in world.server.account.keys if key.id == id_)


class TestWhose:
    def test_a_current_key_by_its_plaintext_its_preview_and_its_id(self, rotated: World) -> None:
        key = rotated.live[-1]
        for given in (key.plaintext, key.preview, key.preview.replace("...", "***"), key.id):
            found = identify(rotated, given)
            assert only(found) == (3, Whose.CURRENT)
            assert found.verdict is Verdict.ALIVE
            assert found.managed == {"Backend"}
            assert found.keys[0].command == "rotator --rotate-now --revoke-old-now --key Backend"

    def test_whoever_is_to_be_told_is_named(self, rotated: World) -> None:
        rotated.memory.custom[PATH] = {"owner": "Payments", "contact": "#pay"}
        found = identify(rotated, 2)
        assert "  owner     Payments, #pay\n" in render(found, console_for_stdout())
        [place] = identified_to_json(found)["keys"][0]["managed"]
        assert place == {"name": "Backend", "path": PATH, "owner": "Payments", "contact": "#pay"}

    def test_a_plaintext_is_tried_by_one_call_with_it(self, rotated: World) -> None:
        before = len(rotated.server.requests)
        found = identify(rotated, plaintext(rotated, 3))
        calls = [line for line in rotated.server.requests[before:] if line.path.endswith("balances")]
        # With it; and once a process with a bearer that is none, so that the answer can be trusted.
        assert [line.bearer for line in calls] == [3, None]
        assert found.works
        assert found.request_id

    def test_a_superseded_one_is_found_in_an_older_version(self, rotated: World) -> None:
        found = identify(rotated, plaintext(rotated, 2))
        assert only(found) == (2, Whose.SUPERSEDED)
        assert [(one.version, one.latest) for one in found.stored] == [(1, 2)]
        assert found.keys[0].fate
        assert found.keys[0].fate.goes_at

    def test_one_of_an_older_version_that_the_list_no_longer_shows(self, rotated: World) -> None:
        rotated.advance(1, minutes=1)
        rotated.one()
        rotated.server.account.quirks = Quirks(lists_revoked=False)
        found = identify(rotated, plaintext(rotated, 2))
        assert (found.verdict, found.works) == (Verdict.DEAD, False)
        assert [one.key.path for one in found.stored] == [PATH]

    def test_an_orphan(self, rotated: World) -> None:
        rotated.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
        rotated.one(forced=True)
        lost = next(key for key in rotated.live if key.id == 4)
        found = identify(rotated, lost.plaintext)
        assert only(found) == (4, Whose.ORPHAN)
        assert found.keys[0].command == "rotator --once --key Backend"
        assert found.managed == frozenset()

    @pytest.mark.parametrize(
        ("title", "whose"),
        [
            ("made by hand", Whose.UNMANAGED),
            (FOREIGN, Whose.FOREIGN),
            ("Stranger [2026-11-01T00:00:00Z {installation}-dba00010]", Whose.LEFTOVER),
            ("Backend [2026-11-01T00:00:00Z {installation}-dba00010]", Whose.LEFTOVER),
        ],
    )
    def test_what_no_managed_key_has(self, rotated: World, title: str, whose: Whose) -> None:
        installation = rotated.memory.read("rotator/installation").data
        assert installation
        key = rotated.server.account.create(title.format(installation=installation["installation"]))
        for given in (key.plaintext, key.id):
            found = identify(rotated, given)
            assert only(found) == (key.id, whose)
            assert (found.verdict, found.managed) == (Verdict.ALIVE, frozenset())
            assert found.keys[0].command == f"rotator prune --id {key.id}"

    def test_the_bearer(self, rotated: World) -> None:
        found = identify(rotated, plaintext(rotated, 1))
        assert only(found) == (1, Whose.UNMANAGED)
        assert found.keys[0].bearer

    def test_one_that_stands_in_two_secrets_is_of_both(self, rotated: World) -> None:
        other = replace(managed(), name="Reporting", path="apimall/reporting")
        rotated.keys = (managed(), other)
        rotated.memory.put("apimall/reporting", {"api_key": plaintext(rotated, 3)})
        found = identify(rotated, plaintext(rotated, 3))
        assert found.managed == {"Backend", "Reporting"}
        assert found.keys[0].command == "rotator --rotate-now --revoke-old-now --key Backend --key Reporting"

    def test_a_dead_one(self, rotated: World) -> None:
        rotated.server.account.revoke(2)
        for given in (plaintext(rotated, 2), 2):
            found = identify(rotated, given)
            assert (found.verdict, found.keys[0].command) == (Verdict.DEAD, None)

    def test_one_of_another_account(self, rotated: World) -> None:
        with new_server() as elsewhere:
            key = elsewhere.account.create("elsewhere")
        found = identify(rotated, key.plaintext)
        assert (found.keys, found.stored, found.works) == ((), (), False)
        assert found.verdict is Verdict.UNKNOWN, "it may live there"

    def test_one_that_works_and_that_the_list_omits(self, rotated: World) -> None:
        key = rotated.server.account.create("omitted")
        rotated.server.account.quirks = Quirks(omitted=frozenset({key.id}))
        found = identify(rotated, key.plaintext)
        assert (found.keys, found.verdict) == ((), Verdict.ALIVE)

    def test_an_id_that_a_secret_names_and_the_list_omits(self, rotated: World) -> None:
        rotated.server.account.quirks = Quirks(omitted=frozenset({3}))
        found = identify(rotated, 3)
        assert only(found) == (3, Whose.CURRENT)
        assert found.verdict is Verdict.UNKNOWN

    def test_an_id_of_nobody(self, rotated: World) -> None:
        found = identify(rotated, 99)
        assert (found.keys, found.verdict) == ((), Verdict.UNKNOWN)


class TestTwoKeysOfOnePreview:
    @pytest.fixture
    def twin(self, rotated: World) -> AccountKey:
        return rotated.server.account.create("by hand", like=rotated.live[-1])

    def test_both_are_named_by_a_preview(self, rotated: World, twin: AccountKey) -> None:
        found = identify(rotated, twin.preview)
        assert [(key.id, key.whose) for key in found.keys] == [(3, Whose.CURRENT), (4, Whose.UNMANAGED)]
        assert found.managed == frozenset(), "it is not known which of them leaked"

    def test_a_plaintext_tells_them_apart_where_a_secret_holds_one(
        self, rotated: World, twin: AccountKey
    ) -> None:
        assert only(identify(rotated, plaintext(rotated, 3))) == (3, Whose.CURRENT)
        assert only(identify(rotated, twin.plaintext)) == (4, Whose.UNMANAGED)

    def test_both_are_named_where_nothing_tells(self, rotated: World) -> None:
        one = rotated.server.account.create("one")
        other = rotated.server.account.create("other", like=one)
        assert [key.id for key in identify(rotated, one.plaintext).keys] == [one.id, other.id]


class TestWhatIsNotKnown:
    def test_a_call_that_tells_nothing(self, rotated: World) -> None:
        rotated.server.faults.add(Fault("GET /account/balances", Status(403), times=ALWAYS))
        rotated.server.account.revoke(2)
        found = identify(rotated, plaintext(rotated, 3))
        assert found.works, "the other way tells"
        rotated.server.faults.clear()

    def test_one_that_the_gateway_refuses_and_the_list_shows_live(self, rotated: World) -> None:
        rotated.server.account.quirks = Quirks(refused=frozenset({3}))
        found = identify(rotated, plaintext(rotated, 3))
        assert (found.works, found.verdict) == (False, Verdict.UNKNOWN)

    def test_a_secret_that_could_not_be_read_is_named(self, rotated: World) -> None:
        other = replace(managed(), name="Reporting", path="apimall/reporting")
        rotated.keys = (managed(), other)
        rotated.memory.put("apimall/reporting", {"api_key": 7})
        assert identify(rotated, plaintext(rotated, 2)).unread.keys() == {"Reporting"}

    def test_another_servers_secret_is_not_sent_to_the_gateway(self, rotated: World) -> None:
        before = len(rotated.server.requests)
        with pytest.raises(NoKey, match="no key of this account"):
            identify(rotated, "hvs." + "A1b2" * 8)
        assert not [line for line in rotated.server.requests[before:] if line.bearer is None]

    def test_an_older_version_with_a_strange_id_beside_it_is_not_believed(self, rotated: World) -> None:
        """Who may write the secret may put any id there."""
        theirs = rotated.server.account.create("theirs")
        block = rotated.rotation() | {"key_id": theirs.id, "version": 3}
        rotated.memory.put(PATH, {"api_key": plaintext(rotated, 2), "rotation": block})
        rotated.memory.put(PATH, rotated.memory.read(PATH, 2).data or {})
        assert only(identify(rotated, plaintext(rotated, 2)))[0] == 2


@pytest.mark.parametrize("form", [Form.PLAINTEXT, Form.PREVIEW])
def test_no_more_than_ten_older_versions_are_read(rotated: World, form: Form) -> None:
    rotated.memory.max_versions = 100
    for number in range(40):
        rotated.memory.put(PATH, {**rotated.secret(), "n": number})
    rotated.memory.calls.clear()
    given = "sk-" + "z" * 40 if form is Form.PLAINTEXT else "sk-zzzz...zzzz"
    identify(rotated, given)
    assert rotated.memory.calls.count(f"read {PATH}") <= 1 + 2 * 10 + 1


def test_when_it_goes(rotated: World) -> None:
    current, superseded = (identify(rotated, id_).keys[0] for id_ in (3, 2))
    assert current.due_at == superseded.key.created_at + timedelta(days=7)  # type: ignore[union-attr]
    assert current.age(rotated.server.account.clock.now()) == timedelta(0)


def test_a_frozen_key_is_replaced_when_its_freeze_ends(rotated: World) -> None:
    rotated.advance(10)
    ends = rotated.server.account.clock.now() + timedelta(days=5)
    rotated.memory.custom[PATH] = {FIELD: write_freeze(ends, "a sale")}
    assert identify(rotated, 3).keys[0].due_at == ends
