"""What a consumer is told, and whether it is owed to it. Pure.

A consumer with a receiver is owed to be told which key is current until its receiver has taken that. The record of
it is the consumer's confirmation, in Vault: so each pass, each replica and each restart knows what is owed.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rotator.rules.cloud_event import cloud_event, source_of
from rotator.rules.consumers import EVENT, FIELD, Ack
from rotator.rules.times import format_time


@dataclass(frozen=True)
class Message:
    """What one consumer is to be told: which key is current. It holds no secret."""

    installation: str
    name: str
    """The managed key's."""
    mount: str
    path: str
    consumer: str
    key_id: int
    rotated_at: datetime
    since: datetime
    """Since when the key is current without a break: later than `rotated_at` where a person has put it back."""

    @property
    def _mark(self) -> str:
        since = format_time(self.since)
        said = [self.installation, self.mount, self.path, self.consumer, self.key_id, since]
        return hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()

    def id(self, version: int) -> str:
        """Return the event's id: the same for each repetition, whichever replica or process makes it.

        `version`: that of the consumer's confirmation, which taking the event will make. So a key that becomes
        current once more by a person's hand, with its bookkeeping as it was, is told by another id.
        """
        return f"{self._mark}-{version}"

    def to_json(self, version: int) -> dict[str, Any]:
        """The event."""
        data = {
            "key_id": self.key_id,
            "mount": self.mount,
            "path": self.path,
            "consumer": self.consumer,
            "rotated_at": format_time(self.rotated_at),
        }
        return cloud_event(
            "key.current",
            data,
            id_=self.id(version),
            source=source_of(self.installation),
            subject=self.name,
            time=self.rotated_at,
        )

    def taken(self, version: int) -> dict[str, Any]:
        """The confirmation that is written once the receiver has taken the event."""
        return {FIELD: self.key_id, EVENT: self.id(version)}

    def is_owed(self, ack: Ack, stored_at: datetime | None) -> bool:
        """Whether the consumer is to be told, by what it confirmed last.

        What it, or a person, has confirmed without being told counts, too, unless the secret was written since:
        that is `stored_at`, by Vault's clock.
        """
        if ack.key_id != self.key_id:
            return True
        if ack.event.startswith(f"{self._mark}-"):
            return False
        return not (ack.at and stored_at and ack.at > stored_at)
