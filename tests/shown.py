"""Snapshots to be shown: of a world's passes, and of many managed keys in every state."""

from dataclasses import replace
from datetime import datetime, timedelta

from rotator.errors import Rejected, RotatorError
from rotator.passes.result import KeyResult, Outcome, PassResult
from rotator.rules.decide import decide
from rotator.rules.history import Trace
from rotator.rules.revocations import Revocation, Victim
from rotator.show.snapshot import PassRecord, Snapshot
from tests.facts import at, block, facts, key, managed, secret

REFUSED = Rejected(
    "POST /keys: 400 (invalid_request: Invalid request)",
    request_id="req_01KAN2W3J5B7C9D1F3G5H7K9M1",
    cure="ask the gateway's support, and name the request_id",
)


def passed(result: PassResult | None, began: datetime, error: RotatorError | None = None) -> PassRecord:
    return PassRecord(result.run_id if result else "", began, began + timedelta(seconds=2), result, error)


def snapshot(*passes: PassRecord, now: datetime | None = None, **others: object) -> Snapshot:
    """A healthy one; `passes` newest first."""
    now = now or passes[0].ended
    usual = Snapshot(
        started=now - timedelta(days=12),
        now=now,
        alive=True,
        running_since=None,
        passes=passes,
        next_pass=now + timedelta(minutes=9),
    )
    return replace(usual, **others)  # type: ignore[arg-type]


def one(
    number: int,
    *,
    name: str | None = None,
    age: float = 1,
    superseded: dict[int, float] | None = None,
    orphan: float | None = None,
    outcome: Outcome = Outcome.DONE,
    errors: tuple[RotatorError, ...] = (),
    revoked: tuple[int, ...] = (),
    now: datetime | None = None,
) -> KeyResult:
    """A managed key whose current key is `number`. Ages are in days before `now`, which is at(30)."""
    now = now or at(30)
    rotated = now - timedelta(days=age)
    others = {id_: now - timedelta(days=days) for id_, days in (superseded or {}).items()}
    listed = [
        key(number, created=rotated),
        *(key(id_, created=since - timedelta(days=7)) for id_, since in others.items()),
    ]
    traces = {}
    if orphan is not None:
        listed.append(key(number + 5000, created=now - timedelta(days=orphan)))
        traces[number + 5000] = Trace.ORPHAN
    entry = replace(managed(), name=name or f"Service {number:03}", path=f"apimall/service-{number:03}")
    seen = facts(
        listed,
        secret(block(number, rotated=rotated, superseded=others)),
        now=now,
        managed_key=entry,
        traces=traces,
    )
    done = tuple(Revocation(id_, Victim.SUPERSEDED, now) for id_ in revoked)
    return replace(KeyResult.of(entry, outcome, decide(seen)), revoked=done, errors=errors)


def together(*keys: KeyResult, now: datetime | None = None, run_id: str = "0123456789ab") -> PassResult:
    return PassResult(run_id, False, "3f9a2c", now or at(30), keys, ())


def of_each_state(count: int) -> Snapshot:
    """`count` managed keys: most are well, the others show everything that can be seen."""
    keys = [one(n, age=n * 7 / count * 0.95) for n in range(1, count + 1)]
    special = [
        one(1, name="Production backend", age=1.2, superseded={7001: 0.4, 7002: 0.8}),
        one(2, name="Reporting", age=7.2, errors=(REFUSED,), outcome=Outcome.FAILED),
        one(3, name="Mobile clients (legacy-api)/eu", age=7.02, orphan=0.001),
        one(4, name="Batch", age=3, superseded={7003: 1.3}, errors=(REFUSED,)),
        one(5, name="Search", age=0.01, superseded={7004 + n: 0.05 + n / 8 for n in range(7)}),
        KeyResult(replace(managed(), name="Mail", path="apimall/mail"), Outcome.STOPPED),
        replace(one(7, name="Billing"), outcome=Outcome.YIELDED),
        one(8, name="Archive", age=6.9999),
    ]
    keys[: len(special)] = special[:count]
    result = together(*keys)
    quiet = together(*(one(n) for n in range(10, 10 + count)))
    passes = [
        passed(result, at(30)),
        passed(quiet, at(30, minutes=-10)),
        passed(
            None, at(30, minutes=-20), Rejected("Vault answers 403", cure="renew the token, or log in again")
        ),
        *(passed(quiet, at(30, minutes=-10 * n)) for n in range(3, 20)),
    ]
    return snapshot(*passes, now=at(30, minutes=4))
