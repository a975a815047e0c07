"""Builders of observed facts. Times are days after DAY, on the gateway's clock."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from rotator.rules.bookkeeping import Rotation, read_block
from rotator.rules.cadence import Cadence, CronSchedule, Period
from rotator.rules.current import current_of
from rotator.rules.facts import Facts
from rotator.rules.history import Trace, suspects
from rotator.rules.model import Key, ManagedKey, Timing, Version
from rotator.rules.previews import Previews


def new_nonce(path: str, version: int, attempt: int) -> str:
    """As version 0.1.0 made them: a digest of the path, the version that the key is to become, the attempt."""
    digest = hashlib.blake2b(path.encode(), digest_size=2).hexdigest()[1:]
    return f"{digest}{version % 0x10000:04x}{attempt % 16:x}"


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
    return Rotation(id_, key(id_).title, rotated, rotated, superseded or {})


def as_written(data: Mapping[str, Any]) -> Rotation | None:
    """The block as it was written; None when anything of it makes no sense, or is not dated."""
    read = read_block(data)
    if read.faults or read.key_id is None or read.created_at is None or read.rotated_at is None:
        return None
    superseded = {id_: at for id_, at in read.superseded.items() if at}
    whole = superseded.keys() == read.superseded.keys()
    return Rotation(read.key_id, read.title, read.created_at, read.rotated_at, superseded) if whole else None


def secret(rotation: Rotation, **others: Any) -> dict[str, Any]:
    return rotation.merged_into({**others, "api_key": plaintext(rotation.key_id)}, 1)


def facts(
    listed: Iterable[Key] = (),
    data: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    managed_key: ManagedKey | None = None,
    version: int | None = None,
    traces: Mapping[int, Trace] | Callable[[Key], Trace] | None = None,
    refused: bool = False,
    protected: Iterable[int] = (),
    forced: bool = False,
    custom: Mapping[str, str] | None = None,
) -> Facts:
    """Facts as they would be gathered; what history says of the suspects must be given, if there are any."""
    by_id = {key.id: key for key in listed}
    number = (1 if data else 0) if version is None else version
    latest = Version(number, data, custom=custom or {})
    family = tuple(key for key in by_id.values() if key.live and key.title.startswith("Backend ["))
    current = current_of(latest, managed(), by_id, Previews(by_id.values()), now)
    unnamed = suspects(current, family)
    traces = {suspect.id: traces(suspect) for suspect in unnamed} if callable(traces) else traces or {}
    assert {suspect.id for suspect in unnamed} == set(traces)
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
        protected=dict.fromkeys(protected, "it is the bearer"),
        forced=forced,
    )


_AGES = [
    timedelta(minutes=m)
    for m in (0, 1.9, 2, 14, 15, 600, 1439, 1440, 4000, 10_079, 10_080, 20_000, -1, -(9**6))
]
_CADENCES: list[Cadence] = [
    Period(timedelta(days=7)),
    Period(timedelta(days=7), timedelta(hours=4)),
    CronSchedule("0 3 * * SUN"),
    CronSchedule("0 3 * * SUN", window=timedelta(hours=2)),
    CronSchedule("0 0 * * *", window=timedelta(hours=23)),
]


_ENDS = [
    "2026-11-02",
    "2027-02-15T12:00:00+01:00",
    "2027-03-01T00:00:00Z",
    "2099-01-01",
    "tomorrow",
    "2027-01-01T10:00",
]
_CUSTOM: st.SearchStrategy[Mapping[str, str]] = st.just({}) | st.sampled_from(_ENDS).map(
    lambda end: {"rotator-hold": f"{end} a sale"}
)


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    """What could be observed, and some of what could not."""
    now = at(100, minutes=draw(st.integers(0, 10_080)))
    ages, some = st.sampled_from(_AGES), st.sampled_from([0, 1, 2, 3, 4, 13, 26])
    listed = [
        key(
            id_,
            created=now - draw(ages),
            ours=draw(st.integers(0, 3)) > 0,
            status=draw(st.sampled_from(["created", "active", "revoked"])),
        )
        for id_ in range(10, 10 + draw(some))
    ]
    ids = [9, *(one.id for one in listed)]
    a_block = block(
        draw(st.sampled_from(ids)),
        rotated=now - draw(ages),
        superseded={id_: now - draw(ages) for id_ in ids if draw(st.booleans())},
    )
    superseded = {id_: since for id_, since in a_block.superseded.items() if id_ != a_block.key_id}
    whole = secret(replace(a_block, superseded=superseded))
    data = draw(
        st.sampled_from(
            [whole, whole, None, {"endpoint": "x"}, {**whole, "api_key": ""}, {**whole, "rotation": 7}]
        )
        | st.sampled_from(ids).map(lambda id_: {**whole, "api_key": plaintext(id_)})
        | st.sampled_from(ids).map(lambda id_: {"api_key": plaintext(id_)})
    )
    return facts(
        listed,
        data,
        now=now,
        managed_key=managed(draw(st.sampled_from(_CADENCES)), revoke_adopted=draw(st.booleans())),
        traces=lambda _suspect: draw(st.sampled_from([Trace.PUBLISHED, Trace.ORPHAN])),
        refused=draw(st.booleans()) and bool((data or {}).get("api_key")),
        protected=[id_ for id_ in ids if draw(st.integers(0, 4)) == 0],
        forced=draw(st.booleans()),
        custom=draw(_CUSTOM),
    )
