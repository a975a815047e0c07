"""What a person can do at once where programs are refused: put an older key back, or make one by hand. Pure."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rotator.passes.rollback import BY_HAND
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Revocation, Victim, the_current
from rotator.rules.times import when
from rotator.rules.way_back import to_put_back


@dataclass(frozen=True)
class Remedy:
    """The way out, in words, and the command where there is one."""

    text: str
    command: str | None = None
    by_hand: str = ""
    """What a person can do at the gateway where there is no command; the guide says more of it."""

    def lines(self) -> tuple[str, ...]:
        """For a terminal: the command stands on a line of its own."""
        return (self.text, f"  {self.command}") if self.command else (f"{self.text} {self.by_hand}".strip(),)


def remedy_of(
    name: str, reason: Reason | None, current: int | None, others: Iterable[Revocation], now: datetime
) -> Remedy | None:
    """Return it for a managed key whose key is revoked or missing; None where programs are not refused."""
    if reason not in (Reason.REVOKED, Reason.MISSING):
        return None
    others = tuple(others)
    live = [other.key_id for other in others if other.victim is Victim.SUPERSEDED]
    if reason is Reason.MISSING:
        if not live:
            return None
        ids = ", ".join(map(str, live))
        return Remedy(
            f"Still alive: key {ids}. To put it back, write an older version of the secret by hand."
        )
    if back := to_put_back(others):
        return Remedy(
            f"{_still_works(back, current, now)} To put it back:",
            f"rotator rollback {shlex.quote(name)}",
        )
    none = "No older key is alive." if not live else "No older key can be put back: its revocation has begun."
    return Remedy(none, by_hand=f"{BY_HAND[0].upper()}{BY_HAND[1:]}.")


def _still_works(back: Revocation, current: int | None, now: datetime) -> str:
    if back.goes_at and back.goes_at > now:
        return f"Key {back.key_id} still works, at least until {when(back.goes_at, now)}."
    return f"Key {back.key_id} still works, and is kept because {the_current(current)} does not."
