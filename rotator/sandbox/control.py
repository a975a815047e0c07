"""How people and other processes steer the sandbox: by JSON, without a key, below `/sandbox`."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from operator import index
from typing import Any, Final

from rotator.sandbox.contract import Request, listed
from rotator.sandbox.dates import Dated
from rotator.sandbox.disguises import format_time, parse_duration, plaintexts, previews, times, titles
from rotator.sandbox.faults import (
    ALWAYS,
    GARBAGE,
    Action,
    Cut,
    Delay,
    Drip,
    Fault,
    Faults,
    Phase,
    Status,
    Truncate,
    data_with,
)
from rotator.sandbox.ledger import AccountKey, Ledger, Quirks, RateLimit, RetryAfter
from rotator.sandbox.listing import Lists
from rotator.sandbox.odd import ODD
from rotator.sandbox.replies import Breakage, Reply
from rotator.sandbox.switches import described

_CONTROLS: Final = (
    "GET /keys, POST /keys, POST /keys/{id}/revoke, POST /keys/{id}/title, POST /clock, POST /faults, "
    "DELETE /faults, POST /quirks and DELETE /quirks; GET /switches shows what can be turned on"
)
_REQUESTS: Final = ("GET /keys", "POST /keys", "GET /account/balances")
_ACTIONS: Final[Mapping[str, Callable[[Any], Action]]] = {
    "status": lambda status: Status(index(status)),
    "cut": lambda how: Cut(Breakage(how)),
    "delay": Delay,
    "truncate": lambda sent: Truncate(index(sent)),
    "drip": Drip,
    "error": lambda said: Status(index(said["status"]), message=said["message"]),
    "garbage": GARBAGE.__getitem__,
    "odd": ODD.__getitem__,
    "date": Dated,
    "set": lambda fields: data_with(**fields),
}


def _ids(value: Any) -> frozenset[int]:
    return frozenset(index(id_) for id_ in value)


def _only(value: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError for a name that nobody reads: a mistyped switch would stay off unseen."""
    if unknown := sorted(value.keys() - set(names)):
        raise ValueError(f"there is no {', '.join(map(repr, unknown))}; it has {', '.join(names)}")


def _words(value: Any) -> Mapping[str, str]:
    return {str(word): str(shown) for word, shown in value.items()}


def _rate_limit(value: Any) -> RateLimit | None:
    if value is None:
        return None
    _only(value, "requests", "window", "retry_after")
    how = value.get("retry_after")
    return RateLimit(
        index(value["requests"]), parse_duration(value["window"]), RetryAfter[how.upper()] if how else None
    )


def _lists(value: Any) -> Lists:
    return Lists(**{**value, "twice": _ids(value.get("twice", ())), "beside": {**value.get("beside", {})}})


_QUIRKS: Final[Mapping[str, tuple[Callable[[Any], Any], object]]] = {
    "rate_limit": (_rate_limit, {"requests": 20, "window": "1s", "retry_after": "seconds"}),
    "page_size": (lambda size: size and index(size), 3),
    "lists_revoked": (bool, False),
    "omitted": (_ids, [3]),
    "lists": (
        _lists,
        {
            "cursor": True,
            "more_in_total": 2,
            "has_more": False,
            "shift": 1,
            "twice": [3],
            "beside": {"next": "/keys?after=2"},
        },
    ),
    "titles": (titles, "cut 50"),
    "plaintexts": (plaintexts, "project"),
    "previews": (previews, "weak"),
    "times": (times, "local +5h45m"),
    "statuses": (lambda value: {int(id_): str(status) for id_, status in value.items()}, {"3": "expired"}),
    "status_words": (_words, {"revoked": "Revoked"}),
    "refused": (_ids, [3]),
    "revoke_lag": (lambda lag: lag and parse_duration(lag), None),
    "revokes_itself": (bool, True),
    "reuses_ids": (bool, True),
}
"""By name: how it is read, and an example. `null` of `revoke_lag` means that DELETE has no effect."""


