"""When a superseded key goes is computed once: whatever shows it shows the same moment."""

from datetime import timedelta

import pytest

from rotator.passes.observe import look, observe
from rotator.passes.result import PassResult
from rotator.rules.decide import decide
from rotator.rules.times import format_time, parse_time
from rotator.sandbox import faults
from rotator.service.notices import Told, after_pass
from rotator.service.web.finding import Query
from rotator.service.web.page import Page
from rotator.show.exposed import exposed_by
from rotator.show.incident import contained
from rotator.show.key_status import to_json
from rotator.show.snapshot import Snapshot
from rotator.show.status import AccountStatus
from tests.shown import passed, snapshot
from tests.world import World


def in_pass(result: PassResult, id_: int) -> str | None:
    (key,) = result.to_json()["keys"]
    (found,) = [one["revoke_at"] for one in key["superseded"] if one["key_id"] == id_]
    return str(found) if found else None


def in_status(world: World, id_: int) -> str | None:
    with world.account() as account:
        (key,) = AccountStatus.of(*look(account)).to_json()["keys"]
    (found,) = [one["revoke_at"] for one in key["superseded"] if one["key_id"] == id_]
    return str(found) if found else None


def on_page(result: PassResult, id_: int) -> str | None:
    seen: Snapshot = snapshot(passed(result, result.now), now=result.now)
    (key,) = to_json(seen)["keys"]
    (found,) = [one["revoke_at"] for one in key["superseded"] if one["key_id"] == id_]
    shown = Page().render(seen, Query())
    undated = "goes with the next pass", "its revocation has begun"
    assert any(words in shown for words in ([f"{parse_time(found):%Y-%m-%d %H:%M}"] if found else undated))
    return str(found) if found else None


@pytest.mark.parametrize("without_grace", [False, True])
def test_pass_status_page_notice_and_incident_agree(world: World, without_grace: bool) -> None:
    old = world.one().key_id
    assert old
    world.advance(7)
    with world.account() as account:
        facts = observe(account, dry_run=True).facts["Backend"]
        exposed = exposed_by(facts, decide(facts), is_bearer=False)
    world.server.faults.add(faults.Fault("DELETE /keys/*", faults.Status(500), times=faults.ALWAYS))
    result = world.make_pass(forced=True, without_grace=without_grace)
    rotated_at = result.keys[0].rotated_at
    assert rotated_at
    # Of what has no grace the secret does not say when that was ended.
    at = None if without_grace else format_time(rotated_at + timedelta(days=1))
    later = world.make_pass()
    for told in (result, later):
        assert in_pass(told, old) == at
        assert on_page(told, old) == at
    assert in_status(world, old) == at
    events, _ = after_pass(result, Told())
    (succeeded,) = [event.notice for event in events if event.notice.type == "rotation.succeeded"]
    assert succeeded.data["superseded"] == [
        {"key_id": old, "revoke_at": at, "stays": None, "unconfirmed": []}
    ]
    assert contained(exposed, [result], set()).in_grace is not without_grace
