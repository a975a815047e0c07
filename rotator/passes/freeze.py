"""Freezing a secret, and releasing it, as a person asks: it is written into the secret's custom metadata."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from rotator.clients import retry
from rotator.errors import RotatorError, Transient
from rotator.passes.account import Account
from rotator.rules.freeze import FIELD, Freeze, read_freeze
from rotator.rules.model import ManagedKey
from rotator.rules.times import format_time

log = structlog.get_logger()


class NotFrozen(RotatorError):  # noqa: N818
    """It cannot be done, or it is not known whether it was."""


@dataclass(frozen=True)
class Changed:
    """What stands there now, and what stood there before."""

    key: ManagedKey
    freeze: Freeze | None
    before: Freeze | None
    now: datetime

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator hold --json` and `rotator release --json`."""
        return {
            "name": self.key.name,
            "path": self.key.path,
            "frozen": self.freeze.to_json() if self.freeze else None,
            "before": self.before.to_json() if self.before else None,
            "now": format_time(self.now),
        }


def what_time_is_it(account: Account) -> datetime:
    """Return the gateway's time, by which a freeze ends; this machine's where the gateway does not say.

    Whoever freezes a secret may do so because the gateway is down: it is asked once, and nothing depends on it.
    Of two clocks that contradict each other the later one counts: a freeze that is over too late can be released,
    and one that is over already holds nothing.
    """
    try:
        account.gateway.authenticates(account.bearer.current(), once=True)
    except RotatorError as error:
        log.warning("clock.unasked", error=error.message)
    clock = account.gateway.clock
    if clock.doubt:
        log.warning("clock.doubted", error=clock.doubt)
        return clock.now() + max(clock.skew(), timedelta())
    return clock.now()


def change_freeze(account: Account, key: ManagedKey, value: str | None, now: datetime) -> Changed:
    """Write `value` in place of any freeze of the secret, or remove that; and see that it stands there.

    Raises NotFrozen where there is no secret yet, or where another value stands there then.
    """
    before = _custom(account, key)
    if before.get(FIELD) != value:
        account.store.write_custom(key.path, {FIELD: value})

    def seen() -> Mapping[str, str]:
        custom = _custom(account, key)
        if custom.get(FIELD) != value:
            raise Transient("what was written is not there", ambiguous=False)  # a standby may lag
        return custom

    try:
        after = retry.call(seen, account.policy, event="vault.retry", sleep=account.stopping.sleep)
    except Transient as error:
        raise NotFrozen(
            f"{key.name}: {error.message}: somebody else may have written something else meanwhile",
            cure="look at what stands there: `rotator status`; then run this again",
        ) from None
    log.info("secret.frozen" if value else "secret.released", key=key.name)
    return Changed(key, read_freeze(after), read_freeze(before), now)


def _custom(account: Account, key: ManagedKey) -> Mapping[str, str]:
    custom = account.store.read_custom(key.path)
    if custom is None:
        raise NotFrozen(
            f"{key.name}: there is no secret at {key.path} yet, so there is nothing to freeze or release",
            cure="a pass makes it, whatever is frozen: `rotator --once`; then run this again",
        )
    return custom
