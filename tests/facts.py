"""Builders of observed facts. Times are days after DAY, on the gateway's clock."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.bookkeeping import Rotation
from rotator.decide import Facts, suspects
from rotator.history import Trace
from rotator.identify import identify
from rotator.model import Cadence, Key, ManagedKey, Period, Timing, Version
from rotator.previews import Previews
from rotator.titles import new_nonce

DAY = datetime(2026, 11, 1, tzinfo=UTC)
PATH = "apimall/backend"
TIMING = Timing(
    in_flight=timedelta(minutes=2),
    orphan_after=timedelta(minutes=15),
    verify_deadline=timedelta(seconds=60),
    store_deadline=timedelta(minutes=5),
)


def at(days: float = 0, *, minutes: float = 0) -> datetime:
    return DAY + timedelta(days=days, minutes=minutes)


def plaintext(id_: int) -> str:
    return f"sk-{id_:04d}{'0' * 40}{id_:04d}"


def key(id_: int, *, created: datetime = DAY, ours: bool = True, status: str = "created") -> Key:
    """A listed key; one of ours says that it was to become version `id_`."""
    title = f"Backend [2026-11-01T00:00:00Z 3f9a2c-{new_nonce(PATH, id_, 0)}]" if ours else "Made by hand"
    value = plaintext(id_)
    return Key(id_, title, status, created, f"{value[:7]}...{value[-4:]}")


def managed(
    cadence: Cadence | None = None, *, grace: timedelta = timedelta(days=1), revoke_adopted: bool = False
) -> ManagedKey:
    cadence = cadence or Period(timedelta(days=7))
    return ManagedKey("Backend", PATH, "api_key", cadence, grace, revoke_adopted)


def block(id_: int, *, rotated: datetime = DAY, superseded: Mapping[int, datetime] | None = None) -> Rotation:
    return Rotation(id_, f"key {id_}", rotated, rotated, superseded or {})


def secret(rotation: Rotation, **others: Any) -> dict[str, Any]:
    return rotation.merged_into({**others, "api_key": plaintext(rotation.key_id)}, 1)


def facts(
    listed: Iterable[Key] = (),
    data: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    managed_key: ManagedKey | None = None,
    version: int | None = None,
    traces: Mapping[int, Trace] | None = None,
    refused: bool = False,
    protected: Iterable[int] = (),
    forced: bool = False,
) -> Facts:
    """Facts as they would be gathered; what history says of the suspects must be given, if there are any."""
    by_id = {key.id: key for key in listed}
    latest = Version((1 if data else 0) if version is None else version, data)
    family = tuple(key for key in by_id.values() if key.live and key.title.startswith("Backend ["))
    current = identify(latest, "api_key", by_id, Previews(by_id.values()), now)
    traces = traces or {}
    assert {suspect.id for suspect in suspects(current, family)} == set(traces)
    return Facts(
        key=managed_key or managed(),
        timing=TIMING,
        now=now,
        version=latest,
        listed=by_id,
        family=family,
        current=current,
        refused=refused,
        traces=traces,
        protected=frozenset(protected),
        forced=forced,
    )
