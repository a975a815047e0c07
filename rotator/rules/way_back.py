"""Which older key a rollback puts back at once, where programs are refused. Pure."""

from collections.abc import Iterable

from rotator.rules.revocations import Kept, Revocation


def to_put_back(others: Iterable[Revocation]) -> Revocation | None:
    """Return the key that was superseded last and that no pass may be revoking; None where there is none.

    While its successor does not work, no pass begins to revoke it. One whose grace was ended is left out: its
    revocation may have begun before, and a rotator that stands still may yet end it.
    """
    kept = [other for other in others if other.kept is Kept.WITHOUT_SUCCESSOR and other.known_since]
    return max(kept, key=lambda other: (other.since, other.key_id), default=None)
