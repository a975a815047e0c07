"""Answers that say what the contract says, otherwise than it is written there: faults' actions, by name.

Fault("POST /keys", ODD["201"], at=Phase.AFTER)     # a key is made and shown, and the status is another
"""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from rotator.sandbox.faults import Action, Change
from rotator.sandbox.replies import Reply, error

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Odd(Change):
    """Answers what `change` makes of the answer."""

    change: Callable[[Reply], Reply]

    def __call__(self, reply: Reply | None) -> Reply | None:
        """Return the answer changed; None where there is none yet."""
        return reply and self.change(reply)


def _packed(reply: Reply) -> Reply:
    headers = {**reply.headers, "Content-Encoding": "gzip"}
    return replace(reply, body=gzip.compress(reply.body, mtime=0), headers=headers)


def _quoting(reply: Reply) -> Reply:
    data = json.loads(reply.body).get("data")
    made = data.get("api_key") if isinstance(data, dict) else None
    return error(500, f"could not publish {made}") if made else reply


ODD: Final[Mapping[str, Action]] = {
    "201": Odd(lambda reply: replace(reply, status=201)),
    "byte order mark": Odd(lambda reply: replace(reply, body=_BYTE_ORDER_MARK + reply.body)),
    "gzip": Odd(_packed),
    "500 quotes the key": Odd(_quoting),
}
"""Each needs Phase.AFTER. gzip comes though nothing compressed was asked for; the last is for a create."""
