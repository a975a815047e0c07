"""What the sandbox's gateway answers: requests in, replies out, by the contract and nothing more lenient.

Where the contract is silent, the strict reading is taken: a revoked id is as unknown as one that never was.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from email.utils import format_datetime
from math import ceil
from typing import Any, assert_never

from rotator.sandbox.ledger import AccountKey, Ledger, Quirks, RetryAfter
from rotator.sandbox.listing import first_page_only, page_of
from rotator.sandbox.replies import Reply, error, success

MAX_TITLE = 255
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
        """The bearer token of the `Authorization` header (RFC 6750 §2.1); empty where there is none."""
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


def answer(account: Ledger, request: Request) -> Reply:
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


def _list(account: Ledger, query: Mapping[str, list[str]]) -> Reply:
    quirks = account.quirks
    rows, size = [listed(key, quirks) for key in account.listed()], quirks.page_size
    if size is None:
        return success(first_page_only(rows, quirks.lists))
    asked = [query.get("page", ["1"])[0], query.get("limit", [str(size)])[0]]
    if not all(re.fullmatch(r"[1-9][0-9]{0,8}", number) for number in asked):
        return error(400, "Invalid page")
    page, limit = int(asked[0]), min(int(asked[1]), size)
    return success(page_of(rows, page, limit, quirks.lists))


def _create(account: Ledger, body: dict[str, Any] | None, bearer: int) -> Reply:
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
            "created_at": account.quirks.times(key.created_at),
            "api_key": key.plaintext,
        }
    )


def _revoke(account: Ledger, id_: int, bearer: int) -> Reply:
    if id_ == bearer and not account.quirks.revokes_itself:
        return error(400, "you cannot revoke the currently used key from the same request context")
    key = account.revoke(id_, by=bearer)
    return error(404) if key is None else success({"id": key.id, "status": key.status})


def listed(key: AccountKey, quirks: Quirks) -> dict[str, Any]:
    """A row of the list."""
    return {
        "id": key.id,
        "title": quirks.titles(key.title),
        "status": quirks.status(key),
        "created_at": quirks.times(key.created_at),
        "key_preview": quirks.previews(key.plaintext),
    }


def _retry_after(account: Ledger, until: datetime) -> dict[str, str]:
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
