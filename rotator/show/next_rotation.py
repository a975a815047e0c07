"""When a managed key is rotated next, in words. Pure."""

from datetime import datetime

from rotator.rules.times import until
from rotator.show.key_status import KeyStatus
from rotator.show.severity import Severity


def next_rotation(key: KeyStatus, now: datetime, gateway_now: datetime, *, running: bool) -> str:
    """Say when it is rotated: what a pass could not do is tried again by the next one, whatever its period."""
    if key.frozen_until and key.frozen_until > gateway_now and key.severity < Severity.REFUSED:
        return f"when its freeze ends, {until(key.frozen_until, gateway_now)}"
    if key.opens_at:
        return f"when its window opens, {until(key.opens_at, gateway_now)}"
    late = key.due_at is not None and key.due_at <= gateway_now
    if not (key.unrotated or late):
        return until(key.due_at, gateway_now) if key.due_at else "not known"
    if running:
        return "retrying now" if key.unrotated else "now"
    if key.unrotated:
        return f"retrying {until(key.retry_at, now)}" if key.retry_at else "with the next pass"
    return "with the next pass"
