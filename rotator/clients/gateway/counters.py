"""All that an answer says of whether a list is whole: by its status, its headers, and the fields beside its rows.

Pure. No contract says how the gateway counts, so every usual name is heeded, at any depth. What counts something
else, such as a quota, is left aside: a list that is whole must not be refused for ever.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from rotator.clients.answers import Number
from rotator.redaction import words

_THINGS: Final = "(keys?|apikeys?|items?|results?|records?|rows?|elements?|entries|objects?|hits)"
_TOTAL: Final = re.compile(
    f"x?(total(count|number|{_THINGS})?|{_THINGS}(count|total)|count|num(berof)?{_THINGS})"
)
_PAGES: Final = re.compile("x?(totalpages|pages|pagecount|lastpage|numpages|pagestotal)")
_GO_ON: Final = (
    "(page|cursor|token|continuation|link|ur[li]|href|offset|marker|start|from|after|index|number|id|batch)"
)
_MORE: Final = re.compile(
    f"x?(hasmore({_THINGS}|pages?)?|hasnext(page)?|more(available|{_THINGS})?|next({_GO_ON}|{_THINGS})*"
    f"|(is)?(truncated|partial|incomplete)|incompleteresults|remaining({_THINGS}|pages?|count)?)"
)
_PLACE: Final = re.compile("x?(cursor|continuation(token)?|pagetoken)")
"""A place from which to go on. Some give one on the last page, too, and say beside it that there is no more."""
_WHOLE: Final = re.compile("x?((is)?(complete|last(page)?|final|exhausted)|endoflist)")
_OTHER: Final = re.compile("rate|limit|quota|usage|credit|balance|billing|plan|account|user", re.IGNORECASE)
"""Objects of these names count something else."""
_NO: Final = ("", "0", "false", "no", "none", "null")
_NEXT: Final = re.compile(r"""rel\s*=\s*("[^"]*\bnext\b|'[^']*\bnext\b|next\b)""", re.IGNORECASE)
_RANGE: Final = re.compile(r"(?!bytes)(?:[a-z-]+[ =])?(?:[0-9]+-[0-9]+|\*)/([0-9]{1,18})", re.IGNORECASE)
_MOST: Final = 2**63


class Counters(NamedTuple):
    """What an answer says of the whole list."""

    total: int = 0
    """The most keys that any counter speaks of."""
    pages: int = 0
    more: str | None = None
    """What says that there are more; None where nothing does."""


def counters(status: int, headers: Mapping[str, str], *beside: Mapping[str, Any]) -> Counters:
    """Return what the answer says. `beside`: the objects in which its rows stand."""
    found = [*_of_http(status, headers)]
    # A header that counts what remains is of a rate limit.
    listed = {name: value for name, value in headers.items() if "remaining" not in name.lower()}
    for fields in (listed, *(inner for outer in beside for inner in _objects(outer))):
        found += _of_fields(fields)
    return Counters(
        max((one.total for one in found), default=0),
        max((one.pages for one in found), default=0),
        next((one.more for one in found if one.more), None),
    )


def _of_http(status: int, headers: Mapping[str, str]) -> Iterator[Counters]:
    said = {name.lower(): value for name, value in headers.items()}
    counted = _RANGE.fullmatch(said.get("content-range", "").strip())
    if counted:
        yield Counters(total=int(counted[1]))
    elif status == HTTPStatus.PARTIAL_CONTENT:
        yield Counters(more="its status, 206,")
    if _NEXT.search(said.get("link", "")):
        yield Counters(more="the header Link")


def _objects(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield an object, and those in it at any depth that may speak of the list. Rows are an array: in none."""
    yield fields
    for name, value in fields.items():
        if isinstance(value, Mapping) and not _OTHER.search(name):
            yield from _objects(value)


def _of_fields(fields: Mapping[str, Any]) -> Iterator[Counters]:
    plain = {name: re.sub("[_.-]", "", name.lower()) for name in fields}
    ended = any(_MORE.fullmatch(plain[name]) and _is_no(value) for name, value in fields.items())
    for name, value in fields.items():
        number = _number(value)
        if number is not None and _TOTAL.fullmatch(plain[name]):
            yield Counters(total=number)
        elif number is not None and _PAGES.fullmatch(plain[name]):
            yield Counters(pages=number)
        elif (
            (_MORE.fullmatch(plain[name]) and not _is_no(value))
            or (_PLACE.fullmatch(plain[name]) and not ended and not _is_no(value))
            or (_WHOLE.fullmatch(plain[name]) and str(value).strip().lower() in ("false", "no"))
        ):
            yield Counters(more=words(name))


def _number(value: object) -> int | None:
    """Return a count, in whatever letters: `9`, `"9"`, `9.0`. What is beyond all counting is the most."""
    if type(value) is int:
        return value
    letters = value.letters if isinstance(value, Number) else value if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE]\+?[0-9]{1,4})?", letters.strip()):
        return None
    return int(min(float(letters), _MOST))


def _is_no(value: object) -> bool:
    return not value or str(value).strip().lower() in _NO
