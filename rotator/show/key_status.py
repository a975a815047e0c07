"""How each managed key stands: for `rotator status`, the page, its JSON and the metrics.

Pure. Times of keys are the gateway's clock; times of passes are this machine's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.errors import RotatorError
from rotator.passes.result import Action, KeyResult, Outcome
from rotator.rules.freeze import Freeze
from rotator.rules.holds import Hold
from rotator.rules.model import Key
from rotator.rules.owner import NOBODY, Owner
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Victim
from rotator.rules.times import short, time_to_json
from rotator.show.other_keys import OVERDUE_AFTER, OtherKey, others_of
from rotator.show.remedy import Remedy, remedy_of
from rotator.show.severity import KeyState, Severity, Standing, headline, severity_of, trouble_of
from rotator.show.snapshot import PassRecord, Snapshot
from rotator.show.why import Try, why_of

_GONE: Final = {Reason.MISSING, Reason.REVOKED}
"""Why programs are without a key that works."""


@dataclass(frozen=True)
class KeyStatus(Standing):
    """One managed key. What only a read of its secret tells is as of the last pass that could read it."""

    why: str | None
    """The strongest reason, with the last error of a pass where there was one."""
    known: bool
    """Whether a pass could read its secret."""
    key_id: int | None
    rotated_at: datetime | None
    age: timedelta | None
    due_at: datetime | None
    unrotated: bool
    """Whether a pass had a reason to rotate it, and did not; or could not tell."""
    held: bool
    """Whether something of it waits for what a row of a table asks for."""
    opens_at: datetime | None
    """When its window opens, where it waits for that."""
    window: tuple[datetime, datetime] | None
    """The window that is open, or the next one: when it opens and closes. None where nothing waits for one."""
    retry_at: datetime | None
    """When the next pass tries again, on this machine's clock; None where that is not known, or not needed."""
    superseded: tuple[OtherKey, ...]
    orphans: tuple[OtherKey, ...]
    warnings: tuple[str, ...]
    errors: tuple[RotatorError, ...]
    freeze: Freeze | None = None
    """What a person has said of freezing the secret, while that is in force."""
    frozen_until: datetime | None = None
    """When a freeze lets the next rotation go on, where it keeps it."""
    owner: Owner = NOBODY
    """Whose the secret is, as people say."""
    last_try: Try | None = None
    """The last rotation that failed, where the newest pass tried none; None where a key has been made since."""
    remedy: Remedy | None = None
    """What a person can do at once, where programs are refused."""
    untold: tuple[str, ...] = ()
    """The consumers that are still owed to be told which key is current."""
    copies: Mapping[str, bool] = field(default_factory=dict)
    """By consumer that reads a copy, as of the last look: whether that holds the current key."""
    unrevoked: bool = False
    """Whether all that went wrong is a revocation: the current key is as it should be."""

    @property
    def word(self) -> str:
        """How it is; a failed revocation is not a failed key."""
        late = self.state is KeyState.FAILED and self.severity is Severity.LATE
        return "revocation failed" if late and self.unrevoked else super().word

    @property
    def next_at(self) -> datetime | None:
        """When it is rotated next, if nothing goes wrong: when it is due and a freeze and its window let it."""
        return self.frozen_until or self.opens_at or self.due_at

    @property
    def age_of_period(self) -> str | None:
        """`2d 3h of 7d`; the period is from one rotation to the next."""
        if self.age is None:
            return None
        period = f" of {short(self.due_at - self.rotated_at)}" if self.due_at and self.rotated_at else ""
        return short(self.age) + period

    @property
    def others(self) -> tuple[OtherKey, ...]:
        """Every live key beside the current one: the orphans, then the superseded ones."""
        return *self.orphans, *self.superseded

    @property
    def overdue(self) -> int:
        """Revocations that are overdue."""
        return sum(other.overdue for other in self.others)

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The consumers that keep a superseded key alive."""
        return tuple(dict.fromkeys(name for other in self.superseded for name in other.unconfirmed))

    def to_json(self) -> dict[str, Any]:
        """An item of `keys` in `rotator status --json` and in `/status.json`."""
        last = self.last_try
        return {
            "name": self.name,
            "path": self.path,
            "state": self.state,
            "severity": self.severity.word,
            "why": self.why,
            "key_id": self.key_id,
            "rotated_at": time_to_json(self.rotated_at),
            "age_seconds": int(self.age.total_seconds()) if self.age is not None else None,
            "due_at": time_to_json(self.due_at),
            "behind": [name for name, holds in self.copies.items() if not holds],
            "untold": list(self.untold),
            "frozen": self.freeze.to_json() if self.freeze else None,
            **self.owner.to_json(),
            "retry_at": time_to_json(self.retry_at),
            "superseded": [other.to_json() for other in self.superseded],
            "orphans": [other.to_json() for other in self.orphans],
            "warnings": list(self.warnings),
            "errors": [error.to_json() for error in self.errors],
            "last_error": {"at": time_to_json(last.at), **last.error.to_json()} if last else None,
        }


def key_statuses(snapshot: Snapshot) -> tuple[KeyStatus, ...]:
    """Return how each managed key of the newest result stands, in the order of the config."""
    if snapshot.latest is None:
        return ()
    seen: dict[str, tuple[KeyResult, datetime]] = {}
    tries: dict[str, Try | None] = {}
    for record in reversed(snapshot.passes):
        for key in record.result.keys if record.result else ():
            tries[key.key.name] = _last_try(key, record, tries.get(key.key.name))
            if key.plan and record.result:
                seen[key.key.name] = key, record.result.now
    now = snapshot.gateway_now

    def status(key: KeyResult) -> KeyStatus:
        looked, at = seen.get(key.key.name, (key, now))
        return _status(key, looked, at, now, tries[key.key.name], snapshot)

    return tuple(status(key) for key in snapshot.latest.keys)


def key_status(seen: KeyResult, now: datetime) -> KeyStatus:
    """Return how one managed key stands that was looked at `now`."""
    return _status(seen, seen, now, now)


def foreign_keys(snapshot: Snapshot) -> tuple[Key, ...]:
    """Return the unmanaged keys with titles of our convention, as last seen."""
    return snapshot.latest.foreign if snapshot.latest else ()


def by_severity(keys: Iterable[KeyStatus]) -> list[KeyStatus]:
    """Return the keys with the worst first; those that are as bad as each other stay in order."""
    return sorted(keys, key=lambda key: (-key.severity, list(KeyState).index(key.state)))


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot for programs. Titles are left out: what a person wrote there is not known to be fit to show."""
    refused = snapshot.passes[0].refused if snapshot.passes else None
    keys = key_statuses(snapshot)
    worst = headline(keys, trouble_of(snapshot))
    return {
        "severity": worst.severity.word,
        "headline": worst.text,
        "about": snapshot.about.to_json(snapshot.installation),
        "now": time_to_json(snapshot.now),
        "gateway_now": time_to_json(snapshot.gateway_now),
        "started": time_to_json(snapshot.started),
        "alive": snapshot.alive,
        "overdue": snapshot.overdue,
        "ready": snapshot.ready,
        "why_not_ready": snapshot.why_not_ready,
        "next_pass": time_to_json(snapshot.next_pass),
        "reload_failed": snapshot.reload_failed,
        "error": refused.to_json() if refused else None,
        "keys": [status.to_json() for status in keys],
        "foreign": [key.id for key in foreign_keys(snapshot)],
        "passes": [_pass_to_json(record) for record in snapshot.passes],
    }


