"""What `rotator status` shows: what needs attention, a table, the other keys, and the unmanaged ones."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from rotator.lines import NO_BREAK
from rotator.passes.observe import Observation
from rotator.passes.result import Action, KeyResult
from rotator.redaction import words
from rotator.rules.model import Key
from rotator.rules.owner import NOBODY
from rotator.rules.revocations import Victim
from rotator.rules.times import format_time, moment, short, when_in_column
from rotator.show.about import NOTHING, About
from rotator.show.console import Rows, captured, concerns_of
from rotator.show.key_status import KeyStatus, by_severity, key_status
from rotator.show.other_keys import OtherKey
from rotator.show.severity import Headline, KeyState, Severity, headline

_BAD: Final = "bold red"
_LEFT: Final = {KeyState.OVERDUE, KeyState.MISSING, KeyState.REVOKED}
"""What a pass mends, if nothing holds it back."""
_LEFTOVERS: Final = (
    "unmanaged keys that this installation made for a name or path that is not in this config; "
    "revoke each by hand, unless another config has it or a program uses it"
)
_SHOWN: Final = 20
"""Of a list of keys that are not managed here; --json has them all."""


@dataclass(frozen=True)
class AccountStatus:
    """One look at an account, in words."""

    seen: Observation
    keys: tuple[KeyStatus, ...]
    held: frozenset[str]
    """The managed keys that something holds back."""
    about: About = NOTHING

    @classmethod
    def of(cls, seen: Observation, keys: Iterable[KeyResult], about: About = NOTHING) -> "AccountStatus":
        """Say how the keys stand that `look` saw."""
        keys = tuple(keys)
        held = frozenset(result.key.name for result in keys if result.action is Action.HOLD)
        return cls(seen, tuple(key_status(result, seen.now) for result in keys), held, about)

    @property
    def well(self) -> bool:
        """Whether nobody need come: no program is refused, no published key in danger, and nothing late."""
        return not self.worst.severity.alarms

    @property
    def worst(self) -> Headline:
        """The worst that is the matter."""
        return headline(self.keys)

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator status --json`. Titles are cut and redacted: people write there, too."""
        seen = self.seen
        return {
            "well": self.well,
            "severity": self.worst.severity.word,
            "headline": self.worst.text,
            "about": self.about.to_json(seen.installation),
            "now": format_time(seen.now),
            "gateway_now": format_time(seen.now),
            "installation": seen.installation,
            "keys": [key.to_json() for key in self.keys],
            "foreign": _to_json(seen.foreign),
            "leftovers": _to_json(seen.leftovers),
            "unmanaged": _to_json(seen.unmanaged),
            "bearer": sorted(seen.bearers),
        }


def render(status: AccountStatus, console: Console) -> str:
    """Return what is printed, redacted."""
    seen = status.seen

    def parts() -> Iterator[Rows | Text]:
        for line in status.about.lines(seen.installation):
            yield Text(line, style="dim")
        keys = by_severity(status.keys)
        if found := list(_attention(status, keys)):
            yield Text(status.worst.text, style=_style(status.worst.severity))
            yield from found
            yield Text("")
        yield _table(keys, seen.now)
        yield from _section("other keys", _others(keys, seen.now))
        for heading, strangers in (
            ("unmanaged keys that another installation made", seen.foreign),
            (_LEFTOVERS, seen.leftovers),
            ("unmanaged keys that a person or another program made", seen.unmanaged),
        ):
            yield from _section(heading, _strangers(strangers, seen.bearers))
        yield Text("")
        yield _sum(status)

    return captured(console, parts())


def _table(keys: Sequence[KeyStatus], now: datetime) -> Rows:
    cells = [
        (
            key.name,
            Text(key.word.replace(" ", NO_BREAK), style=_style(key.severity)),
            str(key.key_id or "-"),
            (key.age_of_period or "-").replace(" ", NO_BREAK),
            _next(key, now).replace(" ", NO_BREAK),
        )
        for key in keys
    ]
    headings = ("managed key", "state", "key id", "age of period", "next rotation (UTC)")
    return Rows(cells, headings, right=frozenset({2, 3}))


