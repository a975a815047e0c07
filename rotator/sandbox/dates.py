"""What the `Date` header of an answer may say in place of the time: a fault's action.

Fault("GET /keys", Dated("+2d"), at=Phase.AFTER)                 # one answer, two days ahead
Fault("* *", Dated("jumping -3h"), at=Phase.AFTER, times=ALWAYS) # every other answer, three hours back
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Final

from rotator.sandbox.disguises import parse_offset
from rotator.sandbox.faults import Change
from rotator.sandbox.replies import Reply

_SAYINGS: Final = "+2d, -2h, doubled +2d, jumping +2d, cached, missing, garbage"


@dataclass(frozen=True)
class Dated(Change):
    """Sends `Date` as `says` has it: one of `+2d`, `doubled +2d`, `jumping +2d`, `cached`, `missing`, `garbage`."""

    says: str
    _sent: list[datetime] = field(default_factory=list, repr=False, compare=False)
    """The true times of the answers so far."""

    def __post_init__(self) -> None:
        how, _, by = self.says.rpartition(" ")
        if self.says not in ("cached", "missing", "garbage"):
            if how not in ("", "doubled", "jumping"):
                raise ValueError(f"a date is like {_SAYINGS}")
            parse_offset(by)

    def __call__(self, reply: Reply | None) -> Reply | None:
        """Return the answer dated so; None where there is none yet."""
        return reply and replace(reply, dates=self._headers)

    def _headers(self, now: datetime) -> tuple[str, ...]:
        self._sent.append(now)
        match self.says.split(" "):
            case ["missing"]:
                return ()
            case ["garbage"]:
                return ("the day after tomorrow",)
            case ["cached"]:
                return (http_date(self._sent[0]),)
            case ["doubled", by]:
                return http_date(now + parse_offset(by)), http_date(now)
            case ["jumping", by]:
                ahead = parse_offset(by) if len(self._sent) % 2 else timedelta()
                return (http_date(now + ahead),)
            case [by, *_]:
                return (http_date(now + parse_offset(by)),)
            case _:
                raise AssertionError(self.says)


def http_date(at: datetime) -> str:
    """Write a time in UTC as HTTP does (RFC 9110 §5.6.7), to the second."""
    return format_datetime(at, usegmt=True)
