"""Leave to revoke, for tests of what comes after it was given."""

from datetime import UTC, datetime

from rotator.redaction import Secret
from rotator.rules.evidence import Warrant, to_discard
from rotator.rules.model import CreatedKey


def warrant(key_id: int) -> Warrant:
    return to_discard(CreatedKey(key_id, "", datetime(2026, 11, 1, tzinfo=UTC), Secret(""), None))
