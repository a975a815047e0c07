"""Why a rotation that has a reason is not done now: the table, each row with its words and its cure. Pure."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from rotator.errors import HeldBack
from rotator.rules.claims import Claim
from rotator.rules.facts import Facts
from rotator.rules.freeze import LONGEST
from rotator.rules.reasons import Reason, Rule, listed_as
from rotator.rules.times import age, count, short, when

MAX_ORPHANS: Final = 3
"""Live orphans of a family at which making more keys is not the cure."""
MAX_SUPERSEDED: Final = 12
"""Superseded keys of a family at which no more are made: their revocation keeps failing.

Twice as many where the current key is missing or revoked, and after that one for each grace period, so that
a family in use is not left without one.
"""


MAX_UNSEEN: Final = 6
"""Keys that creates may have made, and that the list does not show as ours, before no more are tried.

They may be somebody's, too: so then there is one try in each grace period, until there are twice as many.
"""


class Hold(StrEnum):
    """Why a rotation that has a reason is not done now."""

    FROZEN = "frozen"
    IN_FLIGHT = "in_flight"
    BACKING_OFF = "backing_off"
    OUTSIDE_WINDOW = "outside_window"
    CLOCK = "clock"


def clock_in_doubt(what: str, doubt: str | None) -> HeldBack:
    """Name what was not done because it is not known what time it is."""
    return HeldBack(f"held: clock: {what}, because {doubt}", cure=SET_THE_CLOCK)


def _in_flight(facts: Facts) -> bool:
    """Whether another replica may be about to store a key."""
    return facts.pending(facts.now) is not None or any(
        facts.age(orphan) < facts.timing.in_flight for orphan in facts.orphans
    )


def _say_in_flight(facts: Facts) -> str:
    younger = f"younger than {short(facts.timing.in_flight)}"
    if claim := facts.pending(facts.now):
        return (
            f"a claim on version {claim.version} is {age(claim.at, facts.now)}, {younger}: "
            "another replica may be making that key"
        )
    if not facts.orphans:
        return "there is no orphan"
    orphan = min(facts.orphans, key=facts.age)
    text = f"orphan {orphan.id} is {age(facts.since(orphan), facts.now)}"
    if _in_flight(facts):
        if any(claim.ended and claim.at == facts.asked_at.get(orphan.id) for claim in facts.claims.kept):
            return f"{text}, {younger}: a rotation that failed left it behind"
        return f"{text}, {younger}: another replica may be about to store it"
    return f"{text}, not {younger}"


def _piled_up(facts: Facts) -> bool:
    """Whether so many keys are live already that more are not the cure."""
    if len(facts.orphans) >= MAX_ORPHANS or _too_many_unseen(facts):
        return True
    if _piled(facts) < _most_piled(facts):
        return False
    # One for each grace period is let through: that there is a current key is the condition for the others to go.
    return not _is_urgent(facts) or _youngest(facts) < facts.key.grace_period


def _vain(facts: Facts) -> list[Claim]:
    """The claims on the next version whose creates may have made keys that nobody has."""
    claims = facts.claims.kept
    return [claim for claim in claims if claim.version == facts.version.number + 1 and claim.unknown]


def _unseen(facts: Facts) -> int:
    """How many keys creates may have made for this version of which the list shows none as ours.

    As many as are there since, by whatever title, and are managed by nobody.
    """
    vain = _vain(facts)
    there = sum(any(claim.may_have_made(key.created_at) for claim in vain) for key in facts.unmanaged)
    return min(there, sum(claim.unknown for claim in vain))


def _too_many_unseen(facts: Facts) -> bool:
    if (unseen := _unseen(facts)) < MAX_UNSEEN:
        return False
    tried = max(claim.at for claim in _vain(facts))
    return unseen >= 2 * MAX_UNSEEN or facts.now - tried < facts.key.grace_period


def _say_piled_up(facts: Facts) -> str:
    if _too_many_unseen(facts):
        return (
            f"creates failed, and the list has {count(_unseen(facts), 'new key')} that are not known as ours: "
            "revoke by hand those that nobody made"
        )
    orphans = f"{count(len(facts.orphans), 'orphan')} of {MAX_ORPHANS}"
    text = f"{orphans}, {_piled(facts)} superseded of {_most_piled(facts)}"
    text += ": making more keys does not help" if _piled_up(facts) else ""
    if _is_urgent(facts) and _piled(facts) >= _most_piled(facts):
        text += (
            f"; one more in each grace of {short(facts.key.grace_period)}: "
            f"the youngest is {short(_youngest(facts))} old"
        )
    return text


def _piled(facts: Facts) -> int:
    """How many superseded keys are left; those that a person made are not ours to count."""
    ours = facts.ours
    return sum(id_ in ours or id_ not in facts.listed for id_ in facts.carried)


def _most_piled(facts: Facts) -> int:
    return 2 * MAX_SUPERSEDED if _is_urgent(facts) else MAX_SUPERSEDED


def _is_urgent(facts: Facts) -> bool:
    """Whether there is no current key, as far as is known, or it works no more."""
    return facts.rotation is None or facts.refused


def _youngest(facts: Facts) -> timedelta:
    return min((facts.age(key) for key in facts.family), default=timedelta(0))


def _say_omitted(facts: Facts) -> str:
    if facts.rotation is None:
        return "it is not known which key the list should show"
    if facts.omitted:
        return f"the list omits key {facts.key_id}, though it works, so it may omit others"
    return listed_as(facts) + (", and is refused" if facts.refused else "")


def _outside_window(facts: Facts) -> bool:
    return not facts.key.cadence.window_open(facts.now)


def _say_outside_window(facts: Facts) -> str:
    cadence, now = facts.key.cadence, facts.now
    if not cadence.window_open(now):
        return f"its window is closed, and opens {when(cadence.due_at(now), now)}"
    ends = cadence.window_ends(now)
    return f"its window is open until {when(ends, now)}" if ends else "it has no window"


def _frozen(facts: Facts) -> bool:
    return facts.frozen_until(facts.due_since) is not None


def _say_frozen(facts: Facts) -> str:
    freeze = facts.freeze
    if freeze is None:
        return "nobody has frozen it"
    text = freeze.say(facts.now)
    if not freeze.in_force(facts.now):
        return text
    if not _frozen(facts):
        return f"{text}; but it keeps nothing for longer than {short(LONGEST)} after it was due"
    return text


SET_THE_CLOCK: Final = (
    "check that this machine's clock is right (NTP); if it is, ask the gateway's support about "
    "its Date header. "
    "clock_tolerance says how far the two may be apart"
)
_ALL_BUT_DUE: Final = frozenset({Reason.FORCED, Reason.MISSING, Reason.REVOKED})
FROZEN: Final = Rule(Hold.FROZEN, _frozen, _say_frozen, spares=_ALL_BUT_DUE)
HOLDS: Final[tuple[Rule[Hold], ...]] = (
    FROZEN,
    Rule(Hold.IN_FLIGHT, _in_flight, _say_in_flight, spares=frozenset({Reason.FORCED})),
    Rule(
        Hold.BACKING_OFF,
        _piled_up,
        _say_piled_up,
        cure="they are revoked in time; if not, find out why revoking or storing fails, or "
        "revoke them by hand",
    ),
    Rule(
        Hold.BACKING_OFF,
        # What a list does not show cannot be kept within bounds.
        lambda facts: facts.omitted,
        _say_omitted,
        spares=_ALL_BUT_DUE,
        cure="ask the gateway's support; or --rotate-now",
    ),
    Rule(Hold.OUTSIDE_WINDOW, _outside_window, _say_outside_window, spares=_ALL_BUT_DUE),
    Rule(
        Hold.CLOCK,
        lambda facts: facts.doubt is not None,
        lambda facts: facts.doubt or f"the clocks agree, within {short(facts.timing.clock_tolerance)}",
        spares=_ALL_BUT_DUE,
        cure=SET_THE_CLOCK,
    ),
)
