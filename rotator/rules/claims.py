"""What this Vault has asked for: a record of each intent to make a key, written before it is asked for. Pure.

A live key whose title bears a nonce that no claim knows was not asked for by this Vault. It is reported and never
revoked, whatever its title says.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.rules.model import Version
from rotator.rules.times import format_time, parse_time

FIELD: Final = "claims"
KEPT: Final = 40
"""Claims of one secret that are remembered: more than it can have live keys."""


@dataclass(frozen=True)
class Claim:
    """One intent to make a key."""

    version: int
    """The version of the secret that the key is to become."""
    at: datetime
    """When it was made, by the gateway's clock."""
    nonces: tuple[str, ...]
    """For the titles of its attempts."""
    ended: bool = False
    """Whether it is known that no key of it will be published any more; one may live all the same."""


@dataclass(frozen=True)
class Claims:
    """The claims of one secret, the oldest first."""

    number: int = 0
    """The version of their record, which check-and-set compares; 0 where there is none."""
    kept: tuple[Claim, ...] = ()

    def of(self, nonce: str) -> Claim | None:
        """Return the claim that a title's nonce is of."""
        return next((claim for claim in reversed(self.kept) if nonce in claim.nonces), None)

    def pending(self, latest: int, now: datetime, in_flight: timedelta) -> Claim | None:
        """Return a claim on what follows version `latest` whose key may be about to be stored."""
        follow = (claim for claim in self.kept if claim.version > latest and not claim.ended)
        return next((claim for claim in follow if abs(now - claim.at) < in_flight), None)

    def to_json(self) -> dict[str, Any]:
        """The record as it is written."""
        return {
            FIELD: [
                {
                    "version": claim.version,
                    "at": format_time(claim.at),
                    "nonces": list(claim.nonces),
                    **({"ended": True} if claim.ended else {}),
                }
                for claim in self.kept
            ]
        }

    def adding(self, claim: Claim, live: Collection[str]) -> "Claims":
        """Return them with one more. The oldest are dropped, but none whose nonce a live key bears."""
        spare = len(self.kept) + 1 - KEPT
        kept: list[Claim] = []
        for old in self.kept:
            if spare > 0 and not set(old.nonces) & set(live):
                spare -= 1
            else:
                kept.append(old)
        return Claims(self.number, (*kept, claim))

    def ending(self, claim: Claim) -> "Claims":
        """Return them with the one that is `claim` ended."""
        ended = Claim(claim.version, claim.at, claim.nonces, ended=True)
        return Claims(self.number, tuple(ended if old.nonces == claim.nonces else old for old in self.kept))


def read_claims(record: Version) -> Claims:
    """Read the record. An entry that makes no sense costs that entry: its keys live longer."""
    entries = (record.data or {}).get(FIELD)
    read = [_claim(entry) for entry in entries] if isinstance(entries, list) else []
    return Claims(record.number, tuple(claim for claim in read if claim))


def _claim(entry: object) -> Claim | None:
    if not isinstance(entry, Mapping):
        return None
    version, nonces = entry.get("version"), entry.get("nonces")
    if type(version) is not int or version < 1 or not isinstance(nonces, list):
        return None
    sound = tuple(nonce for nonce in nonces if isinstance(nonce, str) and re.fullmatch("[0-9a-f]{8}", nonce))
    try:
        return Claim(version, parse_time(str(entry.get("at"))), sound, entry.get("ended") is True)
    except ValueError:
        return None