def _last_try(key: KeyResult, record: PassRecord, before: Try | None) -> Try | None:
    """What a pass leaves of the failures before it: a new one, the old one, or none."""
    if key.outcome is Outcome.FAILED and key.failures:
        return Try(record.ended, key.failures[-1])
    return before if key.plan is None or key.unrotated else None


def _status(
    latest: KeyResult,
    seen: KeyResult,
    seen_at: datetime,
    now: datetime,
    last: Try | None = None,
    snapshot: Snapshot | None = None,
) -> KeyStatus:
    rotated_at, due_at = seen.rotated_at, seen.due_at
    others = others_of(seen, seen_at)
    freeze, frozen_until = _frozen(seen, due_at, now)
    thawed_at = seen.plan.thawed_at if seen.plan else None
    state = _state(latest, seen, frozen_until or thawed_at or due_at, now, last)
    dangers = seen.plan.dangers if seen.plan else ()
    unrotated = seen.unrotated or latest.plan is None
    earlier = last if last and not latest.failures else None
    return KeyStatus(
        name=latest.key.name,
        path=latest.key.path,
        state=state,
        severity=severity_of(
            state,
            endangered=bool(dangers) and not (seen.rotation and seen.plan and seen.plan.rotates),
            late=bool(latest.errors) or any(other.overdue for other in others),
            warned=bool(latest.warnings),
        ),
        why=why_of(latest, seen, state, earlier, snapshot.now if snapshot else now)
        or (freeze.say(now) if freeze else None),
        known=seen.plan is not None,
        key_id=seen.key_id,
        rotated_at=rotated_at,
        age=max(timedelta(), now - rotated_at) if rotated_at else None,
        due_at=due_at,
        unrotated=unrotated,
        held=latest.held,
        opens_at=_opens_at(seen, now),
        window=_window(seen, now),
        retry_at=snapshot.next_pass if snapshot and unrotated else None,
        superseded=tuple(other for other in others if other.kind is Victim.SUPERSEDED),
        orphans=tuple(other for other in others if other.kind is Victim.ORPHAN),
        warnings=latest.warnings,
        errors=latest.errors,
        freeze=freeze,
        frozen_until=frozen_until,
        owner=seen.plan.owner if seen.plan else NOBODY,
        last_try=earlier,
        remedy=_remedy(seen, state, now),
        untold=seen.untold,
        copies={name: error is None for name, error in seen.copies.items()},
        unrevoked=bool(latest.failures) and latest.outcome is not Outcome.FAILED and not last,
    )


