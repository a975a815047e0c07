"""Never create what cannot be stored: what the Vault token may do, and for how long."""

import math
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

from rotator.errors import Rejected, RotatorError
from rotator.passes.account import Store
from rotator.rules.model import Timing
from rotator.rules.times import short

NEEDED = ("create", "read", "update")
"""At the path of each managed key. A write with check-and-set asks for create or update by what is there."""
NEEDED_FOR_IDENTITY = ("create", "read")


class Preflight:
    """The token's fitness, as last asked. Thread-safe."""

    def __init__(self, store: Store, timing: Timing) -> None:
        self._store = store
        self._rotation = timing.rotation
        self._needs = self._rotation.total_seconds()
        self._lock = threading.Lock()
        self._expires_at: float | None = None
        """On the monotonic clock; infinite for a token that does not expire."""

    def refused_paths(self, paths: Iterable[str]) -> Mapping[str, RotatorError]:
        """Return an error for each of `paths` that the token could not write. Raises when Vault won't say."""
        missing = self._store.missing_capabilities(dict.fromkeys(paths, NEEDED))
        return {path: _lacking(lacks) for path, lacks in missing.items()}

    def check_identity(self, state_path: str) -> None:
        """Raise Rejected unless the token could make the installation's identity."""
        for lacks in self._store.missing_capabilities({state_path: NEEDED_FOR_IDENTITY}).values():
            raise _lacking(lacks)

    def check_token(self) -> None:
        """Raise Rejected unless the token outlives one whole rotation that begins now."""
        with self._lock:
            if self._remaining() < self._needs:
                self._ask()
            if self._remaining() < self._needs:
                # In the same words each time, for a failure that changes is told again.
                needs = short(timedelta(seconds=self._needs))
                raise Rejected(
                    f"the Vault token expires before a rotation can be sure to end (it may take {needs}); "
                    "nothing was created",
                    cure="renew it, log in again, or raise the token_ttl of its role",
                )

    def _remaining(self) -> float:
        """In seconds; none as long as the token was not asked, less once it has expired."""
        return 0.0 if self._expires_at is None else self._expires_at - time.monotonic()

    def _ask(self) -> None:
        ttl = self._store.token_ttl(at_least=self._rotation)
        self._expires_at = math.inf if ttl is None else time.monotonic() + ttl.total_seconds()


def _lacking(lacks: str) -> Rejected:
    return Rejected(
        f"the Vault token lacks {lacks}; nothing was written", cure="grant it in the token's policy"
    )
