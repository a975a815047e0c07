"""The sandbox's gateway deceives on request: each lie, seen through a plain HTTP client."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator.sandbox.dates import Dated
from rotator.sandbox.disguises import previews, times, titles
from rotator.sandbox.faults import ALWAYS, Fault, Phase, data_with
from rotator.sandbox.ledger import Clock, Ledger, Quirks
from rotator.sandbox.listing import Lists
from rotator.sandbox.server import GatewayServer
from tests.plain_client import Client

START = datetime(2026, 11, 21, 9, 50, tzinfo=UTC)
NOW, AHEAD = "Sat, 21 Nov 2026 09:50:00 GMT", "Mon, 23 Nov 2026 09:50:00 GMT"


@pytest.fixture
def gateway() -> Iterator[GatewayServer]:
    with GatewayServer(Ledger(Clock(START, frozen=True))) as running:
        yield running


def dates(call: Client) -> Any:
    return call("GET", "/keys").headers.get_all("Date")  # type: ignore[attr-defined]


def listed(call: Client, query: str = "") -> Any:
    data = call("GET", f"/keys{query}").data
    return data["items"] if isinstance(data, dict) else data


def ids(call: Client, query: str = "") -> list[int]:
    return [row["id"] for row in listed(call, query)]


class TestDates:
    @pytest.mark.parametrize(
        ("says", "sent"),
        [
            ("+2d", [AHEAD]),
            ("-48h", ["Thu, 19 Nov 2026 09:50:00 GMT"]),
            ("doubled +2d", [AHEAD, NOW]),
            ("missing", None),
            ("garbage", ["the day after tomorrow"]),
        ],
    )
    def test_one_answer_is_dated_otherwise(
        self, gateway: GatewayServer, call: Client, says: str, sent: list[str] | None
    ) -> None:
        gateway.faults.add(Fault("GET /keys", Dated(says), at=Phase.AFTER))
        assert dates(call) == sent
        assert dates(call) == [NOW]

    def test_dates_jump_between_two_answers(self, gateway: GatewayServer, call: Client) -> None:
        gateway.faults.add(Fault("* *", Dated("jumping +2d"), at=Phase.AFTER, times=ALWAYS))
        assert [dates(call) for _ in range(3)] == [[AHEAD], [NOW], [AHEAD]]

    def test_a_cached_date_stands_still(self, gateway: GatewayServer, call: Client) -> None:
        gateway.faults.add(Fault("* *", Dated("cached"), at=Phase.AFTER, times=ALWAYS))
        assert dates(call) == [NOW]
        gateway.account.clock.advance(timedelta(days=2))
        assert dates(call) == [NOW]
        gateway.faults.clear()
        assert dates(call) == [AHEAD]

    @pytest.mark.parametrize("says", ["2d", "soon", "late +2d", "+2w", ""])
    def test_what_is_no_date_is_refused(self, says: str) -> None:
        with pytest.raises(ValueError, match="like"):
            Dated(says)

    def test_a_date_needs_an_answer(self) -> None:
        with pytest.raises(ValueError, match="after"):
            Fault("GET /keys", Dated("+2d"))


class TestDisguises:
    @pytest.mark.parametrize(
        ("name", "sent", "shown"),
        [
            ("cut 9", "Production backend", "Productio"),
            ("lower", "Backend [A]", "backend [a]"),
            ("folded", " two  spaces ", "two spaces"),
            ("html", "a <b> & 'c'", "a &lt;b&gt; &amp; &#x27;c&#x27;"),
            ("nfkc", "ﬁne ²", "fine 2"),
        ],
    )
    def test_titles_are_listed_otherwise_than_they_are_echoed(
        self, gateway: GatewayServer, call: Client, name: str, sent: str, shown: str
    ) -> None:
        gateway.account.quirks = Quirks(titles=titles(name))
        assert call("POST", "/keys", {"title": sent}).data["title"] == sent
        assert listed(call)[1]["title"] == shown

    def test_a_person_renames_a_key(self, gateway: GatewayServer, call: Client) -> None:
        assert gateway.account.rename(1, "renamed")
        assert listed(call)[0]["title"] == "renamed"
        assert gateway.account.rename(99, "renamed") is None

    @pytest.mark.parametrize(
        ("name", "shown"),
        [("weak", "sk-...{tail}"), ("stars", "****{tail}"), ("empty", ""), ("equal", "sk-0000...0000")],
    )
    def test_previews_say_too_little(
        self, gateway: GatewayServer, call: Client, name: str, shown: str
    ) -> None:
        gateway.account.quirks = Quirks(previews=previews(name))
        tail = gateway.account.bootstrap.plaintext[-4:]
        assert listed(call)[0]["key_preview"] == shown.format(tail=tail)

    def test_two_keys_have_one_preview(self, gateway: GatewayServer, call: Client) -> None:
        twin = gateway.account.create("twin", like=gateway.account.bootstrap)
        assert twin.plaintext != gateway.account.bootstrap.plaintext
        assert listed(call)[0]["key_preview"] == listed(call)[1]["key_preview"]

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("local +5h45m", "2026-11-21T15:35:00.000Z"),
            ("local -8h", "2026-11-21T01:50:00.000Z"),
            ("year 1", "0001-01-01T00:00:00.000Z"),
            ("year 9999", "9999-12-31T23:59:59.999Z"),
            ("no milliseconds", "2026-11-21T09:50:00Z"),
            ("offset +14:00", "2026-11-21T23:50:00.000+14:00"),
        ],
    )
    def test_keys_are_dated_otherwise(
        self, gateway: GatewayServer, call: Client, name: str, shown: str
    ) -> None:
        gateway.account.quirks = Quirks(times=times(name))
        assert call("POST", "/keys", {"title": "t"}).data["created_at"] == shown
        assert {row["created_at"] for row in listed(call)} == {shown}

    @pytest.mark.parametrize("refused", [False, True])
    def test_statuses_may_be_unknown_with_or_without_a_401(
        self, gateway: GatewayServer, call: Client, refused: bool
    ) -> None:
        key = gateway.account.create("t")
        gateway.account.quirks = Quirks(
            statuses={key.id: "expired"}, refused=frozenset({key.id} if refused else ())
        )
        assert [row["status"] for row in listed(call)] == ["created", "expired"]
        answer = call("GET", "/account/balances", Authorization=f"Bearer {key.plaintext}")
        assert answer.status == (401 if refused else 200)

    def test_statuses_may_be_spelt_otherwise(self, gateway: GatewayServer, call: Client) -> None:
        gateway.account.revoke(gateway.account.create("t").id)
        gateway.account.quirks = Quirks(status_words={"revoked": "Revoked"})
        assert [row["status"] for row in listed(call)] == ["created", "Revoked"]


class TestIds:
    def test_an_id_is_given_again(self, gateway: GatewayServer, call: Client) -> None:
        first = gateway.account.create("first")
        gateway.account.revoke(first.id)
        gateway.account.quirks = Quirks(reuses_ids=True)
        second = gateway.account.create("a person's")
        assert second.id == first.id
        assert [row["title"] for row in listed(call)] == ["bootstrap", "a person's"]
        assert [key.live for key in gateway.account.keys] == [True, False, True]
        assert call("DELETE", f"/keys/{first.id}").status == 200
        assert [key.live for key in gateway.account.keys] == [True, False, False]
        assert gateway.account.create("next").id == first.id

    def test_a_create_answers_the_id_of_an_earlier_key(self, gateway: GatewayServer, call: Client) -> None:
        gateway.faults.add(Fault("POST /keys", data_with(id=1), at=Phase.AFTER))
        assert call("POST", "/keys", {"title": "t"}).data["id"] == 1
        assert ids(call) == [1, 2]


class TestRevocations:
    def test_delete_has_no_effect(self, gateway: GatewayServer, call: Client) -> None:
        key = gateway.account.create("t")
        gateway.account.quirks = Quirks(revoke_lag=None)
        for _ in range(2):
            assert call("DELETE", f"/keys/{key.id}").data["status"] == "revoked"
            gateway.account.clock.advance(timedelta(days=99))
        assert listed(call)[1]["status"] == "created"
        assert call("GET", "/keys", Authorization=f"Bearer {key.plaintext}").status == 200
        assert gateway.account.keys[1].live

    def test_delete_takes_its_time(self, gateway: GatewayServer, call: Client) -> None:
        key = gateway.account.create("t")
        gateway.account.quirks = Quirks(revoke_lag=timedelta(minutes=10))
        for minutes, live in ((0, True), (9, True), (1, False)):
            gateway.account.clock.advance(timedelta(minutes=minutes))
            call("DELETE", f"/keys/{key.id}")
            assert (listed(call)[1]["status"] == "created") is live
            assert (gateway.account.authenticates(key.plaintext) is not None) is live
        assert gateway.account.keys[1].revoked_at == START + timedelta(minutes=10)
        assert gateway.account.keys[1].revoked_by == 1

    def test_a_key_revokes_itself(self, gateway: GatewayServer, call: Client) -> None:
        gateway.account.quirks = Quirks(revokes_itself=True)
        assert call("DELETE", "/keys/1").data["status"] == "revoked"
        assert call("GET", "/keys").status == 401


class TestLists:
    @pytest.fixture(autouse=True)
    def _five_keys(self, gateway: GatewayServer) -> None:
        for _ in range(4):
            gateway.account.create("t")

    def quirk(self, gateway: GatewayServer, **lists: Any) -> None:
        gateway.account.quirks = Quirks(page_size=2, lists=Lists(**lists))

    def test_pages_go_by_a_cursor_and_the_number_is_not_heeded(
        self, gateway: GatewayServer, call: Client
    ) -> None:
        self.quirk(gateway, cursor=True)
        for page in (1, 2, 3):
            data = call("GET", f"/keys?page={page}").data
            assert ids(call, f"?page={page}") == [1, 2]
            assert set(data) == {"items", "next_cursor", "has_more", "total"}
            assert (data["has_more"], data["total"]) == (True, 5)

    def test_a_total_is_larger_than_the_list(self, gateway: GatewayServer, call: Client) -> None:
        self.quirk(gateway, more_in_total=3)
        assert call("GET", "/keys").data["total"] == 8
        gateway.account.quirks = Quirks(lists=Lists(more_in_total=3))
        data = call("GET", "/keys").data
        assert (len(data["items"]), data["total"]) == (5, 8)

    def test_there_is_no_more_though_the_total_is_larger(self, gateway: GatewayServer, call: Client) -> None:
        self.quirk(gateway, has_more=False, more_in_total=0)
        data = call("GET", "/keys").data
        assert (len(data["items"]), data["has_more"], data["total"]) == (2, False, 5)

    @pytest.mark.parametrize(
        ("shift", "second", "third"), [(1, [4, 5], []), (-1, [2, 3], [4, 5]), (0, [3, 4], [5])]
    )
    def test_rows_shift_between_pages(
        self, gateway: GatewayServer, call: Client, shift: int, second: list[int], third: list[int]
    ) -> None:
        self.quirk(gateway, shift=shift)
        assert [ids(call, f"?page={page}") for page in (1, 2, 3)] == [[1, 2], second, third]

    def test_a_key_has_two_rows(self, gateway: GatewayServer, call: Client) -> None:
        self.quirk(gateway, twice=frozenset({2}))
        assert [ids(call, f"?page={page}") for page in (1, 2, 3)] == [[1, 2], [2, 3], [4, 5]]
        gateway.account.quirks = Quirks(lists=Lists(twice=frozenset({2})))
        assert ids(call) == [1, 2, 2, 3, 4, 5]

    def test_a_page_calls_itself_another(self, gateway: GatewayServer, call: Client) -> None:
        self.quirk(gateway, page_ahead=1)
        assert call("GET", "/keys?page=2").data == {"items": listed(call, "?page=2"), "page": 3, "limit": 2}

    def test_a_page_has_fewer_rows_than_its_limit(self, gateway: GatewayServer, call: Client) -> None:
        self.quirk(gateway, cap=1)
        assert [ids(call, f"?page={page}") for page in (1, 2, 3)] == [[1, 2], [3], [5]]
