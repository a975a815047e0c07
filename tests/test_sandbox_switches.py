"""Every switch that the sandbox documents: its line is read, sent as it stands, and its answer is seen."""

import gzip
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from rotator.sandbox.server import GatewayServer
from rotator.sandbox.switches import SWITCHES


@dataclass(frozen=True)
class Seen:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Somebody who asks the gateway, as the bootstrap key or another."""

    def __init__(self, gateway: GatewayServer) -> None:
        self.gateway = gateway
        while len(gateway.account.keys) < 4:
            gateway.account.create(f"key {len(gateway.account.keys) + 1}")

    def __call__(self, method: str, path: str, body: object = None, *, key: int = 1) -> Seen:
        connection = HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)
        bearer = self.gateway.account.keys[key - 1].plaintext
        headers = {"Authorization": f"Bearer {bearer}", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        seen = Seen(answer.status, answer.read(), dict(answer.headers))
        connection.close()
        return seen

    def create(self) -> Seen:
        return self("POST", "/keys", {"title": "t"})

    def made(self) -> str:
        """The newest key's plaintext."""
        return self.gateway.account.keys[-1].plaintext

    def first_pages(self) -> list[dict[str, Any]]:
        pages = [self("GET", f"/keys?page={page}").json["data"] for page in (1, 2)]
        assert [[row["id"] for row in page.pop("items")] for page in pages] == [[1, 2], [1, 2]]
        return pages


def one_delete(call: Caller) -> None:
    refused = call("DELETE", "/keys/4")
    assert (refused.status, refused.json["error"]["message"]) == (403, "locked by its owner")
    assert call("DELETE", "/keys/3").status == 200
    assert call("DELETE", "/keys/4").status == 403


def limited(call: Caller) -> None:
    assert {call("GET", "/account/balances").status for _ in range(50)} == {200, 429}


def one_401(call: Caller) -> None:
    assert [call("GET", "/keys").status for _ in range(3)] == [401, 200, 200]


def status(word: str, answered: int) -> Callable[[Caller], None]:
    def seen(call: Caller) -> None:
        rows = call("GET", "/keys").json["data"]
        assert [row["status"] for row in rows] == ["created", "created", "created", word]
        assert call("GET", "/account/balances", key=4).status == answered

    return seen


def going_on(**said: object) -> Callable[[Caller], None]:
    def seen(call: Caller) -> None:
        for page in call.first_pages():
            assert {name: value for name, value in page.items() if value is not None} == said

    return seen


def balances(answered: int) -> Callable[[Caller], None]:
    def seen(call: Caller) -> None:
        assert [call("GET", "/account/balances").status for _ in range(2)] == [answered] * 2
        assert call("GET", "/keys").status == 200

    return seen


def created(
    how: Callable[[Seen], bytes], answered: int = 200, success: object = True
) -> Callable[[Caller], None]:
    def seen(call: Caller) -> None:
        made = call.create()
        envelope = json.loads(how(made))
        assert (made.status, envelope["success"], envelope["data"]["api_key"]) == (
            answered,
            success,
            call.made(),
        )
        assert call.create().json["success"] is True

    return seen


def unpacked(made: Seen) -> bytes:
    assert made.headers["Content-Encoding"] == "gzip"
    return gzip.decompress(made.body)


def without_mark(made: Seen) -> bytes:
    assert made.body.startswith(b"\xef\xbb\xbf{")
    return made.body[3:]


def another_form(call: Caller) -> None:
    plaintext = call.create().json["data"]["api_key"]
    assert plaintext.startswith("sk-proj-")
    assert "_-" in plaintext
    assert call("GET", "/keys", key=5).status == 200


def quoted(call: Caller) -> None:
    answer = call.create()
    assert answer.status == 500
    assert call.made() in answer.json["error"]["message"]
    assert call.create().status == 200


SEEN: dict[str, list[Callable[[Caller], None]]] = {
    "DELETE of one key": [one_delete],
    "a rate limit": [limited],
    "one 401": [one_401],
    "a status": [status("expired", 200), status("disabled", 401)],
    "a list": [
        going_on(next_cursor="c_2", has_more=True, total=4),
        going_on(next="/keys?after=2"),
        going_on(total_pages=3),
    ],
    "/account/balances": [balances(answered) for answered in (402, 403, 405, 410, 500)],
    "POST is answered": [
        created(lambda made: made.body, 201),
        created(without_mark),
        created(unpacked),
        created(lambda made: made.body, success="true"),
    ],
    "new keys' plaintexts": [another_form],
    "a 500": [quoted],
}
"""By the first words of what a switch says of itself: what each of its lines makes one see."""


def documented(gateway: GatewayServer) -> dict[str, list[str]]:
    """Every line of the page, by the heading above it."""
    with build_opener(ProxyHandler({})).open(f"{gateway.control_url}/switches", timeout=20) as answer:
        text = answer.read().decode()
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return {block[0].removeprefix("# "): [line for line in block if line[0] != "#"] for block in blocks}


def run(line: str) -> Any:
    """Do what curl does with the line."""
    words = shlex.split(line)
    assert words[0] == "curl"
    method, headers, data, url = "GET", {}, None, ""
    rest = iter(words[1:])
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                method, data = "POST", next(rest).encode()
            case _:
                url = word
    request = Request(url, data, headers, method=method)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
            return json.load(answer)
    except HTTPError as refused:
        with refused:
            return json.load(refused)


CASES = [(first, at) for first, lines in SEEN.items() for at in range(len(lines))]


@pytest.mark.parametrize(("first", "at"), CASES)
def test_a_documented_line_makes_the_gateway_answer_so(gateway: GatewayServer, first: str, at: int) -> None:
    call = Caller(gateway)
    (lines,) = [lines for says, lines in documented(gateway).items() if says.startswith(first)]
    assert "error" not in run(lines[at])
    SEEN[first][at](call)
    for line in documented(gateway)["turn all of it off"]:
        run(line)
    assert call.create().json["success"] is True
    assert call("GET", "/account/balances").status == 200


def test_each_line_has_its_case(gateway: GatewayServer) -> None:
    page = documented(gateway)
    switches = list(page)[: len(SWITCHES)]
    assert switches == [switch.says for switch in SWITCHES]
    assert [(first, len(lines)) for first, lines in SEEN.items()] == [
        (next(first for first in SEEN if says.startswith(first)), len(page[says])) for says in switches
    ]


def test_the_page_says_how_to_find_the_rest(gateway: GatewayServer) -> None:
    (more,) = [lines for says, lines in documented(gateway).items() if says.startswith("There are more")]
    faults, quirks = (run(line)["error"] for line in more)
    assert "odd is one of 201, byte order mark" in faults
    assert '"plaintexts": "project"' in quirks
