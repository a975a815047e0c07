"""What each read of a secret goes through before anything is done with it."""

from rotator.errors import Rejected
from rotator.redaction import remember
from rotator.rules.bookkeeping import fault_of_owner, read_plaintext
from rotator.rules.model import ManagedKey, Version


def raise_for_owner(version: Version, key: ManagedKey) -> None:
    """Raise Rejected for a secret with something of its owner's where we would write."""
    if found := fault_of_owner(version.data, key.field, key.bookkeeping):
        fault, cure = found
        raise Rejected(f"the secret {key.path}: {fault}; nothing is written over it", cure=cure)


def remembered(version: Version, key: ManagedKey) -> Version:
    """Make its plaintext known to the redaction before anything else is done with it."""
    if plaintext := read_plaintext(version.data, key.field):
        remember(plaintext)
    return version
