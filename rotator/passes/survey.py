"""How everything stands, and what the next pass would do: observe and decide, and nothing more.

It needs only to read: the Vault token's other capabilities are not asked for.
"""

from dataclasses import dataclass
from datetime import datetime

from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.observe import Observation, observe
from rotator.passes.result import KeyResult, Outcome, planned
from rotator.rules.decide import decide
from rotator.rules.model import Key, ManagedKey


@dataclass(frozen=True)
class Survey:
    """One look at an account."""

    installation: str | None
    """None before the first pass."""
    now: datetime
    """The gateway's clock."""
    keys: tuple[KeyResult, ...]
    """Each managed key with what is planned for it, or with the error of reading its secret."""
    foreign: tuple[Key, ...]
    """Live keys with titles of our convention, of another installation."""
    leftovers: tuple[Key, ...]
    """Live keys of this installation, made for a name or a path that the config no longer has."""
    unmanaged: tuple[Key, ...]
    """Live keys that nobody manages."""
    bearers: frozenset[int]
    """Those of the account's keys that may be the bearer."""


def survey(account: Account, *, only: frozenset[str] = frozenset()) -> Survey:
    """Look at the account; `only` names the managed keys to tell of, empty means all.

    Raises what kept it from observing.
    """
    account.bearer.forget()
    seen = observe(account, dry_run=True)
    leftovers = {key.id for key in seen.foreign if _is_leftover(account, seen, key)}
    return Survey(
        installation=seen.installation,
        now=seen.now,
        keys=tuple(_result(seen, key) for key in account.keys if not only or key.name in only),
        foreign=tuple(key for key in seen.foreign if key.id not in leftovers),
        leftovers=tuple(key for key in seen.foreign if key.id in leftovers),
        unmanaged=seen.unmanaged,
        bearers=seen.bearers,
    )


def _result(seen: Observation, key: ManagedKey) -> KeyResult:
    facts = seen.facts[key.name]
    if isinstance(facts, RotatorError):
        return KeyResult(key, Outcome.FAILED, errors=(facts,))
    return planned(facts, decide(facts))


def _is_leftover(account: Account, seen: Observation, key: Key) -> bool:
    title = account.titles.parse(key.title)
    return title is not None and title.installation == seen.installation