def control(account: Ledger, faults: Faults, request: Request) -> Reply:
    """Answer a request whose `path` is below `/sandbox`."""
    try:
        match request.method, request.path.split("/")[1:]:
            case "GET", ["switches"]:
                text = described(f"http://{request.headers['Host']}/sandbox")
                return Reply(200, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
            case "GET", ["keys"]:
                return _plain(200, {"keys": [_shown(key) for key in account.keys]})
            case "POST", ["keys"]:
                return _of_a_key(account.create(_title(request)))
            case "POST", ["keys", id_, "revoke"] if id_.isdecimal():
                return _of_a_key(account.revoke(int(id_)))
            case "POST", ["keys", id_, "title"] if id_.isdecimal():
                return _of_a_key(account.rename(int(id_), _title(request)))
            case "POST", ["clock"]:
                return _plain(200, {"now": format_time(account.clock.advance(_advance(request)))})
            case method, ["quirks"] if method in ("POST", "DELETE"):
                account.quirks = _quirks(account.quirks, _object(request)) if method == "POST" else Quirks()
                return _plain(200, {"quirks": _turned_on(account.quirks)})
            case method, ["faults"] if method in ("POST", "DELETE"):
                return _switch(faults, request)
    except (ValueError, OverflowError) as problem:
        return _plain(400, {"error": str(problem)})
    return _plain(404, {"error": f"below /sandbox there are {_CONTROLS}"})


def _switch(faults: Faults, request: Request) -> Reply:
    if request.method == "POST":
        faults.add(_fault(_object(request)))
    else:
        faults.clear()
    return _plain(200, {"faults": [_in_json(fault) for fault in faults.pending]})


def _fault(value: Mapping[str, Any]) -> Fault:
    try:
        _only(value, "on", "do", "at", "times")
        do, times = value["do"], value.get("times", 1)
        if len(do) != 1:
            raise KeyError("do")
        ((name, argument),) = do.items()
        return Fault(
            on=_on(value["on"]),
            do=_ACTIONS[name](argument),
            at=_phase(value.get("at", "before")),
            times=ALWAYS if times is None else index(times),
            told=dict(do),
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError(
            'a fault is like {"on": "POST /keys", "do": {"status": 500}, "at": "after", "times": 1}; '
            f"`do` is one of {', '.join(_ACTIONS)}; garbage is one of {', '.join(GARBAGE)}; "
            f"odd is one of {', '.join(ODD)}; an error is like "
            '{"status": 403, "message": "locked by its owner"}; '
            "a date is like +2d; "
            'what is set is like {"id": 3}'
        ) from None


def _on(pattern: str) -> str:
    """Return what a fault is on. Raises ValueError where no request of the contract would ever meet it."""
    ids = (*range(1, 1000), *re.findall("[0-9]+", pattern))
    requests = (*_REQUESTS, *(f"DELETE /keys/{id_}" for id_ in ids))
    if not any(fnmatchcase(request, pattern) for request in requests):
        raise ValueError(
            f"`on` fits no request; there are {', '.join(_REQUESTS)} and DELETE /keys/{{id}}, and `*` stands for "
            "anything"
        )
    return pattern


def _phase(at: object) -> Phase:
    phases = {phase.value: phase for phase in Phase}
    if at not in phases:
        raise ValueError(f"`at` is one of {', '.join(phases)}")
    return phases[str(at)]


def _in_json(fault: Fault) -> dict[str, object]:
    """A fault in the form in which it is switched on, with the `times` that are left."""
    do = fault.told or [type(action).__name__.lower() for action in fault.actions]
    return {"on": fault.on, "do": do, "at": fault.at.value, "times": fault.times}


def _turned_on(quirks: Quirks) -> list[str]:
    """The names of those that are not as the contract has it."""
    contract = Quirks()
    names = (quirk.name for quirk in fields(Quirks))
    return [name for name in names if getattr(quirks, name) != getattr(contract, name)]


def _quirks(quirks: Quirks, value: Mapping[str, Any]) -> Quirks:
    """Return the quirks with those that `value` names changed."""
    for name, given in value.items():
        if name not in _QUIRKS:
            examples = json.dumps({name: example for name, (_, example) in _QUIRKS.items()})
            raise ValueError(f"quirks are some of {examples}; the others stay as they are, DELETE ends all")
        read, example = _QUIRKS[name]
        try:
            quirks = replace(quirks, **{name: read(given)})
        except (TypeError, AttributeError, KeyError, ValueError) as problem:
            why = str(problem) if type(problem) is ValueError else "not of its form"
            raise ValueError(f"{name} is like {json.dumps(example)}: {why}") from None
    return quirks


def _advance(request: Request) -> timedelta:
    by = _object(request).get("advance")
    if not isinstance(by, str):
        raise ValueError('the clock takes {"advance": "30d"}')  # noqa: TRY004 - bad input, not a bad call
    return parse_duration(by)


def _title(request: Request) -> str:
    title = _object(request).get("title")
    if not isinstance(title, str):
        raise ValueError('a key takes {"title": "made by hand"}')  # noqa: TRY004 - bad input, not a bad call
    return title


def _object(request: Request) -> dict[str, Any]:
    body = request.json_object()
    if body is None:
        raise ValueError("the body must be a JSON object, with Content-Type: application/json")
    return body


def _shown(key: AccountKey) -> dict[str, Any]:
    """A key as it is, whatever the list says of it."""
    return listed(key, Quirks())


def _of_a_key(key: AccountKey | None) -> Reply:
    return _plain(200, _shown(key)) if key else _plain(404, {"error": "no live key has that id"})


def _plain(status: int, body: object) -> Reply:
    return Reply(status, json.dumps(body).encode())
