"""How bad it is: one order, by which all that is shown is ranked, coloured, counted and answered for. Pure.

The page's head, banner, title, icon and order of rows, `rotator status` and its exit code, the words of `/readyz`,
the metric and the alerts all go by `Severity`, and by nothing else.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from rotator.rules.times import count
from rotator.show.snapshot import Snapshot


class Severity(IntEnum):
    """What is the matter, the least first. The numbers are those of the metric `rotator_key_severity`."""

    WELL = 0
    """Nothing needs attention."""
    NOTE = 1
    """A person should know it; nothing is wrong yet."""
    HELD = 2
    """A rotation waits on purpose, and goes on by itself."""
    LATE = 3
    """What a pass had to do failed, or is overdue. The published key works."""
    DANGER = 4
    """The published key works, as far as was seen, and may fail its programs at any time."""
    REFUSED = 5
    """Programs fail now: the gateway refuses the published key, or there is none."""

    @property
    def word(self) -> str:
        """Its name in JSON, and in the page's markup."""
        return self.name.lower()

    @property
    def alarms(self) -> bool:
        """Whether somebody should come: a banner, a mark in the title, exit code 1."""
        return self >= Severity.LATE


class KeyState(StrEnum):
    """A managed key in one word, the worst first."""

    REVOKED = "revoked"
    """The gateway refuses the key that is published; the next pass rotates it."""
    MISSING = "missing"
    """No pass has made it yet, or its secret is gone; the next one makes it."""
    FAILED = "failed"
    """What a pass tried for it went wrong."""
    OVERDUE = "overdue"
    """It has been due for longer than OVERDUE_AFTER."""
    NOT_REACHED = "not reached"
    UNKNOWN = "unknown"
    STOPPED = "stopped"
    HELD = "held"
    """It is due, and waits; the key works."""
    DUE = "due"
    """The next pass rotates it."""
    OK = "ok"


_OF_STATE: Final = {
    KeyState.REVOKED: Severity.REFUSED,
    KeyState.MISSING: Severity.REFUSED,
    KeyState.FAILED: Severity.LATE,
    KeyState.OVERDUE: Severity.LATE,
    KeyState.NOT_REACHED: Severity.LATE,
    KeyState.UNKNOWN: Severity.NOTE,
    KeyState.STOPPED: Severity.NOTE,
    KeyState.HELD: Severity.HELD,
    KeyState.DUE: Severity.WELL,
    KeyState.OK: Severity.WELL,
}
_IN_WORDS: Final = {
    Severity.REFUSED: "refused",
    Severity.DANGER: "in danger",
    Severity.LATE: "late",
    Severity.HELD: "held",
    Severity.NOTE: "to note",
    Severity.WELL: "ok",
}
_NAMED: Final = 3
"""Managed keys in one line; of more it is said how many."""


@dataclass(frozen=True)
class Standing:
    """How one managed key stands."""

    name: str
    path: str
    state: KeyState
    severity: Severity

    @property
    def how_bad(self) -> str:
        """Its severity, as the head of the page calls it."""
        return _IN_WORDS[self.severity]

    @property
    def word(self) -> str:
        """How it is: its state or, where something worse is known than that says, how bad it is."""
        if self.state is KeyState.REVOKED:  # by the gateway: the rotator revokes keys, too, and that is well
            return _IN_WORDS[Severity.REFUSED]
        return self.state if self.severity is _OF_STATE[self.state] else _IN_WORDS[self.severity]


@dataclass(frozen=True)
class Headline:
    """The worst that is the matter, in one line."""

    severity: Severity
    text: str
    short: str
    """For a tab's title."""


def severity_of(state: KeyState, *, endangered: bool, late: bool, warned: bool) -> Severity:
    """Return the worst of what is known of a managed key.

    `endangered`: its published key may fail its programs. `late`: a revocation is overdue, or something waits for a
    person. `warned`: there is something that its owner should know.
    """
    found = (
        (endangered, Severity.DANGER),
        (late, Severity.LATE),
        (warned, Severity.NOTE),
    )
    return max(_OF_STATE[state], *(severity for holds, severity in found if holds), Severity.WELL)


def headline(keys: Sequence[Standing], trouble: Headline | None = None) -> Headline:
    """Return the worst of the keys and of what is the matter with the whole account."""
    worst = max((key.severity for key in keys), default=Severity.WELL)
    if trouble and trouble.severity >= worst:
        return trouble
    if worst is Severity.WELL:
        return Headline(worst, "all is well", count(len(keys), "key"))
    found = [key for key in keys if key.severity is worst]
    return Headline(worst, _text(worst, found), _short(worst, found))


def trouble_of(snapshot: Snapshot) -> Headline | None:
    """What is the matter with the long-running mode or the whole account; None where nothing is."""
    if not snapshot.ready:
        # At the start that is as it should be.
        severity = Severity.LATE if snapshot.passes or not snapshot.alive or snapshot.hung else Severity.NOTE
        return Headline(severity, "not ready", "not ready")
    if snapshot.passes and snapshot.passes[0].refused:
        return Headline(Severity.LATE, "the last pass was given up", "late")
    if snapshot.reload_failed:
        return Headline(Severity.LATE, "the old config is in use", "old config")
    return None


def _short(severity: Severity, keys: Sequence[Standing]) -> str:
    """Count them; what programs feel in the words that each key has."""
    if severity is not Severity.REFUSED:
        return f"{len(keys)} {_IN_WORDS[severity]}"
    numbers = Counter(key.word for key in sorted(keys, key=lambda key: list(KeyState).index(key.state)))
    return ", ".join(f"{number} {word}" for word, number in numbers.items())


def _text(severity: Severity, keys: Sequence[Standing]) -> str:
    if severity is Severity.REFUSED:
        refused = any(key.state is KeyState.REVOKED for key in keys)
        what = "programs are refused now" if refused else "programs find no key"
        return f"{what}: {_listed([key.path for key in keys])}"
    if severity is Severity.DANGER:
        what = "a published key is in danger" if len(keys) == 1 else "published keys are in danger"
        return f"{what}: {_listed([key.path for key in keys])}"
    return f"{_IN_WORDS[severity]}: {_listed([key.name for key in keys])}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
