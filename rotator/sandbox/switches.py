"""What the sandbox's gateway can be told to answer, each with the line that a person copies to turn it on.

`GET /sandbox/switches` shows them all. Below `quirks` a switch stays on until it is turned off; below `faults` it
holds for as many requests as `times` says: for one without it, for all with null. Key 4 is in use when the story
is over.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Switch:
    """What it makes the gateway do, and what is sent below `/sandbox` to have it: one of `bodies`."""

    says: str
    path: str
    bodies: tuple[Mapping[str, object], ...]


SWITCHES: Final = (
    Switch(
        "DELETE of one key is refused, and of no other",
        "faults",
        (
            {
                "on": "DELETE /keys/4",
                "do": {"error": {"status": 403, "message": "locked by its owner"}},
                "times": None,
            },
        ),
    ),
    Switch(
        "a rate limit that nobody was told of",
        "quirks",
        ({"rate_limit": {"requests": 5, "window": "1s", "retry_after": "seconds"}},),
    ),
    Switch("one 401 among good answers", "faults", ({"on": "GET /keys", "do": {"status": 401}},)),
    Switch(
        "a status that nobody knows, of a key that works or is answered 401",
        "quirks",
        (
            {"statuses": {"4": "expired"}, "refused": []},
            {"statuses": {"4": "disabled"}, "refused": [4]},
        ),
    ),
    Switch(
        "a list that goes on by `next_cursor`, `next` or `total_pages`, and does not heed `page`",
        "quirks",
        tuple(
            {"page_size": 2, "lists": {"cursor": True, "beside": beside}}
            for beside in (
                {},
                {"next_cursor": None, "has_more": None, "total": None, "next": "/keys?after=2"},
                {"next_cursor": None, "has_more": None, "total": None, "total_pages": 3},
            )
        ),
    ),
    Switch(
        "/account/balances is answered 402, 403, 405, 410 or 500",
        "faults",
        tuple(
            {"on": "GET /account/balances", "do": {"status": status}, "times": None}
            for status in (402, 403, 405, 410, 500)
        ),
    ),
    Switch(
        "POST is answered 201, with a byte order mark, as gzip, or with `success` as text",
        "faults",
        tuple(
            {"on": "POST /keys", "do": do, "at": "after"}
            for do in (
                {"odd": "201"},
                {"odd": "byte order mark"},
                {"odd": "gzip"},
                {"garbage": "success is text"},
            )
        ),
    ),
    Switch("new keys' plaintexts are of another form: sk-proj-…_-…", "quirks", ({"plaintexts": "project"},)),
    Switch(
        "a 500 that quotes the new key's plaintext",
        "faults",
        ({"on": "POST /keys", "do": {"odd": "500 quotes the key"}, "at": "after"},),
    ),
)


def command(control_url: str, switch: Switch, body: Mapping[str, object]) -> str:
    """Return the line that turns a switch on."""
    data = shlex.quote(json.dumps(body))
    return f"curl {control_url}/{switch.path} -H 'Content-Type: application/json' -d {data}"


def described(control_url: str) -> str:
    """Return every switch with its lines, the line that turns everything off, and how to find the rest."""
    parts = [
        "\n".join([f"# {switch.says}", *(command(control_url, switch, body) for body in switch.bodies)])
        for switch in SWITCHES
    ]
    off = f"curl -X DELETE {control_url}/faults\ncurl -X DELETE {control_url}/quirks"
    return "\n\n".join([*parts, f"# turn all of it off\n{off}", _MORE.format(url=control_url)]) + "\n"


_MORE: Final = """\
# There are more faults (delays, cut connections, garbage, dates) and quirks (titles, previews, times).
# Each answers a name that it does not know with the names that it knows:
curl {url}/faults -H 'Content-Type: application/json' -d '{{}}'
curl {url}/quirks -H 'Content-Type: application/json' -d '{{"?": 0}}'"""
