"""What the sandbox's gateway answers: requests in, replies out, by the contract and nothing more lenient.

Where the contract is silent, the strict reading is taken: a revoked id is as unknown as one that never was.
`control` is for people and other processes, which steer the sandbox by JSON and without a key.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from math import ceil
from operator import index
from typing import Any, assert_never

from rotator.sandbox.account import Account, AccountKey, RetryAfter, format_time, parse_duration
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
)
from rotator.sandbox.replies import Breakage, Reply, error, success

MAX_TITLE = 255
_CONTROLS = "GET /keys, POST /keys/{id}/revoke, POST /clock, POST /faults and DELETE /faults"
_ACTIONS: Mapping[str, Callable[[Any], Action]] = {
    "status": lambda status: Status(index(status)),
    "cut": lambda how: Cut(Breakage(how)),
    "delay": Delay,
    "truncate": lambda sent: Truncate(index(sent)),
    "drip": Drip,
    "garbage": GARBAGE.__getitem__,
}
_METHODS = (
    (re.compile(r"/keys"), "GET, POST"),
    (re.compile(r"/keys/[0-9]{1,18}"), "DELETE"),
    (re.compile(r"/account/balances"), "GET"),
)


@dataclass(frozen=True)
class Request:
    """What an answer depends on."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Message = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def token(self) -> str:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def json_object(self) -> dict[str, Any] | None:
        """Return the body's object; None when it is none, or does not say that it is JSON."""
        media_type = self.headers.get("Content-Type", "").partition(";")[0]
        try:
            value = json.loads(self.body) if media_type.strip().lower() == "application/json" else None
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


def answer(account: Account, request: Request) -> Reply:
    """Answer a request whose `path` is below the base URL."""
    if until := account.admit():
        return error(429, headers=_retry_after(account, until))
    bearer = account.authenticates(request.token)
    if bearer is None:
        return error(401)
    allowed = next((methods for path, methods in _METHODS if path.fullmatch(request.path)), None)
    if allowed is None:
        return error(404)
    match request.method, request.path:
        case "GET", "/keys":
            return _list(account, request.query)
        case "POST", "/keys":
            return _create(account, request.json_object(), bearer)
        case "GET", "/account/balances":
            return success({"credits": 1000, "api_credits": 1000})
        case "DELETE", path if path.startswith("/keys/"):
            return _revoke(account, int(path.removeprefix("/keys/")), bearer)
        case _:
            return error(405, headers={"Allow": allowed})


def _list(account: Account, query: Mapping[str, list[str]]) -> Reply:
    keys = [_listed(key) for key in account.listed()]
    size = account.quirks.page_size
    if size is None:
        return success(keys)
    asked = [query.get("page", ["1"])[0], query.get("limit", [str(size)])[0]]
    if not all(re.fullmatch(r"[1-9][0-9]{0,8}", number) for number in asked):
        return error(400, "Invalid page")
    page, limit = int(asked[0]), min(int(asked[1]), size)
    return success({"items": keys[(page - 1) * limit : page * limit], "page": page, "limit": limit})


def _create(account: Account, body: dict[str, Any] | None, bearer: int) -> Reply:
    if body is None:
        return error(400, "The body must be a JSON object")
    title = body.get("title")
    if not isinstance(title, str) or not 0 < len(title) <= MAX_TITLE:
        return error(400, "Invalid title")
    key = account.create(title, by=bearer)
    return success(
        {
            "id": key.id,
            "title": key.title,
            "status": key.status,
            "created_at": format_time(key.created_at),
            "api_key": key.plaintext,
        }
    )


def _revoke(account: Account, id_: int, bearer: int) -> Reply:
    if id_ == bearer:
        return error(400, "you cannot revoke the currently used key from the same request context")
    key = account.revoke(id_, by=bearer)
    return error(404) if key is None else success({"id": key.id, "status": key.status})


def control(account: Account, faults: Faults, request: Request) -> Reply:
    """Answer a request whose `path` is below `/sandbox`."""
    key_id = re.fullmatch(r"/keys/([0-9]{1,18})/revoke", request.path)
    try:
        match request.method, request.path:
            case "GET", "/keys":
                return _plain(200, {"keys": [_listed(key) for key in account.ledger]})
            case "POST", _ if key_id:
                key = account.revoke(int(key_id[1]))
                return _plain(200, _listed(key)) if key else _plain(404, {"error": "no live key has that id"})
            case "POST", "/clock":
                return _plain(200, {"now": format_time(account.clock.advance(_advance(request)))})
            case "POST", "/faults":
                faults.add(_fault(_object(request)))
            case "DELETE", "/faults":
                faults.clear()
            case _:
                return _plain(404, {"error": f"below /sandbox there are {_CONTROLS}"})
    except (ValueError, OverflowError) as problem:
        return _plain(400, {"error": str(problem)})
    return _plain(200, {"faults": [repr(fault) for fault in faults.pending]})


def _fault(value: Mapping[str, Any]) -> Fault:
    try:
        do, times = value["do"], value.get("times", 1)
        if len(do) != 1:
            raise KeyError("do")
        ((name, argument),) = do.items()
        return Fault(
            on=value["on"],
            do=_ACTIONS[name](argument),
            at=Phase(value.get("at", "before")),
            times=ALWAYS if times is None else index(times),
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError(
            'a fault is like {"on": "POST /keys", "do": {"status": 500}, "at": "after", "times": 1}; '
            f"`do` is one of {', '.join(_ACTIONS)}; garbage is one of {', '.join(GARBAGE)}"
        ) from None


def _advance(request: Request) -> timedelta:
    by = _object(request).get("advance")
    if not isinstance(by, str):
        raise ValueError('the clock takes {"advance": "30d"}')  # noqa: TRY004 - bad input, not a bad call
    return parse_duration(by)


def _object(request: Request) -> dict[str, Any]:
    body = request.json_object()
    if body is None:
        raise ValueError("the body must be a JSON object, with Content-Type: application/json")
    return body


def _listed(key: AccountKey) -> dict[str, object]:
    return {
        "id": key.id,
        "title": key.title,
        "status": key.status,
        "created_at": format_time(key.created_at),
        "key_preview": key.preview,
    }


def _plain(status: int, body: object) -> Reply:
    return Reply(status, json.dumps(body).encode())


def _retry_after(account: Account, until: datetime) -> dict[str, str]:
    limit = account.quirks.rate_limit
    how = limit.retry_after if limit else None
    match how:
        case RetryAfter.SECONDS:
            return {"Retry-After": str(ceil((until - account.clock.now()).total_seconds()))}
        case RetryAfter.DATE:
            return {"Retry-After": format_datetime(until, usegmt=True)}
        case None:
            return {}
        case _:
            assert_never(how)
