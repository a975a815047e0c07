"""The page: what the template shows, put into words and into the geometry of its bars."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined

from rotator.passes.result import Action, KeyResult, Outcome
from rotator.redaction import redact
from rotator.rules.revocations import going
from rotator.rules.times import short, until
from rotator.service.web.favicon import favicon
from rotator.show.key_status import KeyStatus, by_severity, foreign_keys, key_statuses, next_rotation
from rotator.show.other_keys import OtherKey
from rotator.show.severity import Severity, headline, trouble_of
from rotator.show.snapshot import PassRecord, Snapshot

MAX_ROWS: Final = 500
"""More managed keys are found by searching."""
_LANES: Final = 6
_IN_BANNER: Final = 3
"""Managed keys that are named above all others."""
_WIDTH: Final = 160.0
"""Of a time line, in its own units."""
_DONE: Final = {Action.ROTATE: "rotated", Action.ADOPT: "adopted", Action.RECORD: "noted"}
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_ORDERS: Final[dict[str, tuple[str, Callable[[KeyStatus], Any]]]] = {
    "attention": ("what needs attention", lambda key: (-key.severity, -key.overdue)),
    "next": ("next rotation", lambda key: key.due_at or _NEVER),
    "age": ("age, oldest first", lambda key: -(key.age or timedelta())),
    "name": ("name", lambda key: key.name.casefold()),
}


@dataclass(frozen=True)
class Query:
    """What the reader asked for."""

    search: str = ""
    sort: str = ""


@dataclass(frozen=True)
class Count:
    """How many managed keys are in one state."""

    word: str
    severity: Severity
    number: int


@dataclass(frozen=True)
class Other:
    """A superseded key or an orphan, in words."""

    what: str
    when: str
    at: str | None
    overdue: bool


@dataclass(frozen=True)
class Line:
    """One lane of the time line: since when, until when."""

    y: int
    begin: float
    length: float
    kind: str


@dataclass(frozen=True)
class PageRow:
    """A managed key as the template shows it: in words, and with the geometry of its bars."""

    key: KeyStatus
    age: str
    share: int | None
    """The age in per cent of the period."""
    next: str
    said: str
    """What is the matter, in one line: why, the last error, what its owner should know."""
    others: tuple[Other, ...]
    lanes: tuple[Line, ...]
    now_at: float
    """Where on the time line now is."""


@dataclass(frozen=True)
class PassRow:
    """A pass as the template shows it; when it began and how long it took are in words."""

    record: PassRecord
    ago: str
    took: str
    outcome: str
    deeds: tuple[str, ...]


class Page:
    """Renders snapshots. The one style and the one script are in the page, and allowed by their hashes."""

    def __init__(self) -> None:
        environment = Environment(
            loader=FunctionLoader(_file),
            autoescape=True,
            finalize=_redacted,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"moment": _moment, "iso": _iso}
        self._style, self._script = _file("page.css"), _file("page.js")
        self._template = environment.get_template("page.html")
        self.policy = (
            f"default-src 'none'; style-src '{_hash(self._style)}'; script-src '{_hash(self._script)}'; "
            "connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )

    def render(self, snapshot: Snapshot, query: Query) -> str:
        """Return the HTML, redacted: the keys that `query` finds, MAX_ROWS at most, and the last passes."""
        keys = key_statuses(snapshot)
        found = _found(keys, query)
        worst = headline(keys, trouble_of(snapshot))
        alarming = [key for key in by_severity(keys) if key.severity.alarms]
        return self._template.render(
            style=self._style,
            script=self._script,
            snapshot=snapshot,
            worst=worst,
            icon_url=favicon(worst.severity),
            keys_worst=headline(keys),
            alarming=[_row(key, snapshot) for key in alarming[:_IN_BANNER]],
            more=max(0, len(alarming) - _IN_BANNER),
            about=snapshot.about.lines(snapshot.installation),
            refused=snapshot.passes[0].refused if snapshot.passes else None,
            next_pass=until(snapshot.next_pass, snapshot.now) if snapshot.next_pass else None,
            up=short(snapshot.now - snapshot.started),
            counts=_counts(keys),
            total=len(keys),
            found=len(found),
            rows=[_row(key, snapshot) for key in found[:MAX_ROWS]],
            foreign=foreign_keys(snapshot),
            passes=[_pass_row(record, snapshot.now) for record in snapshot.passes],
            query=query,
            orders=[(name, says) for name, (says, _) in _ORDERS.items()],
        )


def _found(keys: tuple[KeyStatus, ...], query: Query) -> list[KeyStatus]:
    words = query.search.casefold().split()
    _, order = _ORDERS.get(query.sort, _ORDERS["attention"])

    def text(key: KeyStatus) -> str:
        return f"{key.name} {key.path} {key.state} {key.word} {key.key_id or ''}".casefold()

    found = [key for key in keys if all(word in text(key) for word in words)]
    return sorted(found, key=lambda key: (order(key), key.name.casefold()))


def _counts(keys: tuple[KeyStatus, ...]) -> list[Count]:
    """How many are how, the worst first."""
    numbers = Counter((key.word, key.severity) for key in by_severity(keys))
    return [Count(word, severity, number) for (word, severity), number in numbers.items()]


def _row(key: KeyStatus, snapshot: Snapshot) -> PageRow:
    now = snapshot.gateway_now
    lanes, now_at = _time_line(key, now)
    return PageRow(
        key=key,
        age=key.age_of_period or "not known",
        share=_share(key),
        next=next_rotation(key, snapshot.now, now, running=snapshot.running_since is not None),
        said=_said(key, now),
        others=tuple(_other(other, now) for other in key.others),
        lanes=lanes,
        now_at=now_at,
    )


def _share(key: KeyStatus) -> int | None:
    if key.severity is Severity.REFUSED:
        return 100  # a dead key has no time left, whatever its period
    return None if key.period_share is None else round(100 * key.period_share)


def _said(key: KeyStatus, now: datetime) -> str:
    late = (f"{other.kind} {other.id} {_other(other, now).when}" for other in key.others if other.overdue)
    said = [*([key.why] if key.why else []), *(error.message for error in key.errors), *late]
    return "; ".join(said or key.warnings[:1])


def _other(other: OtherKey, now: datetime) -> Other:
    return Other(
        f"{other.kind} {other.id}",
        going(other.goes_at, now, stays=other.stays, overdue=other.overdue),
        _moment(other.goes_at) if other.goes_at else None,
        overdue=other.overdue,
    )


def _time_line(key: KeyStatus, now: datetime) -> tuple[tuple[Line, ...], float]:
    """From the first of the other keys to when the last one goes, and where in between now is."""
    spans = [(other, other.since, other.goes_at) for other in key.others if other.since and other.goes_at][
        :_LANES
    ]
    if not spans:
        return (), 0.0
    begin = min(since for _, since, _ in spans)
    end = max(now, *(goes_at for _, _, goes_at in spans))
    whole = max(end - begin, timedelta(seconds=1))

    def x(at: datetime) -> float:
        return round(min(1.0, max(0.0, (at - begin) / whole)) * _WIDTH, 1)

    lanes = tuple(
        Line(
            6 * number,
            x(since),
            max(2.0, round(x(goes_at) - x(since), 1)),
            "overdue" if other.overdue else other.kind,
        )
        for number, (other, since, goes_at) in enumerate(spans)
    )
    return lanes, x(now)


def _pass_row(record: PassRecord, now: datetime) -> PassRow:
    result = record.result
    if result is None:
        outcome = "failed"
    elif not result.converged:
        outcome = "stopped" if result.stopped and not result.failed else "not converged"
    else:
        outcome = "converged"
    return PassRow(
        record,
        ago=short(now - record.began),
        took=_took(record.ended - record.began),
        outcome=outcome,
        deeds=tuple(_deeds(record)),
    )


def _deeds(record: PassRecord) -> Iterator[str]:
    for key in record.result.keys if record.result else ():
        if done := list(_done(key)):
            yield f"{key.key.name}: {', '.join(done)}"


def _done(key: KeyResult) -> Iterator[str]:
    if key.outcome is not Outcome.DONE:
        yield key.outcome
    elif key.action in _DONE:
        yield _DONE[key.action] + (f" ({key.plan.reason})" if key.plan and key.plan.reason else "")
    if key.revoked:
        yield f"revoked {', '.join(str(revocation.key_id) for revocation in key.revoked)}"
    if key.errors and key.outcome is not Outcome.FAILED:
        yield "held" if key.held else "revoke failed"


def _redacted(value: object) -> object:
    """Every text that the template shows; what it marks as safe is its own."""
    return redact(value, short=True) if type(value) is str else value


def _took(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    return f"{seconds:.1f}s" if seconds < 10 else short(duration)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _file(name: str) -> str:
    return resources.files("rotator.service.web").joinpath("templates", name).read_text("utf-8")
