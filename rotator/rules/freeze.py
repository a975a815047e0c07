"""A freeze: a person has said that a secret stays as it is for a while. Pure.

It stands in the secret's custom metadata, so that it comes with the read that a pass makes anyway, and Vault's own
client can write it, too: a time, a space, and the reason.

Who may write it may not delay anything for ever. Nothing says when it was written, so its bound is counted from
what it keeps: whatever it says, a rotation goes on LONGEST after it was due, a revocation LONGEST after its grace.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.redaction import words
from rotator.rules.times import format_time, moment, parse_duration, parse_time, short, time_to_json, when

FIELD: Final = "rotator-hold"
"""Its name in the custom metadata."""
LONGEST: Final = timedelta(days=90)
"""How far ahead its end may be, and for how long it keeps anything at most."""

_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Freeze:
    """What a secret's custom metadata says of one."""

    until: datetime | None
    """When it ends; None where that cannot be read. It holds all the same."""
    reason: str
    """In the words of who wrote it: short, printable and redacted. It may be empty."""

    def in_force(self, now: datetime) -> bool:
        """Whether its end has not come."""
        return self.until is None or self.until > now

    def keeps_until(self, since: datetime) -> datetime:
        """Return when it lets go on what should have been done `since`."""
        longest = since + LONGEST
        return longest if self.until is None else min(self.until, longest)

    def say(self, now: datetime) -> str:
        """Say how long it lasts, and why."""
        if self.until is None:
            end = "frozen, by a note that cannot be read"
        elif self.until > now:
            end = f"frozen until {when(self.until, now)}"
        else:
            end = f"no longer frozen: that ended {when(self.until, now)}"
        return f"{end}: {self.reason}" if self.reason else end

    def warning(self, name: str, now: datetime, due_since: datetime | None) -> str | None:
        """What is wrong with it, and the command that ends it; None where nothing is.

        `due_since`: when the rotation falls due that it keeps, where that is known.
        """
        end = f"end it with: rotator release {name!r}"
        most = short(LONGEST)
        if self.until is None:
            return (
                f"{FIELD} in the secret's custom metadata cannot be read, and so freezes it: it must begin with a "
                "time such as 2026-12-24T00:00:00Z, or a date. A rotation goes on "
                f"{most} after it was due at the latest; {end}"
            )
        if self.until > now + LONGEST:
            return (
                f"its freeze ends {when(self.until, now)}, which is more than {most} ahead: it keeps nothing "
                f"for longer than {most}; {end}"
            )
        if due_since and (lets_go := self.keeps_until(due_since)) < self.until and self.until > now:
            # It was renewed, or set late. Nobody should be surprised.
            ends = f"goes on {when(lets_go, now)}" if lets_go > now else "waits no longer"
            return (
                f"its freeze ends {when(self.until, now)}, but keeps nothing for longer than {most}: the rotation "
                f"that was due {when(due_since, now)}, {ends}"
            )
        if self.until <= now:
            ended = f"its freeze ended {when(self.until, now)}, and holds nothing back"
            return f"{ended}; remove it with: rotator release {name!r}"
        return None

    def to_json(self) -> dict[str, Any]:
        """`frozen` in JSON."""
        return {"until": time_to_json(self.until), "reason": self.reason}


def read_freeze(custom: Mapping[str, str]) -> Freeze | None:
    """Read it from a secret's custom metadata; None where none is there."""
    if (text := custom.get(FIELD)) is None:
        return None
    until, reason = (*text.split(maxsplit=1), "", "")[:2]
    if _DATE.fullmatch(until) and re.match(r"[0-9]{1,2}:", reason):  # RFC 3339 allows a space there, too
        clock, reason = (*reason.split(maxsplit=1), "")[:2]
        until = f"{until}T{clock}"
    try:
        return Freeze(parse_moment(until), words(reason).strip())
    except ValueError:
        return Freeze(None, words(text).strip())


def write_freeze(until: datetime, reason: str) -> str:
    """Return the value that `read_freeze` reads."""
    return f"{format_time(until)} {reason}"


def parse_moment(text: str) -> datetime:
    """Parse ISO 8601 with an offset, or a date, which is its beginning in UTC.

    Raises ValueError, without the text.
    """
    if _DATE.fullmatch(text):
        text += "T00:00:00Z"
    return parse_time(text)


def parse_until(text: str) -> timedelta | datetime:
    """Parse what a person says of its end: a duration, a date, a time. Raises ValueError, without the text."""
    if not re.match("[0-9]{4}-", text):
        try:
            return parse_duration(text)
        except ValueError as error:
            raise ValueError(f"{error}; or a time: 2026-12-24T18:00:00Z, or 2026-12-24") from None
    try:
        return parse_moment(text)
    except ValueError:
        raise ValueError(
            "is not a time that is known everywhere; write one with its offset, such as 2026-12-24T18:00:00Z or "
            "2026-12-24T18:00:00+01:00, or a date"
        ) from None


def end_of(until: timedelta | datetime, now: datetime) -> datetime:
    """Return when a freeze ends that is begun `now`. Raises ValueError where it may not end then."""
    ends = now + until if isinstance(until, timedelta) else until
    if ends <= now:
        raise ValueError(f"is past: by the gateway's clock it is {moment(now)}")
    if ends > now + LONGEST:
        latest = format_time(now + LONGEST)
        raise ValueError(
            f"is more than {short(LONGEST)} ahead; write {latest} at the latest, and freeze it again then"
        )
    return ends
