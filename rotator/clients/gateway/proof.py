"""Whether a plaintext works as a bearer, by ways that were seen to tell a good bearer from a bad one.

An endpoint may be open to all, answered by a cache, or shut to every API key. So a way's yes counts once it has
refused a bearer that nobody was ever given, and its no once it has taken our own.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from rotator.clients.exchange import Request
from rotator.clients.gateway.answers import GatewayAnswer
from rotator.errors import BrokenContract, Denied, Limited, Rejected, RotatorError, Transient
from rotator.redaction import Secret, is_word

_ASK_WHY: Final = "ask the gateway's support why it refuses a key's own requests, and name the request_id"

Call = Callable[[Request, Secret | None], GatewayAnswer]
"""One call, by another bearer or, with None, by our own."""


@dataclass(frozen=True)
class Probe:
    """Whether a plaintext works as a bearer, and the request that told."""

    works: bool
    request_id: str | None


class Proof:
    """The ways to tell whether a plaintext works. Thread-safe: at worst a way is tried out twice."""

    def __init__(self, call: Call) -> None:
        self._call = call
        # The first one is small. The vendor documents it, no contract promises it: an account may lack it.
        self._ways: tuple[Request, ...] = (Request("GET", "/account/balances"), Request("GET", "/keys"))
        self._takes_ours = frozenset[str]()
        self._refuses_a_wrong_one = frozenset[str]()

    def of(self, plaintext: Secret, *, by_all: bool) -> Probe:
        """Ask one way after the other until one tells. `by_all`: every way, and one no is enough.

        Raises a Transient or Rejected where none tells.
        """
        if not is_word(plaintext.reveal()):
            return Probe(works=False, request_id=None)
        untold: list[RotatorError] = []
        silent: set[str] = set()
        told: Probe | None = None
        for way in self._ways:
            try:
                told = self._ask(way, plaintext)
            except (Denied, Rejected, BrokenContract, Transient) as error:
                untold.append(error)
                silent |= set() if told else {way.path}
                continue
            if not (told.works and by_all):
                break
        if told is None:
            raise _untold(untold)
        self._ways = tuple(way for way in self._ways if way.path not in silent)
        return told

    def _ask(self, way: Request, plaintext: Secret) -> Probe:
        """Ask in one way. Raises where it tells nothing of the plaintext."""
        try:
            answer = self._call(way, plaintext)
        except (Denied, Rejected, BrokenContract, Transient) as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
            if way.path not in self._takes_ours:
                self._call(way, None)
                self._takes_ours |= {way.path}
            return Probe(works=False, request_id=error.request_id)
        if way.path not in self._refuses_a_wrong_one:
            self._try_a_wrong_one(way)
        return Probe(works=True, request_id=answer.request_id)

    def _try_a_wrong_one(self, way: Request) -> None:
        try:
            answer = self._call(way, Secret(f"sk-{secrets.token_hex(24)}"))
        except (Denied, Rejected, BrokenContract):
            self._refuses_a_wrong_one |= {way.path}
        else:
            raise Rejected(f"{way} accepts a bearer that is not a key", request_id=answer.request_id)


def _untold(errors: list[RotatorError]) -> RotatorError:
    """What is raised where no way told whether a plaintext works; it is tried again where one may tell later."""
    later = next((error for error in errors if isinstance(error, Transient)), None)
    last = later or errors[-1]
    said = "; ".join(error.message for error in errors)
    message = f"the rotator cannot tell whether the key works: {said}"
    if later:
        kind = Limited if isinstance(later, Limited) else Transient
        return kind(
            message,
            ambiguous=False,
            retry_after=later.retry_after,
            status=later.status,
            request_id=later.request_id,
            cure=_ASK_WHY,
        )
    return Rejected(message, status=last.status, request_id=last.request_id, cure=_ASK_WHY)
