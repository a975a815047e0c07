"""Why a managed key is as it is: the strongest reason, with the last error of a rotation that was tried. Pure."""

from dataclasses import dataclass
from datetime import datetime

from rotator.errors import RotatorError
from rotator.passes.result import KeyResult, Outcome
from rotator.rules.reasons import Reason
from rotator.rules.times import short
from rotator.show.severity import KeyState


@dataclass(frozen=True)
class Try:
    """A rotation that was tried in vain, and has not been made good since."""

    at: datetime
    """On this machine's clock."""
    error: RotatorError


def why_of(key: KeyResult, seen: KeyResult, state: KeyState, last: Try | None, now: datetime) -> str | None:
    """Say why in one line; None where there is nothing to say.

    `seen`: the last result whose secret could be read. `last`: the error of an earlier pass; what holds the key
    back since is the lesser reason, and is left out.
    """
    plan, last_try = seen.plan, tried(last, now)
    if plan and plan.because and state in (KeyState.REVOKED, KeyState.MISSING):
        feel = "are refused" if state is KeyState.REVOKED else "find no key"
        held = f"; held: {plan.held.text}" if plan.held and not last_try else ""
        return f"programs that read {key.key.path} {feel}: {plan.because.text}{last_try}{held}"
    if key.plan and key.plan.held:
        held = "" if last_try else f", but held: {key.plan.held.text}"
        return f"{key.plan.reason}{held}{last_try}"
    if key.outcome is Outcome.YIELDED:
        return "another rotator was first; the next pass sees its key"
    if state is KeyState.STOPPED:
        return "stopped before it was begun; the next pass does it"
    if state is KeyState.NOT_REACHED:
        return "pass_deadline was over before it had its turn; the next pass begins with it"
    if key.plan and key.plan.reason:
        done = key.outcome is Outcome.DONE
        told = f"rotated: {meaning(key.plan.reason)}" if done else f"to be rotated: {key.plan.reason}"
        return told + last_try
    return last_try.removeprefix("; ") or None


def meaning(reason: Reason) -> str:
    """Say why a key was replaced: of the new one, nobody must think that it is revoked."""
    return "the old key was revoked" if reason is Reason.REVOKED else reason


def tried(last: Try | None, now: datetime) -> str:
    """Say when the last try failed, and how."""
    if last is None:
        return ""
    request = f" (request_id {last.error.request_id})" if last.error.request_id else ""
    return f"; the last try, {short(now - last.at)} ago, failed: {last.error.message}{request}"