def _style(severity: Severity) -> str:
    if severity.alarms:
        return _BAD
    return "yellow" if severity > Severity.WELL else "green"


def _next(key: KeyStatus, now: datetime) -> str:
    if key.frozen_until and key.frozen_until > now and key.severity < Severity.REFUSED:
        return when_in_column(key.frozen_until, now)
    if key.opens_at:
        return when_in_column(key.opens_at, now)
    if key.unrotated:
        return "with the next pass"
    return when_in_column(key.due_at, now) if key.due_at else "-"


def _others(keys: Sequence[KeyStatus], now: datetime) -> Iterator[Text]:
    for key in keys:
        for other in key.others:
            yield Text(f"{key.name}: {_other(other, now)}", style=_BAD if other.overdue else "")


def _other(other: OtherKey, now: datetime) -> str:
    what = "superseded" if other.kind is Victim.SUPERSEDED else "an orphan"
    at = f" ({moment(other.goes_at)})" if other.goes_at and not other.kept else ""
    return f"{other.id} is {what}, {other.fate(now)}{at}"


def _attention(status: AccountStatus, keys: Sequence[KeyStatus]) -> Iterator[Text]:
    """The worst first, as the keys come."""
    for key in keys:
        tells = key.state not in (KeyState.OK, KeyState.DUE) or key.freeze
        if tells and key.why:
            yield Text(f"{key.name}: {key.why}", style=_style(key.severity))
        if key.remedy:
            yield from (Text(f"  {line}") for line in key.remedy.lines())
        if key.owner != NOBODY and (tells or key.severity > Severity.WELL):
            yield Text(f"  owner of {key.name}: {key.owner}")
        for other in key.others:
            if other.overdue:
                yield Text(f"! key {other.id} of {key.name} {_late(other, status.seen.now)}", style=_BAD)
        yield from concerns_of(key.name, key.errors, key.warnings)
    if status.held:
        yield Text("to see why a key is held: `rotator explain NAME`")
    if any(key.overdue or (key.state in _LEFT and key.name not in status.held) for key in status.keys):
        yield Text("cure: the next pass does it, or says why it cannot; to make a pass now: `rotator --once`")


def _late(other: OtherKey, now: datetime) -> str:
    if other.goes_at is None:
        return "should be revoked: its revocation has begun, but it is still alive"
    return f"should have been revoked {short(now - other.goes_at)} ago"


def _strangers(keys: Sequence[Key], bearers: frozenset[int]) -> Iterator[Text]:
    for key in keys[:_SHOWN]:
        bearer = ", the bearer" if key.id in bearers else ""
        yield Text(f"{key.id} “{words(key.title)}”{bearer}")
    if len(keys) > _SHOWN:
        yield Text(f"and {len(keys) - _SHOWN} more; --json shows all of them")


def _section(heading: str, lines: Iterator[Text]) -> Iterator[Text]:
    found = list(lines)
    if found:
        yield Text("")
        yield Text(heading, style="bold")
        for line in found:
            yield Text(f"  {line.plain}", line.style)


def _sum(status: AccountStatus) -> Text:
    counts = Counter(key.word for key in by_severity(status.keys))
    overdue = sum(key.overdue for key in status.keys)
    frozen = Counter(key.word for key in status.keys if key.freeze)
    each = (
        f"{number} {word}" + (f", {frozen[word]} of them frozen" if frozen[word] else "")
        for word, number in counts.items()
    )
    text = f"{len(status.keys)} managed: " + ", ".join(each)
    text += f"; {overdue} revocation{'s' * (overdue != 1)} overdue" if overdue else ""
    return Text(text, style="bold" if status.well else _BAD)


def _to_json(keys: Sequence[Key]) -> list[dict[str, Any]]:
    return [{"key_id": key.id, "title": words(key.title)} for key in keys]
