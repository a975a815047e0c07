"""The sandbox's control over HTTP, for people and other processes; it takes no key."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from rotator.sandbox.faults import ALWAYS, GARBAGE, Cut, Delay, Drip, Fault, Phase, Status, Truncate
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.listing import Lists
from rotator.sandbox.replies import Breakage
from rotator.sandbox.server import GatewayServer


def control(
    gateway: GatewayServer, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    request = Request(gateway.control_url + path, data, sent, method=method)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def test_control_lists_keys_without_plaintexts(gateway: GatewayServer) -> None:
    gateway.account.revoke(1)
    gateway.account.quirks = Quirks(lists_revoked=False)
    status, answer = control(gateway, "GET", "/keys")
    assert status == 200
    assert [(key["id"], key["title"], key["status"]) for key in answer["keys"]] == [
        (1, "bootstrap", "revoked")
    ]
    assert gateway.account.bootstrap.plaintext not in json.dumps(answer)


def test_control_is_neither_logged_nor_hit_by_faults(gateway: GatewayServer) -> None:
    gateway.faults.add(Fault("* *", Status(503)))
    assert control(gateway, "GET", "/keys")[0] == 200
    assert gateway.requests == ()
    assert len(gateway.faults.pending) == 1


def test_control_is_for_loopback_only(gateway: GatewayServer) -> None:
    for host, status in (("localhost", 200), ("rebound.example", 403)):
        assert control(gateway, "POST", "/clock", {"advance": "1s"}, Host=host)[0] == status


def test_control_takes_no_form_of_another_site(gateway: GatewayServer) -> None:
    status, answer = control(gateway, "POST", "/clock", {"advance": "1s"}, **{"Content-Type": "text/plain"})
    assert status == 400
    assert "application/json" in answer["error"]


def test_control_moves_the_clock(gateway: GatewayServer) -> None:
    before = gateway.account.clock.now()
    status, answer = control(gateway, "POST", "/clock", {"advance": "30d"})
    assert status == 200
    assert (gateway.account.clock.now() - before).days == 30
    assert answer["now"].endswith("Z")


def test_control_revokes_a_key_by_the_operator_s_hand(gateway: GatewayServer) -> None:
    assert control(gateway, "POST", "/keys/1/revoke")[1]["status"] == "revoked"
    assert gateway.account.keys[0].revoked_by is None
    assert control(gateway, "POST", "/keys/1/revoke") == (404, {"error": "no live key has that id"})


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ({"do": {"status": 500}, "at": "after", "times": 2}, Fault("* *", Status(500), Phase.AFTER, 2)),
        ({"do": {"cut": "close"}, "times": None}, Fault("* *", Cut(Breakage.CLOSE), times=ALWAYS)),
        ({"do": {"delay": 1.5}}, Fault("* *", Delay(1.5))),
        ({"do": {"truncate": 3}, "at": "after"}, Fault("* *", Truncate(3), Phase.AFTER)),
        ({"do": {"drip": 0.1}, "at": "after"}, Fault("* *", Drip(0.1), Phase.AFTER)),
        ({"do": {"garbage": "html"}}, Fault("* *", GARBAGE["html"])),
    ],
)
def test_control_switches_faults(gateway: GatewayServer, sent: dict[str, object], fault: Fault) -> None:
    status, answer = control(gateway, "POST", "/faults", {"on": "* *", **sent})
    assert (status, answer) == (200, {"faults": [{"on": "* *", "at": "before", "times": 1, **sent}]})
    assert list(gateway.faults.pending) == [fault]
    assert control(gateway, "DELETE", "/faults") == (200, {"faults": []})
    assert not gateway.faults.pending


@pytest.mark.parametrize(
    ("path", "body", "cure"),
    [
        ("/clock", {"advance": 30}, '{"advance": "30d"}'),
        ("/clock", {"advance": "soon"}, "30d"),
        ("/clock", {"advance": "999999999d"}, "out of range"),
        ("/clock", [1], "JSON object"),
        ("/faults", b"{", "JSON object"),
        ("/faults", {"on": "* *"}, "a fault is like"),
        ("/faults", {"on": 5, "do": {"status": 500}}, "a fault is like"),
        ("/faults", {"on": "* *", "do": {"explode": 1}}, "status, cut, delay"),
        ("/faults", {"on": "* *", "do": {"garbage": "x"}}, "html"),
        ("/faults", {"on": "* *", "do": {"status": "500"}}, "a fault is like"),
        ("/faults", {"on": "* *", "do": {"status": 500}, "times": 1.5}, "a fault is like"),
        ("/faults", {"on": "* *", "do": {"status": 500}, "at": "never"}, "before, after"),
        (
            "/faults",
            {"on": "* *", "do": {"status": 500}, "tims": None},
            "there is no 'tims'; it has on, do, at",
        ),
        ("/faults", {"on": "DELETE /keyz/4", "do": {"status": 500}}, "GET /keys, POST /keys"),
        ("/faults", {"on": "GET /keys", "do": {"error": {"status": 500}}}, "an error is like"),
        ("/quirks", {"rate_limit": {"request": 5, "window": "1s"}}, "there is no 'request'; it has requests"),
        ("/quirks", {"rate_limit": {"requests": 5}}, "rate_limit is like"),
        ("/faults", {"on": "* *", "do": {"status": 500, "delay": 1}}, "one of"),
    ],
)
def test_control_says_what_is_wrong(gateway: GatewayServer, path: str, body: object, cure: str) -> None:
    status, answer = control(gateway, "POST", path, body)
    assert status == 400
    assert cure in answer["error"]
    assert gateway.faults.pending == ()


def test_control_says_what_there_is(gateway: GatewayServer) -> None:
    for method, path in (("GET", "/"), ("GET", "/clock"), ("PUT", "/keys")):
        status, answer = control(gateway, method, path)
        assert status == 404
        assert "POST /clock" in answer["error"]


@pytest.mark.parametrize(
    "sent",
    [{"do": {"date": "+2d"}}, {"do": {"set": {"id": 3}}}],
)
def test_control_switches_lies_of_an_answer(gateway: GatewayServer, sent: dict[str, object]) -> None:
    status, answer = control(gateway, "POST", "/faults", {"on": "* *", "at": "after", **sent})
    assert status == 200
    assert answer["faults"][0]["do"] == sent["do"]


def test_control_switches_quirks_one_after_the_other(gateway: GatewayServer) -> None:
    quirks = {
        "page_size": 2,
        "lists_revoked": False,
        "omitted": [3],
        "lists": {"cursor": True, "twice": [3]},
        "titles": "cut 5",
        "previews": "weak",
        "times": "year 1",
        "statuses": {"3": "expired"},
        "status_words": {"revoked": "Revoked"},
        "refused": [4],
        "revoke_lag": None,
        "revokes_itself": True,
        "reuses_ids": True,
    }
    for name, value in quirks.items():
        assert control(gateway, "POST", "/quirks", {name: value})[0] == 200
    switched = gateway.account.quirks
    assert (switched.page_size, switched.lists_revoked, switched.omitted) == (2, False, frozenset({3}))
    assert switched.lists == Lists(cursor=True, twice=frozenset({3}))
    assert (switched.titles("Reporting"), switched.previews("sk-0123456789")) == ("Repor", "sk-...6789")
    assert switched.times(gateway.account.clock.now()).startswith("0001")
    assert (switched.statuses, switched.status_words) == ({3: "expired"}, {"revoked": "Revoked"})
    assert (switched.refused, switched.revoke_lag) == (frozenset({4}), None)
    assert switched.revokes_itself
    assert switched.reuses_ids
    _, turned_on = control(gateway, "POST", "/quirks", {})
    assert set(quirks) <= set(turned_on["quirks"])
    assert control(gateway, "DELETE", "/quirks", {}) == (200, {"quirks": []})
    assert gateway.account.quirks == Quirks()


@pytest.mark.parametrize(
    ("body", "cure"),
    [
        ({"title": "cut 5"}, '"titles": "cut 50"'),
        ({"titles": "upper"}, "lower, folded"),
        ({"titles": 5}, 'titles is like "cut 50"'),
        ({"times": "local 5h"}, "with a sign"),
        ({"lists": {"curser": True}}, "lists is like"),
        ({"revoke_lag": "soon"}, "90s"),
        ([1], "JSON object"),
    ],
)
def test_control_says_which_quirks_there_are(gateway: GatewayServer, body: object, cure: str) -> None:
    status, answer = control(gateway, "POST", "/quirks", body)
    assert status == 400
    assert cure in answer["error"]
    assert gateway.account.quirks == Quirks()


def test_control_is_a_person_s_hand(gateway: GatewayServer) -> None:
    assert control(gateway, "POST", "/keys", {"title": "made by hand"})[1]["id"] == 2
    assert control(gateway, "POST", "/keys/2/title", {"title": "renamed"})[1]["title"] == "renamed"
    assert [key.title for key in gateway.account.keys] == ["bootstrap", "renamed"]
    assert control(gateway, "POST", "/keys/9/title", {"title": "renamed"})[0] == 404
    assert control(gateway, "POST", "/keys", {"name": "x"})[0] == 400
