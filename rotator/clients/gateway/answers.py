"""The gateway's wire format: what an answer must look like, and what each status asks of the caller.

Pure: takes a status, headers and bytes, returns values or raises one of `rotator.errors`. A message names the
field that is wrong and the `request_id`, never a value of the body.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from rotator.clients.answers import Answer
from rotator.clients.gateway.counters import Counters, counters
from rotator.errors import BrokenContract, Denied, Rejected
from rotator.redaction import remember, words
from rotator.rules.model import Key
from rotator.rules.times import parse_time


class GatewayAnswer(Answer):
    """One answer: its status, its envelope, what it asks of us."""

    undecodable = "replace"  # a plaintext is not thrown away for a byte beside it
    """Nothing of the gateway's is ever sent back to it, or kept in place of a secret of somebody's."""

    def __init__(self, what: str, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.date = _date(headers.get("Date"))
        self.headers = headers
        super().__init__(what, status, headers, content, now=self.date)
        self.size = len(content)

    def remember(self) -> None:
        """A new key's plaintext, which whoever answers may have put elsewhere, too."""
        if has_plaintext(self.data):
            remember(self.data["api_key"])

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success: 200, 201, 204 …"""
        return self.status // 100 == HTTPStatus.OK // 100

    @property
    def data(self) -> Any:
        """The envelope's `data`, not yet validated; None where it is missing."""
        return self.body.get("data")

    def raise_for_refusal(self) -> None:
        """Raise what the status and the envelope mean. Returns for a success: 2xx, with the contract's body."""
        status, said = self.status, self._said()
        if self.is_success:
            self._raise_unless_success()
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            raise self.limited(f"rate limited{said}")
        elif status == HTTPStatus.TOO_EARLY:
            raise self.transient(f"too early{said}", ambiguous=False, cure=_IF_IT_LASTS)
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise self.transient(f"{status}{said}", ambiguous=True, cure=_IF_IT_LASTS)
        elif status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Denied(
                f"{self.what}: {status}{said}",
                status=status,
                request_id=self.request_id,
                cure=_APPROVE if status == HTTPStatus.FORBIDDEN else None,
            )
        elif status >= HTTPStatus.BAD_REQUEST:
            raise Rejected(
                f"{self.what}: {status}{said}",
                status=status,
                request_id=self.request_id,
                cure=_ASK_THE_VENDOR if self.body and status != HTTPStatus.NOT_FOUND else _IS_IT_THE_URL,
            )
        else:
            redirect = " (a redirect; the bearer is not sent elsewhere)" if status // 100 == 3 else ""
            raise self.broken(f"status {status} is not in the contract{redirect}")

    def _raise_unless_success(self) -> None:
        if self.fault or not self.is_object:
            raise self.broken(self.fault or "the body is not an object")
        # A plaintext in hand exists once: whatever else is odd about its answer, it is not thrown away.
        if has_plaintext(self.data):
            return
        if self.body.get("success") is not True:
            raise self.broken(f"{self.status}, but `success` is not true{self._said()}")
        if self.body.get("error"):
            raise self.broken(f"{self.status}, with an error beside its `success`{self._said()}")

    def broken_data(self, error: ValidationError) -> BrokenContract:
        """Name the first fields that are wrong, never their values."""
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        named = "; ".join(
            f"{'.'.join(map(str, ('data', *fault['loc'])))} {_WORDS.get(fault['type'], 'is malformed')}"
            for fault in faults[:3]
        )
        return self.broken(named + (f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""))

    def broken(self, fault: str) -> BrokenContract:
        """The error for an answer that is not the contract's."""
        cure = _ASK_THE_VENDOR if self.request_id else _IS_IT_THE_URL
        return self.broken_contract(f"the answer breaks the contract: {fault}", cure)

    def _said(self) -> str:
        """The gateway's own words for an error, short, printable and redacted."""
        error = self.body.get("error")
        if not isinstance(error, dict):
            return ""
        said = [error[part] for part in ("code", "message") if isinstance(error.get(part), str)]
        text = words(": ".join(said))
        return f" ({text})" if text else ""


def has_plaintext(data: Any) -> bool:
    """Whether an answer's `data` holds a new key."""
    return isinstance(data, dict) and isinstance(data.get("api_key"), str)


