"""Leave to revoke, for tests of what comes after it was given."""

from rotator.redaction import Secret
from rotator.rules.evidence import Warrant, to_discard
from rotator.rules.model import CreatedKey, Key
from tests.facts import DAY, key, plaintext


def warrant(key_id: int) -> Warrant:
    listed: Key = key(key_id)
    created = CreatedKey(key_id, listed.title, DAY, Secret(plaintext(key_id)), None)
    return to_discard(created, listed, listed.title)
