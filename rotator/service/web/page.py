"""The page: what the template shows, put into words and pictures."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined

from rotator import __version__
from rotator.passes.result import Action, KeyResult, Outcome
from rotator.redaction import redact
from rotator.rules.times import moment, short, until
from rotator.service.web import sections
from rotator.service.web.favicon import favicon
from rotator.service.web.finding import FROM, ORDERS, Query, found
from rotator.service.web.forecast import BASE, forecast
from rotator.service.web.guide import guide
from rotator.service.web.legend import legend
from rotator.service.web.sections import Section, section_of
from rotator.service.web.timeline import TimeLine, time_line
from rotator.service.web.troubles import NAMED, troubles
from rotator.show.key_status import KeyStatus, by_severity, foreign_keys, key_statuses
from rotator.show.next_rotation import next_rotation
from rotator.show.other_keys import OtherKey
from rotator.show.severity import Severity, headline, trouble_of
from rotator.show.snapshot import PassRecord, Snapshot
from rotator.show.why import meaning

MAX_ROWS: Final = 500
"""More managed keys are found by searching."""
_DONE: Final = {Action.ROTATE: "rotated", Action.ADOPT: "adopted", Action.RECORD: "noted"}


@dataclass(frozen=True)
class Count:
    """How many managed keys are in one state."""

    word: str
    severity: Severity
    number: int
    frozen: int = 0
    """How many of them a person has frozen."""


@dataclass(frozen=True)
class Other:
    """A superseded key or an orphan, in words."""

    what: str
    when: str
    at: str | None
    overdue: bool


@dataclass(frozen=True)
class PageRow:
    """A managed key as the template shows it: in words, and as a picture."""

    key: KeyStatus
    age: str
    next: str
    others: tuple[Other, ...]
    line: TimeLine | None
    section: Section | None
    """Where the operations guide says what to do."""


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
        self._environment = environment = Environment(
            loader=FunctionLoader(_file),
            autoescape=True,
            finalize=_redacted,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"moment": moment, "iso": _iso}
        self._style, self._script = _file("page.css"), _file("page.js")
        self._template = environment.get_template("page.html")
        self.guide_policy = (
            f"default-src 'none'; style-src '{_hash(self._style)}'; base-uri 'none'; frame-ancestors 'none'"
        )
        self.policy = (
            f"{self.guide_policy}; script-src '{_hash(self._script)}'; connect-src 'self'; img-src data:; "
            "form-action 'self'"
        )

    @cached_property
    def guide(self) -> str:
        """The operations guide, as HTML. It is allowed less than the page: it has no script."""
        template = self._environment.get_template("page.guide.html")
        return template.render(style=self._style, guide=guide(_operations()), version=__version__)

    def render(self, snapshot: Snapshot, query: Query) -> str:
        """Return the HTML, redacted: the keys that `query` finds, MAX_ROWS at most, and the last passes."""
        keys = key_statuses(snapshot)
        rows = found(keys, query)
        shown = [_row(key, snapshot) for key in rows[:MAX_ROWS]]
        worst = headline(keys, trouble_of(snapshot))
        alarming = [key for key in by_severity(keys) if key.severity.alarms]
        return self._template.render(
            style=self._style,
            script=self._script,
            snapshot=snapshot,
            worst=worst,
            icon_url=favicon(worst.severity),
            keys_worst=headline(keys),
            troubles=troubles(alarming, snapshot.now, snapshot.gateway_now),
            rows_of=_links(keys, rows[:MAX_ROWS]),
            more=max(0, len(alarming) - NAMED),
            next_of=lambda key: _next(key, snapshot),
            about=snapshot.about.lines(snapshot.installation),
            refused=snapshot.passes[0].refused if snapshot.passes else None,
            next_pass=until(snapshot.next_pass, snapshot.now) if snapshot.next_pass else None,
            up=short(snapshot.now - snapshot.started),
            counts=_counts(keys),
            total=len(keys),
            forecast=forecast(keys, snapshot.gateway_now),
            base=BASE,
            found=len(rows),
            rows=shown,
            legend=legend(row.line for row in shown if row.line),
            foreign=foreign_keys(snapshot),
            passes=[_pass_row(record, snapshot.now) for record in snapshot.passes],
            query=query,
            finds=len(keys) >= FROM or query.asks,
            orders=ORDERS,
            sections=sections,
        )


def _counts(keys: tuple[KeyStatus, ...]) -> list[Count]:
    """How many are how, the worst first."""
    numbers = Counter((key.word, key.severity) for key in by_severity(keys))
    frozen = Counter((key.word, key.severity) for key in keys if key.freeze)
    return [Count(*how, number, frozen[how]) for how, number in numbers.items()]


def _links(keys: tuple[KeyStatus, ...], shown: list[KeyStatus]) -> dict[str, tuple[str, str]]:
    """By name: what its row is called, and where a link to it leads, also where a search leaves the row out."""
    names = {key.name for key in shown}

    def link(name: str, row: str) -> str:
        return f"#{row}" if name in names else f"./?{urlencode({'q': name})}#{row}"

    rows = {key.name: f"key-{number}" for number, key in enumerate(keys, start=1)}
    return {name: (row, link(name, row)) for name, row in rows.items()}


def _row(key: KeyStatus, snapshot: Snapshot) -> PageRow:
    now = snapshot.gateway_now
    return PageRow(
        key=key,
        age=key.age_of_period or "not known",
        next=_next(key, snapshot),
        others=tuple(_other(other, now) for other in key.others),
        line=time_line(key, now, snapshot.now - now),
        section=section_of(key),
    )


def _next(key: KeyStatus, snapshot: Snapshot) -> str:
    running = snapshot.running_since is not None
    return next_rotation(key, snapshot.now, snapshot.gateway_now, running=running)


def _other(other: OtherKey, now: datetime) -> Other:
    return Other(
        f"{other.kind} {other.id}",
        other.fate(now),
        moment(other.goes_at) if other.goes_at and not other.kept else None,
        overdue=other.overdue,
    )


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
        yield _DONE[key.action] + (f" ({meaning(key.plan.reason)})" if key.plan and key.plan.reason else "")
    if key.revoked:
        yield f"revoked {', '.join(str(revocation.key_id) for revocation in key.revoked)}"
    if key.errors and key.outcome is not Outcome.FAILED:
        yield "held" if key.held else "revocation failed"


def _redacted(value: object) -> object:
    """Every text that the template shows; what it marks as safe is its own."""
    return redact(value, short=True) if type(value) is str else value


def _took(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    return f"{seconds:.1f}s" if seconds < 10 else short(duration)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _operations() -> str:
    """The operations guide as it was packed or, in a checkout, as it is there."""
    packed = resources.files("rotator.service.web").joinpath("operations.md")
    here = packed if packed.is_file() else Path(__file__).parents[3] / "docs/operations.md"
    return here.read_text("utf-8")


def _file(name: str) -> str:
    return resources.files("rotator.service.web").joinpath("templates", name).read_text("utf-8")
