"""The one retry policy: bounded in attempts and in time, full jitter, `Retry-After` honoured and capped.

Which failures may be repeated is not known here; the caller says so with `again`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
import tenacity

from rotator.errors import RotatorError, Transient
from rotator.rules.model import PATIENCE

T = TypeVar("T")
Sleep = Callable[[float], None]

log = structlog.get_logger()


@dataclass(frozen=True)
class Policy:
    """All times in seconds. `attempts` counts the first one; 0 means no bound but `deadline`.

    A 429 counts as none: the server asks for patience, and `deadline` bounds that.
    """

    attempts: int = 6
    deadline: float = PATIENCE.total_seconds()
    first_wait: float = 0.5
    """The upper end of the first wait; it doubles with each attempt."""
    longest_wait: float = 20.0
    longest_retry_after: float = 60.0

    def until(self, deadline: timedelta) -> "Policy":
        """As many attempts as fit into `deadline`, with waits of at most 5 s."""
        return replace(self, attempts=0, deadline=deadline.total_seconds(), longest_wait=5.0)


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
) -> T:
    """Return what `attempt` returns, or raise its last error once the policy is exhausted.

    Each wait is logged as `event`; neither arguments nor results are.
    """

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = _error(state)
        fields: dict[str, Any] = {"attempt": state.attempt_number, "wait_s": round(state.upcoming_sleep, 3)}
        if isinstance(error, RotatorError):
            fields |= {"error": error.message, "status": error.status, "request_id": error.request_id}
        log.warning(event, **{name: value for name, value in fields.items() if value is not None})

    limited = 0

    def is_enough(state: tenacity.RetryCallState) -> bool:
        nonlocal limited
        error = _error(state)
        limited += isinstance(error, RotatorError) and error.status == HTTPStatus.TOO_MANY_REQUESTS
        return 0 < policy.attempts <= state.attempt_number - limited or too_late(state)

    too_late = tenacity.stop_before_delay(policy.deadline)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(again),
        wait=lambda state: _wait(policy, state),
        stop=is_enough,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return retrying(attempt)


def _wait(policy: Policy, state: tenacity.RetryCallState) -> float:
    ceiling = min(policy.longest_wait, policy.first_wait * 2.0 ** min(state.attempt_number - 1, 30))
    jitter = random.uniform(0, ceiling)  # noqa: S311 - jitter needs no cryptography
    error = _error(state)
    asked = error.retry_after if isinstance(error, Transient) and error.retry_after else 0.0
    # On top of what was asked, a jitter: all who were told the same second should not come back in it.
    return min(asked, policy.longest_retry_after) + jitter


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
