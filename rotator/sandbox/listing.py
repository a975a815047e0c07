"""The key list's pages, and the ways in which they may contradict themselves. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Lists:
    """What a list says of itself. Without any of this a page is `{items, page, limit}`."""

    cursor: bool = False
    """Every page is the first one: pages go by `next_cursor`, and `page` is not heeded."""
    more_in_total: int | None = None
    """`total` is that many more rows than there are; None: there is no `total`."""
    has_more: bool | None = None
    """`has_more` always says so; None: there is none."""
    shift: int = 0
    """Before every page but the first, so many rows vanish from its front (or, if negative, appear there)."""
    twice: frozenset[int] = frozenset()
    """Ids that have two rows."""
    page_ahead: int = 0
    """`page` is that much more than what was asked for."""
    cap: int | None = None
    """The most rows that a page but the first really has, whatever its `limit` says."""
    beside: Mapping[str, object] = field(default_factory=dict)
    """Fields that stand beside the rows, in place of those that have their names: `{"next": "c_2"}`."""


def first_page_only(rows: Sequence[Row], lists: Lists) -> object:
    """Answer without pages: an array, or an object if there is something to say beside it."""
    rows = _with_twins(rows, lists)
    said = _said(len(rows), lists, more=False)
    return {"items": rows, **said} if said else rows


def page_of(rows: Sequence[Row], page: int, limit: int, lists: Lists) -> object:
    """Answer the rows of one page."""
    rows = _with_twins(rows, lists)
    if lists.cursor:
        shown = rows[:limit]
        return {"items": shown, "next_cursor": "c_2", **_said(len(rows), lists, more=len(rows) > limit)}
    begin = (page - 1) * limit + (lists.shift if page > 1 else 0)
    shown = rows[max(0, begin) : max(0, begin + limit)]
    if lists.cap is not None and page > 1:
        shown = shown[: lists.cap]
    said = _said(len(rows), lists, more=begin + limit < len(rows))
    return {"items": shown, "page": page + lists.page_ahead, "limit": limit, **said}


def _said(count: int, lists: Lists, *, more: bool) -> dict[str, object]:
    said: dict[str, object] = {}
    if lists.cursor or lists.has_more is not None:
        said["has_more"] = more if lists.has_more is None else lists.has_more
    if lists.cursor or lists.more_in_total is not None:
        said["total"] = count + (lists.more_in_total or 0)
    return {**said, **lists.beside}


def _with_twins(rows: Sequence[Row], lists: Lists) -> list[Row]:
    return [copy for row in rows for copy in [row] * (2 if row["id"] in lists.twice else 1)]
