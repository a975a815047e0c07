"""What this Vault has asked for: a record of each intent to make a key, written before it is asked for. Pure.

A live key whose title bears a nonce that no claim knows was not asked for by this Vault. It is reported and never
revoked, whatever its title says.
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.errors import Rejected
from rotator.rules.model import Version
from rotator.rules.times import format_time, parse_time

FIELD: Final = "claims"
MOST: Final = 40
"""Claims of one secret that are remembered: more than it can have live keys."""
_EARLY: Final = timedelta(minutes=5)
"""So much earlier than its claim a key may seem to have been made: a gateway has more clocks than one."""


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
    unknown: int = 0
    """Creates of which it is not known whether they made a key."""
    without_grace: bool = False
    """Whether an operator ended the grace of all that the key supersedes."""

    def may_have_made(self, created_at: datetime) -> bool:
        """Whether a key of that time may have been made after this, and so by it."""
        return created_at >= self.at - _EARLY


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
                    **({"unknown": claim.unknown} if claim.unknown else {}),
                    **({"without_grace": True} if claim.without_grace else {}),
                }
                for claim in self.kept
            ]
        }

    def adding(self, claim: Claim, live: Set[str]) -> "Claims":
        """Return them with one more. The oldest are dropped, but none whose nonce a live key bears."""
        spare = len(self.kept) + 1 - MOST
        kept: list[Claim] = []
        for old in self.kept:
            if spare > 0 and live.isdisjoint(old.nonces):
                spare -= 1
            else:
                kept.append(old)
        return Claims(self.number, (*kept, claim))

    def ending(self, claim: Claim, unknown: int = 0) -> "Claims":
        """Return them with the one that is `claim` ended. `unknown`: creates of it that may have made a key."""
        ended = replace(claim, ended=True, unknown=unknown)
        return Claims(self.number, tuple(ended if old.nonces == claim.nonces else old for old in self.kept))


def read_claims(record: Version, path: str) -> Claims:
    """Read the record at `path`. An entry that makes no sense costs that entry: its keys live longer.

    Raises Rejected for a secret that is somebody else's.
    """
    if record.data and not record.data.keys() <= {FIELD}:
        raise Rejected(
            f"the rotator keeps claims at {path}, but the secret there holds something else; "
            f"nothing was written over it",
            cure="move that secret, or give the rotator another vault.state_path",
        )
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
        at = parse_time(str(entry.get("at")))
        unknown = entry.get("unknown")
        return Claim(
            version,
            at,
            sound,
            entry.get("ended") is True,
            unknown if type(unknown) is int and unknown > 0 else 0,
            entry.get("without_grace") is True,
        )
    except ValueError:
        return None


def claims_path(state_path: str, path: str) -> str:
    """Return where the claims of the secret at `path` are kept: beside the identity."""
    directory = state_path.rpartition("/")[0]
    return f"{directory}/claims/{path}" if directory else f"claims/{path}"
