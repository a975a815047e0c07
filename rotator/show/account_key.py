"""One key of the account in words and in JSON: whose it is, how old, what becomes of it. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from rotator.redaction import words
from rotator.rules.model import ManagedKey
from rotator.rules.owner import NOBODY
from rotator.rules.revocations import Kept, going
from rotator.rules.times import short, time_to_json, until
from rotator.rules.whose import Owned, Whose

_WHOSE: Final = {
    Whose.CURRENT: "the current key of {}",
    Whose.SUPERSEDED: "a superseded key of {}",
    Whose.ORPHAN: "an orphan of {}",
    Whose.POSSIBLE: "it may be what the secret of {} holds",
    Whose.LEFTOVER: "an unmanaged key: this installation made it for a name or path that this config does not "
    "have, or has no record of having asked for it",
    Whose.FOREIGN: "an unmanaged key: another installation made it",
    Whose.UNMANAGED: "an unmanaged key: a person or another program made it",
    Whose.FORMER: "a former key of {}",
}


def key_to_json(owned: Owned, now: datetime) -> dict[str, Any]:
    """An item of `keys` in `rotator keys --json` and in `rotator identify --json`."""
    key, age = owned.key, owned.age(now)
    return {
        "key_id": owned.id,
        "title": words(key.title) if key else None,
        "status": words(key.status) if key else None,
        "live": owned.live,
        "whose": owned.whose,
        "managed": [
            {"name": one.name, "path": one.path, **owned.owners.get(one.name, NOBODY).to_json()}
            for one in owned.managed
        ],
        "bearer": owned.bearer,
        "created_at": time_to_json(key.created_at) if key else None,
        "age_seconds": max(0, int(age.total_seconds())) if age else None,
        "due_at": time_to_json(owned.due_at),
        "revoke_at": time_to_json(owned.fate.goes_at) if owned.fate else None,
        "stays": (owned.fate.stays or None) if owned.fate else None,
        "command": owned.command,
    }


def whose(owned: Owned) -> str:
    """Say whose it is: a sentence's end."""
    names = " and ".join(one.name for one in owned.managed) or "a managed key that this config does not have"
    bearer = "; it is, or may be, the bearer" if owned.bearer else ""
    return _WHOSE[owned.whose].format(names) + bearer


def where(keys: Iterable[ManagedKey]) -> str:
    """Say where the secrets are."""
    return ", ".join(key.path for key in keys)


def in_short(owned: Owned, now: datetime) -> str:
    """Say the same in a cell of a table."""
    if owned.live and owned.whose is Whose.CURRENT and owned.due_at:
        return f"replaced {until(owned.due_at, now)}"
    return "-" if owned.live and not owned.fate else goes(owned, now)


def goes(owned: Owned, now: datetime) -> str:
    """Say when it goes by itself, if it does."""
    if owned.live is False:
        return "it is revoked"
    if owned.whose is Whose.CURRENT and owned.due_at:
        grace = max(key.grace_period for key in owned.managed)
        return f"replaced {until(owned.due_at, now)}, and revoked after a grace of {short(grace)}"
    if owned.fate and owned.fate.kept is Kept.WITHOUT_SUCCESSOR:
        return "kept until a key that works takes its place"
    if owned.fate:
        return going(owned.fate.goes_at, now, stays=owned.fate.stays)
    return "never by itself"
