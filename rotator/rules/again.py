"""How soon a pass that came to nothing is tried again, where the schedule would have it wait longer. Pure."""

from datetime import timedelta
from typing import Final

from rotator.errors import RotatorError, Transient

FIRST: Final = timedelta(seconds=1)
"""After the first failure; it doubles with each further one."""
FIRST_AFTER_REFUSAL: Final = timedelta(minutes=1)
"""A server that has refused us goes on until a person has seen to it, and Vault locks out who fails to log in."""
_DOUBLINGS: Final = 24
"""Longer than any schedule, and no more than a duration can hold."""


def again_after(failures: int, why: RotatorError) -> timedelta:
    """Return how long to wait after so many failures in a row, the last because of `why`: at least what it asks."""
    asked = timedelta(seconds=why.retry_after or 0.0) if isinstance(why, Transient) else timedelta(0)
    refused = why.status is not None and not isinstance(why, Transient)
    first = FIRST_AFTER_REFUSAL if refused else FIRST
    return max(first * (1 << min(failures - 1, _DOUBLINGS)), asked)
