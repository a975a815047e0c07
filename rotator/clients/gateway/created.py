"""The answer to `POST /keys`. It holds the only copy of a plaintext, which is not lost to what is beside it.

Whether the key is sound and ours is not seen here: the title, the list and a probe decide. Pure.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from rotator.clients.answers import Number, objects_in
from rotator.clients.gateway.answers import STRICT, GatewayAnswer, Id, has_plaintext
from rotator.errors import BrokenContract
from rotator.redaction import WORD
from rotator.rules.times import parse_time

_LARGE: Final = 2**20
"""Bytes: a larger answer is none to a create, and is not searched."""
_WHOLE: Final = re.compile(r"([0-9]{1,19})(\.0+)?")


_MAY_HAVE_MADE: Final = (
    "if a key was made all the same, a pass revokes it after orphan_after; if it stays, ask the "
    "gateway's support"
)


class CreateAnswer(GatewayAnswer):
    """One answer to a create. Where it is no JSON, or the key stands elsewhere in it, the key is looked for."""

    def read(self, content: bytes) -> tuple[Any, str | None]:
        """Return the body's value, with the key in `data` if there is one in it anywhere."""
        value, fault = super().read(content)
        if not fault and isinstance(value, dict) and has_plaintext(value.get("data")):
            return {**value, "data": _stripped(value["data"])}, None
        for found in objects_in(content) if len(content) < _LARGE else ():
            data: Any = found.get("data") if has_plaintext(found.get("data")) else found
            if has_plaintext(data):
                return {"data": _stripped(data), "request_id": found.get("request_id")}, None
        return value, fault

    def broken(self, fault: str) -> BrokenContract:
        """The URL is right: the list came from it. But there may be a key."""
        return self.broken_contract(f"the answer breaks the contract: {fault}", _MAY_HAVE_MADE)


def _stripped(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "api_key": data["api_key"].strip()}


def _whole_number(value: object) -> object:
    """An id in other letters: `"13"`, `13.0`."""
    letters = value.letters if isinstance(value, Number) else value
    found = _WHOLE.fullmatch(letters) if isinstance(letters, str) else None
    return int(found[1]) if found else value


def _text_if_any(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time_if_any(value: object) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None


class CreatedRow(BaseModel):
    """The `data` of the contract's answer."""

    model_config = STRICT
    id: Annotated[Id, BeforeValidator(_whole_number)]
    title: Annotated[str | None, BeforeValidator(_text_if_any)] = None
    created_at: Annotated[datetime | None, BeforeValidator(_time_if_any)] = None
    """Neither is worth a plaintext: they may be missing or odd, and the list says them, too."""
    # What cannot stand in a header could be stored, but never used.
    api_key: Annotated[str, Field(min_length=16, max_length=512, pattern=f"^{WORD}$")]
