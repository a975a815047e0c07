"""What consumers confirm: read for a pass; and written, the one write that a consumer's own token may make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rotator.errors import BrokenContract, Conflict, Limited, Rejected, Transient
from rotator.passes.account import Account, Store
from rotator.passes.copy import Copies
from rotator.rules.bookkeeping import read_block
from rotator.rules.consumers import FIELD, Ack, ack_path, read_ack
from rotator.rules.copies import Content
from rotator.rules.model import ManagedKey, Version

_TRIES: Final = 3
"""Two instances of one consumer may confirm at the same moment."""


class Confirmations:
    """What the consumers have confirmed. Thread-safe.

    Each is asked for once. Where Vault does not answer, no other is asked for: nothing may wait for them.
    """

    def __init__(self, account: Account, copies: Copies) -> None:
        self._account, self._copies = account, copies
        self._unanswered = ""

    def of(self, key: ManagedKey, *contents: Content | None) -> Mapping[str, Ack]:
        """Return what each consumer of `key` has confirmed last. What cannot be read is no confirmation.

        `contents`: what a copy may hold by now. It confirms by what it holds.
        """
        known = tuple(content for content in contents if content)
        return {**self.in_words(key), **self._copies.acks(key, known)}

    def in_words(self, key: ManagedKey) -> Mapping[str, Ack]:
        """Return the same of the consumers that read no copy."""
        return {name: self._ask(key, name) for name in key.confirming}

    def _ask(self, key: ManagedKey, consumer: str) -> Ack:
        if self._unanswered:
            return Ack(fault=self._unanswered)
        try:
            return read_ack(
                read_once(self._account.store, ack_path(self._account.acks_path, key.path, consumer))
            )
        except (Rejected, Transient, BrokenContract) as error:
            fault = f"has a confirmation that cannot be read: {error.message}"
            if isinstance(error, Transient):
                self._unanswered = fault
            return Ack(fault=fault)


def read_once(store: Store, path: str) -> Version:
    """Read what nothing may wait for: a failure is not repeated."""
    try:
        return store.read(path, once=True)
    except Limited:  # the others of this pass wait for their turn, too
        return store.read(path)


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
