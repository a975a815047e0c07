"""Make the previous key current again, from the secret's version history: within its grace period, or while it is
kept because the gateway refuses the key that took its place.

It is a check-and-set write on top of the version that was looked at. A pass that revokes the previous key must have
written on top of that version, too, so only one of the two can happen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from rotator.errors import RotatorError, Transient
from rotator.passes.account import Account
from rotator.passes.copy import Copied
from rotator.passes.fence import Moved, write_on_top
from rotator.passes.observe import observe, second_look, with_second_look
from rotator.passes.preflight import Preflight
from rotator.passes.result import copies_to_json
from rotator.redaction import Secret
from rotator.rules.bookkeeping import Rotation, read_block, read_plaintext
from rotator.rules.decide import Plan, decide
from rotator.rules.evidence import Proven, Update, to_update
from rotator.rules.facts import Facts
from rotator.rules.model import Key, ManagedKey, Version
from rotator.rules.previews import matches_preview
from rotator.rules.times import format_time, short, time_to_json
from rotator.rules.way_back import outliving, to_put_back

_LOOKS: Final = 100
"""Versions of a secret that are looked at; Vault keeps ten, unless it is told otherwise."""
BY_HAND: Final = (
    "find out why the gateway makes no key; or make one there by hand and put its plaintext at the path, "
    "and the next pass adopts it"
)
"""What is left where programs are refused and no older key can be put back."""

log = structlog.get_logger()


class NotRolledBack(RotatorError):  # noqa: N818
    """It cannot be done, or it is not known whether it was."""


@dataclass(frozen=True)
class RolledBack:
    """What was done or, in a dry run, would be."""

    name: str
    path: str
    dry_run: bool
    current: int
    """The previous key, which is current again."""
    superseded: int
    """The newer one."""
    from_version: int
    """The version of the secret that the plaintext was read from."""
    version: int
    """The version of the secret that was written."""
    due_at: datetime
    revoke_at: datetime | None
    """When the newer key goes; None where it is dead already."""
    now: datetime
    request_id: str | None
    """Of the request that proved the previous key."""
    copies: Copied
    """What became of its copies; none in a dry run. The next pass brings those that it did not reach."""

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator rollback --json`."""
        return {
            "name": self.name,
            "path": self.path,
            "dry_run": self.dry_run,
            "current": self.current,
            "superseded": {"key_id": self.superseded, "revoke_at": time_to_json(self.revoke_at)},
            "from_version": self.from_version,
            "version": self.version,
            "due_at": time_to_json(self.due_at),
            "now": format_time(self.now),
            "request_id": self.request_id,
            "copies": copies_to_json(self.copies),
        }


def roll_back(account: Account, name: str, *, dry_run: bool) -> RolledBack:
    """Put the key back that the current one replaced; the newer one becomes superseded.

    Raises NotRolledBack with the reason where that cannot be done, or where it is not known whether it was.
    """
    seen = observe(account, only=(name,), dry_run=True)
    if error := seen.failed.get(name):
        raise error
    facts = with_second_look(seen.facts[name], partial(second_look, account))
    plan = decide(facts)
    current = _current(facts, plan)
    previous = previous_key(facts, plan)
    found = _find(account, facts, previous)
    plaintext = Secret(read_plaintext(found.data, facts.key.field) or "")
    probe = account.gateway.authenticates(plaintext)
    if not probe.works:
        raise _refused(name, f"key {previous.id} no longer authenticates", request_id=probe.request_id)
    for error in Preflight(account.store, account.timing).refused_paths([facts.key.path]).values():
        raise error
    now, doubt = account.gateway.now(), account.gateway.clock.doubt
    rotation, copies = _swapped(current, previous, now), dict[str, RotatorError | None]()
    if not dry_run:
        _write(account, facts, to_update(facts, rotation, doubt, Proven(plaintext)))
        log.info("rotation.rolled_back", key=name, key_id=previous.id, superseded=current.key_id)
        content = seen.content(facts, rotation, plaintext)
        copies |= seen.copies.bring(content) if content else {}
    newer = facts.listed.get(current.key_id)
    alive = newer is None or newer.live
    return RolledBack(
        name=name,
        path=facts.key.path,
        dry_run=dry_run,
        current=previous.id,
        superseded=current.key_id,
        from_version=found.number,
        version=facts.version.number + 1,
        due_at=facts.key.cadence.due_at(rotation.rotated_at),
        revoke_at=rotation.superseded[current.key_id] + facts.key.grace_period if alive else None,
        now=now,
        request_id=probe.request_id,
        copies=copies,
    )