def _remedy(seen: KeyResult, state: KeyState, now: datetime) -> Remedy | None:
    if seen.plan is None or state not in (KeyState.REVOKED, KeyState.MISSING):
        return None
    return remedy_of(seen.key.name, seen.plan.reason, seen.key_id, seen.others, now)


def _frozen(seen: KeyResult, due_at: datetime | None, now: datetime) -> tuple[Freeze | None, datetime | None]:
    """The freeze that is in force, and when it lets the next rotation go on, if it keeps that."""
    plan = seen.plan
    if plan is None or plan.freeze is None:
        return None, None
    ends = plan.frozen_until
    later = ends is not None and (due_at is None or ends > due_at)
    return plan.freeze if plan.freeze.in_force(now) else None, ends if later else None


def _state(
    key: KeyResult, seen: KeyResult, due_at: datetime | None, now: datetime, last: Try | None
) -> KeyState:
    # First what programs feel: that a pass has tried and failed makes no dead key a better one.
    if seen.plan and seen.plan.reason in _GONE and seen.unrotated and key.outcome is not Outcome.YIELDED:
        return KeyState(seen.plan.reason)
    if key.failures or key.outcome is Outcome.FAILED:
        return KeyState.FAILED
    if key.outcome in (Outcome.STOPPED, Outcome.NOT_REACHED):
        return KeyState(key.outcome)
    if key.plan is None or key.outcome is Outcome.YIELDED:
        return KeyState.UNKNOWN
    if last:  # the pass after it may only wait until the next try
        return KeyState.FAILED
    if due_at is not None and due_at + OVERDUE_AFTER <= now:
        return KeyState.OVERDUE
    if key.held:
        return KeyState.HELD
    planned = key.outcome is Outcome.PLANNED and key.action is Action.ROTATE
    return KeyState.DUE if planned or (due_at is not None and due_at <= now) else KeyState.OK


def _opens_at(seen: KeyResult, now: datetime) -> datetime | None:
    waits = seen.plan and seen.plan.hold is Hold.OUTSIDE_WINDOW
    return seen.key.cadence.due_at(now) if waits else None


def _window(seen: KeyResult, now: datetime) -> tuple[datetime, datetime] | None:
    """When it is or will be due within its window. What is dead or missing is replaced without one."""
    cadence, due_at = seen.key.cadence, seen.due_at
    if cadence.window is None or seen.plan is None or seen.plan.reason in _GONE:
        return None
    if due_at is not None and due_at > now:
        return due_at, due_at + cadence.window
    if ends := cadence.window_ends(now):
        return ends - cadence.window, ends
    opens_at = cadence.due_at(now)
    return opens_at, opens_at + cadence.window


def _pass_to_json(record: PassRecord) -> dict[str, Any]:
    result, refused = record.result, record.refused
    return {
        "run_id": record.run_id,
        "began": time_to_json(record.began),
        "ended": time_to_json(record.ended),
        "converged": record.converged,
        "rotated": result.rotated if result else 0,
        "revoked": result.revoked if result else 0,
        "failed": result.failed if result else 0,
        "error": refused.to_json() if refused else None,
    }