_IS_IT_THE_URL: Final = "check gateway.url: it must be the API's base URL, which ends in /api/v1"
_IF_IT_LASTS: Final = (
    "the next pass tries again; if it lasts, ask the gateway's support, and name the request_id"
)
_ASK_THE_VENDOR: Final = "ask the gateway's support, and name the request_id"
_APPROVE: Final = "ask the gateway's support to approve API access, and name the request_id"
"""What is wrong with a bearer that is refused with 401 is said where it is known which one that was."""
_WORDS: Final = {
    "missing": "is missing",
    "int_type": "is not an integer",
    "int_parsing_size": "is out of range",
    "greater_than": "is out of range",
    "less_than": "is out of range",
    "string_type": "is not a string",
    "list_type": "is not a list",
    "model_type": "is not an object",
    "model_attributes_type": "is not an object",
    "value_error": "is not an ISO 8601 time with an offset",
}


STRICT: Final = ConfigDict(strict=True, hide_input_in_errors=True, defer_build=True)
Id = Annotated[int, Field(gt=0, lt=2**63)]
_Time = Annotated[
    datetime, BeforeValidator(lambda value: parse_time(value if isinstance(value, str) else ""))
]


class KeyRow(BaseModel):
    """An item of the contract's answer to `GET /keys`. Fields that it does not name are ignored."""

    model_config = STRICT
    id: Id
    title: str
    status: str
    created_at: _Time
    key_preview: str

    def key(self) -> Key:
        """Return the same in the program's own vocabulary."""
        return Key(self.id, self.title, self.status, self.created_at, self.key_preview)


class RevokedRow(BaseModel):
    """The `data` of the answer to `DELETE /keys/{id}`, by the vendor's public documentation."""

    model_config = STRICT
    id: Id
    status: str


# The first row that is wrong is enough: of a million, all their faults would fill the memory.
_Rows = Annotated[list[KeyRow], FailFast()]


class _Paged(BaseModel):
    model_config = STRICT
    items: _Rows
    limit: Annotated[int, Field(gt=0, lt=2**31)] | None = None
    page: Annotated[int, Field(ge=0, lt=2**31)] | None = None


@dataclass(frozen=True)
class Page:
    """One page of the list, with every counter that it offers; None for one that it does not."""

    rows: list[KeyRow]
    limit: int | None = None
    page: int | None = None
    total: int = 0
    """The most keys that any counter speaks of."""
    pages: int = 0
    more: str | None = None
    """What says that there are more; None where nothing does."""
    paged: bool = False
    """Whether there may be more pages."""

    def fault(self, asked: int, new: int, before: "Page | None", seen: int) -> str | None:
        """How the counters contradict the rows, in words. `new` rows of it were not `seen` before."""
        if self.page is not None and self.page != asked:
            return f"page {asked} was asked for, and page {self.page} answered"
        if new and before and before.limit is not None and len(before.rows) < before.limit:
            return f"page {asked - 1} had fewer rows than its limit, and yet page {asked} has more"
        if new and self.paged:
            return None  # the next page tells
        if self.more:
            return f"page {asked} is the last one, and says in {self.more} that there are more"
        if self.total > seen:
            return f"it has {seen} keys, and says that there are {self.total}"
        if self.pages >= asked + (not self.paged):
            return f"page {asked} is the last one, and says that there are {self.pages}"
        return None


_KEY_ROWS: Final = TypeAdapter(_Rows, config=ConfigDict(defer_build=True))
_Row = TypeVar("_Row", bound=BaseModel)


def page_of(answer: GatewayAnswer) -> Page:
    """Read a page, or a list that has none. Raises BrokenContract for rows that are not the contract's."""
    if isinstance(answer.data, dict):
        paged = validated(_Paged, answer)
        return Page(paged.items, paged.limit, paged.page, *_counters(answer), paged=True)
    try:
        return Page(_KEY_ROWS.validate_python(answer.data), None, None, *_counters(answer))
    except ValidationError as error:
        raise answer.broken_data(error) from None


def _counters(answer: GatewayAnswer) -> Counters:
    """Return what the answer says of the whole list."""
    beside = {name: value for name, value in answer.body.items() if name != "data"}
    return counters(
        answer.status, answer.headers, beside, answer.data if isinstance(answer.data, dict) else {}
    )


def validated(model: type[_Row], answer: GatewayAnswer) -> _Row:
    """Return the answer's `data` as `model`. Raises BrokenContract, without any value, where it is none."""
    try:
        return model.model_validate(answer.data)
    except ValidationError as error:
        raise answer.broken_data(error) from None


def _date(header: str | None) -> datetime | None:
    if (header or "").count(",") > 1:  # two headers come as one
        return None
    try:
        date = parsedate_to_datetime(header or "")
    except (ValueError, TypeError, OverflowError):
        return None
    if not 2000 <= date.year < 9000:  # no clock; and sums with it would overflow
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