def previous_key(facts: Facts, plan: Plan) -> Key:
    """Return the live key that was superseded last. Raises NotRolledBack when a pass may be revoking all there are.

    In the last moments of a grace a pass may have begun to revoke the key, for clocks differ. Not so while the
    gateway refuses the current key: no pass that sees this begins, and one that saw it work must still write its
    fence, which either meets our write or says that the key has no grace. The same holds for a key that is kept
    beyond its grace by a freeze or a consumer.
    """
    until = facts.now + facts.timing.in_flight
    fit = {id_: since for id_, since in plan.superseded.items() if since > until - facts.key.grace_period}
    fit |= {other.key_id: other.since for other in outliving(plan.others, until)}
    if kept := to_put_back(plan.others):
        fit[kept.key_id] = kept.since
    if fit:
        return facts.listed[max(fit, key=lambda id_: (fit[id_], id_))]
    why = _too_late(facts, plan.superseded) if plan.superseded else "no key that it replaced is still alive"
    raise _refused(facts.key.name, why, cure=BY_HAND if facts.refused else None)


def _too_late(facts: Facts, superseded: Mapping[int, datetime]) -> str:
    """Say how long the youngest of the older keys lives on, and how long it would have to."""
    id_ = max(superseded, key=lambda id_: (superseded[id_], id_))
    which = f"key {id_} is the youngest older key that is still alive"
    left = facts.lives_until(id_, superseded[id_]) - facts.now
    if left <= timedelta():
        return f"{which}, and its grace is over: a pass may be revoking it now"
    most = short(facts.timing.in_flight)
    return (
        f"{which}, and {short(left)} of its grace are left: a rollback needs more than {most} (in_flight), "
        "because a pass may be about to revoke it"
    )


def _current(facts: Facts, plan: Plan) -> Rotation:
    """The bookkeeping of the key that is to be superseded, as a pass would write it now."""
    if facts.current is None:
        raise _refused(
            facts.key.name,
            "its secret holds no key",
            cure="the next pass makes one; or put an older version of the secret back by hand",
        )
    if plan.bookkeeping is None:
        raise _refused(
            facts.key.name,
            "its secret holds a key that matches no listed key, so the rotator cannot tell what it replaced",
        )
    return plan.bookkeeping


def _find(account: Account, facts: Facts, previous: Key) -> Version:
    """Return the newest version of the secret that holds the previous key. Raises NotRolledBack if none is left."""
    newest = facts.version.number - 1
    for number in range(newest, max(0, newest - _LOOKS), -1):
        version = account.store.read(facts.key.path, number)
        if version.number == 0:
            break  # it was trimmed, and so are those before it
        if _holds(version, facts.key, previous):
            return version
    raise _refused(facts.key.name, f"Vault has no version of its secret that holds key {previous.id}")


def _holds(version: Version, where: ManagedKey, key: Key) -> bool:
    """Whether a version held the key: by its block, where the two were written together; else by its preview."""
    plaintext, block = read_plaintext(version.data, where.field), read_block(version.data, where.bookkeeping)
    if plaintext is None:
        return False
    fits = matches_preview(key, plaintext)
    if block.key_id and block.version == version.number:
        return block.key_id == key.id and fits is not False
    return fits is True or (fits is None and block.key_id == key.id)


def _swapped(current: Rotation, previous: Key, now: datetime) -> Rotation:
    """It begins a whole period anew, else the next pass would rotate it at once."""
    superseded = {id_: since for id_, since in current.superseded.items() if id_ != previous.id}
    superseded[current.key_id] = now
    made_as = current.titles.get(previous.id, previous.title)
    titles = {**current.titles, current.key_id: current.title}
    return Rotation(previous.id, made_as, previous.created_at, now, superseded, titles)


def _write(account: Account, facts: Facts, update: Update) -> None:
    try:
        with account.stopping.committed():
            write_on_top(account, facts.key.path, update, alone=True)
    except Moved:
        raise _refused(
            facts.key.name,
            "its secret was written in the meantime",
            cure="look at the key: `rotator status`; then run this again",
        ) from None
    except Transient as error:
        raise NotRolledBack(
            f"it is not known whether {facts.key.name} was rolled back: {error.message}",
            request_id=error.request_id,
            cure="look at the key before you run this again, because a second rollback undoes "
            "the first: `rotator status`",
        ) from None


def _refused(name: str, why: str, *, cure: str | None = None, request_id: str | None = None) -> NotRolledBack:
    cure = cure or f"to replace the current key instead: `rotator --rotate-now --key {name!r}`"
    return NotRolledBack(f"{name} was not rolled back: {why}", cure=cure, request_id=request_id)
