"""A consumer confirms the key that it has taken up: the one write that a consumer's own token may make."""

from dataclasses import dataclass
from typing import Any, Final

from rotator.errors import Conflict, Rejected
from rotator.passes.account import Store
from rotator.rules.bookkeeping import read_block
from rotator.rules.consumers import FIELD, read_ack
from rotator.rules.model import ManagedKey

_TRIES: Final = 3
"""Two instances of one consumer may confirm at the same moment."""


@dataclass(frozen=True)
class Confirmed:
    """What was confirmed."""

    name: str
    consumer: str
    key_id: int

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator ack --json`."""
        return {"name": self.name, "consumer": self.consumer, "key_id": self.key_id}


def confirm(store: Store, key: ManagedKey, consumer: str, path: str, key_id: int | None) -> Confirmed:
    """Write at `path` that `consumer` has taken up `key_id`; by default the key that the secret holds now.

    Raises Rejected where it is not known which key that is, and what Vault raises.
    """
    if key_id is None:
        key_id = read_block(store.read(key.path).data, key.bookkeeping).key_id
    if key_id is None:
        raise Rejected(
            f"the secret {key.path} does not say which key it holds", cure="name the key with --key-id"
        )
    there = store.read(path)
    for left in reversed(range(_TRIES)):
        try:
            # Also where it says so already: after a rollback, only what is said anew counts.
            store.write(path, {FIELD: key_id}, cas=there.number)
            break
        except Conflict:
            there = store.read(path)
            if read_ack(there).key_id == key_id:
                break  # another instance has said the same just now
            if not left:
                raise
    return Confirmed(key.name, consumer, key_id)
