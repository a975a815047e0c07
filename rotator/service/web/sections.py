"""Which section of the operations guide says what to do. Pure; the one table of them."""

from dataclasses import dataclass
from typing import Final

from rotator.rules.revocations import Victim
from rotator.show.key_status import KeyStatus
from rotator.show.severity import Severity


@dataclass(frozen=True)
class Section:
    """A section of docs/operations.md. Those of alerts bear the alert's name."""

    heading: str

    @property
    def anchor(self) -> str:
        """What an address names it by."""
        return self.heading.lower().replace(" ", "-")


PROGRAMS_REFUSED: Final = Section("RotatorProgramsRefused")
KEY_IN_DANGER: Final = Section("RotatorKeyInDanger")
KEY_LATE: Final = Section("RotatorKeyLate")
REVOCATION_OVERDUE: Final = Section("RotatorRevocationOverdue")
ORPHANS_STAY: Final = Section("RotatorOrphansStay")
NOT_CONVERGED: Final = Section("RotatorNotConverged")
CONFIG_NOT_RELOADED: Final = Section("RotatorConfigNotReloaded")
PASS_REFUSED: Final = Section("Exit code 3")
ADOPT: Final = Section("Adopt a key")
SECTIONS: Final = (
    PROGRAMS_REFUSED,
    KEY_IN_DANGER,
    KEY_LATE,
    REVOCATION_OVERDUE,
    ORPHANS_STAY,
    NOT_CONVERGED,
    CONFIG_NOT_RELOADED,
    PASS_REFUSED,
    ADOPT,
)
"""All that the page leads to."""
_WORST: Final = {Severity.REFUSED: PROGRAMS_REFUSED, Severity.DANGER: KEY_IN_DANGER}


def section_of(key: KeyStatus) -> Section | None:
    """Return the one for what is the matter with a managed key; None where nobody need come."""
    if not key.severity.alarms:
        return None
    if key.severity in _WORST:
        return _WORST[key.severity]
    overdue = {other.kind for other in key.others if other.overdue}
    if not overdue or key.unrotated:
        return KEY_LATE
    return REVOCATION_OVERDUE if Victim.SUPERSEDED in overdue else ORPHANS_STAY
