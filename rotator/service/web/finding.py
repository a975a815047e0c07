"""Which managed keys the reader asks for, and in which order. Pure.

It is the server that searches and sorts, by a form whose address holds the question: so it works without a script,
no reload loses it, and a link to it can be sent to somebody.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from rotator.show.key_status import KeyStatus

FROM: Final = 10
"""So many managed keys are no longer seen at a glance: from here on the form is shown."""
_LONGEST: Final = 100
_MOST_FIELDS: Final = 8
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_ORDERS: Final[dict[str, tuple[str, Callable[[KeyStatus], Any]]]] = {
    "attention": ("what needs attention", lambda key: (-key.severity, -key.overdue)),
    "next": ("next rotation", lambda key: key.next_at or _NEVER),
    "age": ("age, oldest first", lambda key: -(key.age or timedelta())),
    "name": ("name", lambda key: key.name.casefold()),
}
ORDERS: Final = tuple((name, says) for name, (says, _) in _ORDERS.items())
"""What the form offers: in the address, and in words."""


@dataclass(frozen=True)
class Query:
    """What the reader asked for."""

    search: str = ""
    sort: str = ""

    @property
    def asks(self) -> bool:
        """Whether it asks for anything but what is shown by itself."""
        return bool(self.search) or (self.sort in _ORDERS and self.sort != ORDERS[0][0])


def read(text: str) -> Query:
    """Read an address's query. Whatever is no question asks for nothing."""
    try:
        fields = parse_qs(text, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return Query()
    return Query(search=fields.get("q", [""])[0][:_LONGEST], sort=fields.get("sort", [""])[0])


def found(keys: Iterable[KeyStatus], query: Query) -> list[KeyStatus]:
    """Return the keys that have every word of the search in their name, path, state or key id, in order."""
    words = query.search.casefold().split()
    _, order = _ORDERS.get(query.sort, _ORDERS["attention"])

    def text(key: KeyStatus) -> str:
        how = f"{key.state} {key.word} {key.how_bad}"
        return f"{key.name} {key.path} {how} {key.key_id or ''} {key.owner}".casefold()

    fitting = [key for key in keys if all(word in text(key) for word in words)]
    return sorted(fitting, key=lambda key: (order(key), key.name.casefold()))
