"""What a person asked for by hand: no later pass knows of it, so whoever asked must ask again. Pure."""

from typing import TypeVar

from rotator.errors import RotatorError
from rotator.rules.decide import Plan
from rotator.rules.model import ManagedKey
from rotator.rules.reasons import Reason

E = TypeVar("E", bound=RotatorError)


def by_hand(name: str, *, without_grace: bool = False) -> str:
    """The command with which a person asks for a rotation."""
    return f"rotator --rotate-now{' --revoke-old-now' if without_grace else ''} --key {name!r}"


def once(name: str) -> str:
    """The command that makes a pass of one managed key."""
    return f"rotator --once --key {name!r}"


def asked_again(error: E, key: ManagedKey, plan: Plan, *, without_grace: bool = False) -> E:
    """Return why it was not rotated; where no pass does what a person asked for, with the command for it.

    What is due, dead or missing the next pass rotates, but not without grace.
    """
    if not plan.because or not (plan.reason is Reason.FORCED or without_grace):
        return error
    return error.again(by_hand(key.name, without_grace=without_grace))
