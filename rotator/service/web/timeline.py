"""The life of one managed key as a picture: which bars and marks it has, and where. Pure.

Places are per cent of the picture's width, so that it fits a telephone and a desk alike. What is not known is not
drawn: a key that was revoked is no longer in the secret, and nothing says when it was current.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rotator.rules.revocations import Victim
from rotator.rules.times import moment, short
from rotator.service.web.labels import Label, day_or_hour, placed
from rotator.show.key_status import KeyStatus
from rotator.show.other_keys import OtherKey
from rotator.show.severity import KeyState, Severity

MAX_OTHERS: Final = 6
"""Other keys that are drawn; all of them are named beside the picture."""
_LEFT: Final = 15.0
"""Where the time begins: the keys' ids stand before it."""
_RIGHT: Final = 97.0
_ID: Final = 6
"""So many characters have room before the bars."""
_THINNEST: Final = 0.8
_SEEN: Final = 3.0
"""What is shorter lies behind its mark."""
_FAR: Final = timedelta(days=3650)
_BRIEF: Final = timedelta(seconds=1)
_QUIET: Final = {KeyState.OK, KeyState.DUE}
_MARKS: Final = {KeyState.STOPPED: "stopped", KeyState.UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Bar:
    """A stretch of time; `kind` says how it is filled."""

    kind: str
    begin: float
    length: float


@dataclass(frozen=True)
class Mark:
    """A moment; `shape` says by which sign it is shown."""

    shape: str
    at: float


@dataclass(frozen=True)
class Lane:
    """One API key."""

    label: str
    """Its id, or the end of a long one; the words beside the picture name it in full."""
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class TimeLine:
    """A picture of a managed key: a lane for each API key, the current one first."""

    title: str
    words: str
    """All that it shows, for who does not see it."""
    lanes: tuple[Lane, ...]
    now: float
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class _Scale:
    begin: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        """Return the place of a moment; of one that lies outside, the nearer end."""
        share = (moment - self.begin) / max(self.end - self.begin, _BRIEF)
        return round(_LEFT + min(1.0, max(0.0, share)) * (_RIGHT - _LEFT), 1)

    def bars(self, kind: str, begin: datetime | None, end: datetime | None) -> Iterator[Bar]:
        """Yield the stretch; none where it would be empty, or lies outside."""
        if begin is None or end is None or begin >= end or end < self.begin or begin > self.end:
            return
        left, right = self.at(begin), self.at(end)
        length = max(_THINNEST, round(right - left, 1))
        yield Bar(kind, min(left, round(_RIGHT - length, 1)), length)


def time_line(key: KeyStatus, now: datetime, ahead: timedelta = timedelta()) -> TimeLine | None:
    """Return the picture; None where no time of it is known.

    `now` is by the gateway's clock, `ahead` how far this machine's clock is ahead of it.
    """
    others = key.others[:MAX_OTHERS]
    scale = _scale(key, others, now)
    if scale is None:
        return None
    return TimeLine(
        title=f"Time line of {key.name}",
        words=" ".join(_words(key, now)),
        lanes=(_current(key, now, ahead, scale), *(_other(other, now, scale) for other in others)),
        now=scale.at(now),
        labels=_labels(key, now, scale),
    )


def _near(at: datetime | None, now: datetime) -> datetime | None:
    return None if at is None else min(now + _FAR, max(now - _FAR, at))


def _scale(key: KeyStatus, others: Iterable[OtherKey], now: datetime) -> _Scale | None:
    """From the first to the last that is known, but no more than a period before and after the current key's."""
    since, due_at = _near(key.rotated_at, now), _near(_due(key), now)
    ends = key.window[1] if key.window else None
    times = [since, due_at, _near(ends, now), _thaws(key, now)]
    for other in others:
        times += [_near(at, now) for at in (other.created_at, other.since, other.goes_at)]
    known = [at for at in times if at]
    if not known:
        return None
    begin, end = min(now, *known), max(now, *known)
    if since and due_at and due_at > since:
        period = due_at - since
        begin = max(begin, min(since, now) - period)
        end = min(end, max(due_at, now, _near(ends, now) or now) + period)
    return _Scale(begin, end)


def _due(key: KeyStatus) -> datetime | None:
    """When it is rotated next, if that is known; programs that are refused have no time left."""
    if key.severity is Severity.REFUSED:
        return None
    return key.next_at


def _current(key: KeyStatus, now: datetime, ahead: timedelta, scale: _Scale) -> Lane:
    due_at, refused = _due(key), key.severity is Severity.REFUSED
    used_until = min(now, key.due_at) if key.due_at and not refused else now
    thaws = _thaws(key, now)
    bars = [
        *scale.bars("dead" if refused else "current", key.rotated_at, used_until),
        *scale.bars("frozen", now, thaws),
        *scale.bars("ahead", (thaws or now) if key.rotated_at else None, key.due_at if due_at else None),
        *scale.bars("late" if key.severity.alarms else "waits", key.due_at if due_at else None, now),
        *(bar for bar in scale.bars("window", *(key.window or (None, None))) if bar.length > _SEEN),
    ]
    marks = [Mark("opens" if key.window else "next", scale.at(due_at))] if due_at and due_at > now else []
    tried_at = key.last_try.at - ahead if key.last_try else None
    if tried_at and now - tried_at < (scale.end - scale.begin) * 0.97 and tried_at >= scale.begin:
        marks.append(Mark("failed", scale.at(tried_at)))
    if refused or key.state not in _QUIET or key.severity is Severity.DANGER:
        marks.append(Mark(_sign(key), scale.at(now)))
    return Lane(_short(key.key_id), tuple(bars), tuple(marks))


def _thaws(key: KeyStatus, now: datetime) -> datetime | None:
    """When a freeze ends, as far as it is drawn; a key that is refused is not held by one."""
    if key.freeze is None or key.severity is Severity.REFUSED:
        return None
    return key.frozen_until or _near(key.freeze.until, now)


def _sign(key: KeyStatus) -> str:
    if key.severity is Severity.REFUSED:
        return "refused"
    return "held" if key.held else _MARKS.get(key.state, "failed")


def _other(other: OtherKey, now: datetime, scale: _Scale) -> Lane:
    """Until it was superseded, a bar; its grace after that; and what it lives on beyond."""
    orphan = other.kind is Victim.ORPHAN
    since, goes_at = other.since, other.goes_at
    rest = "orphan" if orphan else "grace"
    stays = bool(other.stays or other.kept)
    ends = scale.end if stays else goes_at or now
    bars = (
        *(() if orphan else scale.bars("past", other.created_at, since or now)),
        *scale.bars(rest, since, ends),
        *scale.bars("late", goes_at if other.overdue else None, now),
    )
    if stays:
        marks = [Mark("stays", _RIGHT)]
    elif other.overdue:
        marks = [Mark("failed", scale.at(now))]
    else:
        marks = [Mark("goes", scale.at(goes_at or now))]
    return Lane(_short(other.id), bars, tuple(marks))


def _short(key_id: int | None) -> str:
    text = "none" if key_id is None else str(key_id)
    return text if len(text) <= _ID else f"…{text[-_ID + 1 :]}"


def _labels(key: KeyStatus, now: datetime, scale: _Scale) -> tuple[Label, ...]:
    """What is written below: now, the next rotation, and since when the key is current, if there is room."""
    say = day_or_hour(scale.begin, scale.end)
    due_at = _due(key)
    wanted = [Label("now" if key.state in _QUIET else f"now: {key.word}", scale.at(now))]
    if due_at and due_at > now:
        wanted.append(Label(f"{'opens' if key.opens_at else 'next'} {say(due_at)}", scale.at(due_at)))
    if key.rotated_at and key.rotated_at >= scale.begin:
        wanted.append(Label(say(key.rotated_at), scale.at(key.rotated_at)))
    return placed(wanted, _LEFT, 100.0)


def _words(key: KeyStatus, now: datetime) -> Iterator[str]:
    if key.key_id is None:
        yield "There is no current key."
    else:
        yield f"Key {key.key_id} is current" + (
            f" since {moment(key.rotated_at)}." if key.rotated_at else "."
        )
    due_at = _due(key)
    if key.freeze:
        yield f"It is {key.freeze.say(now)}."
    if key.opens_at and not key.frozen_until:
        yield f"It is held until its window opens, {moment(key.opens_at)}."
    elif key.state not in _QUIET:
        yield "A revocation failed." if key.word == "revocation failed" else f"Now it is {key.word}."
    if due_at and due_at > now and not key.opens_at:
        yield f"The next rotation is {moment(due_at)}."
    elif key.due_at and due_at and not key.opens_at:
        yield f"It has been due for {short(now - key.due_at)}."
    if key.window:
        yield f"Its window closes {moment(key.window[1])}."
    for other in key.others:
        yield f"Key {other.id}, {_of(other)}: {other.fate(now)}."


def _of(other: OtherKey) -> str:
    what = "superseded" if other.kind is Victim.SUPERSEDED else "an orphan"
    return what + (f" since {moment(other.since)}" if other.since else "")
