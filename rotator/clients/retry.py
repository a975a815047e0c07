"""The one retry policy: bounded in attempts and in time, full jitter, `Retry-After` honoured and capped.

What is over a server's limit is repeated when its turn comes: see `governor`.

Which failures may be repeated is not known here; the caller says so with `again`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
import tenacity

from rotator.clients.governor import waited
from rotator.errors import Limited, RotatorError, Transient
from rotator.rules.model import PATIENCE

T = TypeVar("T")
Sleep = Callable[[float], None]
_MOMENT: Final = 0.01
"""Seconds: with no more left there is nothing to wait for."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Policy:
    """All times in seconds. `attempts` counts the first one; 0 means no bound but `deadline`."""

    attempts: int = 6
    deadline: float = PATIENCE.total_seconds()
    first_wait: float = 0.5
    """The upper end of the first wait; it doubles with each attempt."""
    longest_wait: float = 20.0
    longest_retry_after: float = 60.0
    patience: float = 1800.0
    """So long a limit of the server's may hold a call up, which counts as no attempt, and as no time."""

    def until(self, deadline: timedelta, *, patience: timedelta = timedelta()) -> "Policy":
        """As many attempts as fit into `deadline`, with waits of at most 5 s."""
        seconds = deadline.total_seconds()
        return replace(
            self, attempts=0, deadline=seconds, longest_wait=5.0, patience=patience.total_seconds()
        )


ONCE: Final = Policy(attempts=1, patience=0.0)
"""Nothing is repeated: who asks does not wait, or is to see what is not well now."""


def transient(error: BaseException) -> bool:
    """`again` for calls that may be repeated whatever came of the first one."""
    return isinstance(error, Transient)


def call(
    attempt: Callable[[], T],
    policy: Policy,
    *,
    event: str,
    sleep: Sleep,
    again: Callable[[BaseException], bool] = transient,
    patient: Callable[[], bool] = lambda: True,
) -> T:
    """Return what `attempt` returns, or raise its last error once the policy is exhausted.

    Each wait is logged as `event`; neither arguments nor results are. Once it is no longer `patient`, a limit
    counts as any failure.
    """
    limited, before = 0, waited()

    def left(state: tenacity.RetryCallState) -> float:
        return policy.deadline - max(state.seconds_since_start or 0.0, state.idle_for) + held_up()

    def held_up() -> float:
        return min(waited() - before, policy.patience)

    def is_enough(state: tenacity.RetryCallState) -> bool:
        nonlocal limited
        if isinstance(_error(state), Limited) and held_up() < policy.patience and patient():
            limited += 1
            return False
        return 0 < policy.attempts <= state.attempt_number - limited or left(state) < _MOMENT

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(again),
        wait=lambda state: max(
            0.0, min(_wait(policy, _error(state), state.attempt_number - limited), left(state))
        ),
        stop=is_enough,
        sleep=sleep,
        before_sleep=lambda state: _log_wait(event, state),
        reraise=True,
    )
    return retrying(attempt)


def _log_wait(event: str, state: tenacity.RetryCallState) -> None:
    error = _error(state)
    fields: dict[str, Any] = {"attempt": state.attempt_number}
    if not isinstance(error, Limited):
        fields["wait_s"] = round(state.upcoming_sleep, 3)
    if isinstance(error, RotatorError):
        fields |= {"error": error.message, "status": error.status, "request_id": error.request_id}
    # Who is over a limit waits as a matter of course, and `limit.met` has told it.
    tell = log.debug if isinstance(error, Limited) else log.warning
    tell(event, **{name: value for name, value in fields.items() if value is not None})


def _wait(policy: Policy, error: BaseException | None, attempt: int) -> float:
    ceiling = min(policy.longest_wait, policy.first_wait * 2.0 ** min(attempt - 1, 30))
    jitter = random.uniform(0, ceiling)  # noqa: S311 - jitter needs no cryptography
    if isinstance(error, Limited):
        return 0.0  # the next attempt waits for its turn
    asked = error.retry_after if isinstance(error, Transient) and error.retry_after else 0.0
    # On top of what was asked, a jitter: all who were told the same second should not come back in it.
    return min(asked, policy.longest_retry_after) + jitter


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
