"""Which older keys a rollback may put back though their grace is over. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from rotator.rules.revocations import Kept, Revocation


def to_put_back(others: Iterable[Revocation]) -> Revocation | None:
    """Return the key that was superseded last and that no pass may be revoking; None where there is none.

    While its successor does not work, no pass begins to revoke it. One whose grace was ended is left out: its
    revocation may have begun before, and a rotator that stands still may yet end it.
    """
    kept = [other for other in others if other.kept is Kept.WITHOUT_SUCCESSOR and other.known_since]
    return max(kept, key=lambda other: (other.since, other.key_id), default=None)


def outliving(others: Iterable[Revocation], until: datetime) -> Iterator[Revocation]:
    """Yield the superseded keys that people or consumers keep alive past their grace, and beyond `until`.

    Before a pass revokes one, it must still write its fence.
    """
    for other in others:
        kept = other.kept in (Kept.FROZEN, Kept.UNCONFIRMED) and other.known_since
        if kept and (other.goes_at is None or other.goes_at > until):
            yield other
