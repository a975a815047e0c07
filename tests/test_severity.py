"""One order of severity: whatever shows a managed key goes by it. Pure, but for one story with a gateway."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

import pytest

from rotator.errors import HeldBack
from rotator.passes.result import KeyResult, Outcome
from rotator.redaction import redact
from rotator.rules.decide import decide
from rotator.rules.holds import Hold
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.service.metrics import Metrics
from rotator.service.web.app import App
from rotator.service.web.finding import Query
from rotator.service.web.page import Page
from rotator.show.key_status import key_status, key_statuses
from rotator.show.severity import KeyState, Severity, headline, severity_of
from rotator.show.snapshot import PassRecord, Snapshot
from tests.facts import at, block, facts, key, managed, secret
from tests.shown import REFUSED, one, passed, snapshot, together
from tests.world import World

NEXT = timedelta(seconds=21)


def of(name: str, **seen: object) -> KeyResult:
    """A managed key of which a pass knew what it had to do, and did not do it."""
    entry = replace(managed(), name=name, path=f"apimall/{name.lower()}")
    data = secret(block(1, rotated=at(29)))
    usual: dict[str, object] = {"listed": [key(1, created=at(29))], "data": data, **seen}
    known = facts(usual.pop("listed"), usual.pop("data"), now=at(30), managed_key=entry, **usual)  # type: ignore[arg-type]
    return KeyResult.of(entry, Outcome.DONE, decide(known))


def failed(result: KeyResult) -> KeyResult:
    return replace(result, outcome=Outcome.FAILED, errors=(REFUSED,))


REVOKED = of("Revoked", refused=True)
MISSING = of("Missing", listed=[], data=None)
IN_DANGER = of("Danger", listed=[key(1, created=at(29), status="revoked")])
SPACED = of("Spaced", listed=[], data={"api_key": " sk-0123456789abcdef0123456789abcdef\n"})
EACH = {
    "refused": (failed(REVOKED), Severity.REFUSED, "refused"),
    "no key": (failed(MISSING), Severity.REFUSED, "missing"),
    "in danger": (IN_DANGER, Severity.DANGER, "in danger"),
    "white space": (SPACED, Severity.DANGER, None),
    "failed": (
        one(3, name="Failed", age=7, errors=(REFUSED,), outcome=Outcome.FAILED),
        Severity.LATE,
        "failed",
    ),
    "unread": (KeyResult(managed(), Outcome.FAILED, errors=(REFUSED,)), Severity.LATE, "failed"),
    "late": (one(4, name="Late", superseded={9: 1.5}), Severity.LATE, "late"),
    "for a person": (
        replace(one(5, age=7, orphan=0.001), errors=(HeldBack("held: x", cure="y"),)),
        Severity.LATE,
        "late",
    ),
    "held": (one(6, name="Held", age=7, orphan=0.001), Severity.HELD, "held"),
    "yielded": (one(7, outcome=Outcome.YIELDED), Severity.NOTE, "unknown"),
    "well": (one(8, name="Well"), Severity.WELL, "ok"),
}


def looked_at(*results: KeyResult, **others: object) -> Snapshot:
    seen = snapshot(passed(together(*results), at(30)), now=at(30) + timedelta(seconds=5))
    return replace(seen, next_pass=seen.now + NEXT, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(("result", "severity", "word"), EACH.values(), ids=EACH)
def test_each_severity(result: KeyResult, severity: Severity, word: str | None) -> None:
    found = key_status(result, at(30))
    assert found.severity is severity
    assert word in (found.word, None)


@pytest.mark.parametrize(("result", "severity", "word"), EACH.values(), ids=EACH)
def test_all_that_is_shown_goes_by_it(result: KeyResult, severity: Severity, word: str | None) -> None:
    """Beside a key that is well, and comes first in the config."""
    seen = looked_at(one(99, name="AAA"), result)
    html = Page().render(seen, Query())
    alarms = severity >= Severity.LATE
    assert ("<title>! " in html) is alarms
    assert ('<section class="banner is-' in html) is alarms
    assert f'<span class="state is-{severity.word}">' in html.partition("</header>")[0]
    names = html.partition("<table")[2]
    assert (names.index("AAA") > names.index(result.key.name)) is (severity > Severity.WELL)
    metrics = Metrics()
    metrics.follow(lambda: seen)
    told = metrics.exposition().decode()
    assert f'rotator_key_severity{{key="{result.key.name}"}} {float(severity)}' in told
    ready = asked(seen, "/readyz")
    assert ready.startswith("ready")
    assert (ready == "ready\n") is not alarms


def asked(seen: Snapshot, path: str) -> str:
    """Return the text that is answered, without a server."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": ""}
    (content,) = App(lambda: seen, lambda: b"")(environ, lambda *_: None)
    return bytes(content).decode()


def test_each_has_an_icon_of_its_own() -> None:
    icons = {
        Page().render(looked_at(result), Query()).split('rel="icon" href="')[1].split('"')[0]
        for result, *_ in EACH.values()
    }
    assert len(icons) == len(Severity)
    assert all(unquote(icon).startswith("data:image/svg+xml,<svg") for icon in icons)


def test_the_worst_of_several_is_what_is_said() -> None:
    keys = [key_status(result, at(30)) for result, *_ in EACH.values()]
    worst = headline(keys)
    assert worst.text == "programs are refused now: apimall/revoked, apimall/missing"
    assert worst.short == "1 refused, 1 missing"
    assert headline(keys[1:2]).text == "programs find no key: apimall/missing"
    assert headline(keys[2:]).text.startswith("published keys are in danger: apimall/danger, ")
    assert headline(keys[4:]).severity is Severity.LATE
    assert headline(keys[-1:]).text == "all is well"


@pytest.mark.parametrize("state", KeyState)
def test_no_worse_thing_is_hidden_by_a_state(state: KeyState) -> None:
    quiet = severity_of(state, endangered=False, late=False, warned=False)
    assert severity_of(state, endangered=True, late=True, warned=True) is max(quiet, Severity.DANGER)
    assert severity_of(state, endangered=False, late=True, warned=True) is max(quiet, Severity.LATE)
    assert severity_of(state, endangered=False, late=False, warned=True) is max(quiet, Severity.NOTE)


def test_the_whole_account_has_its_place_in_the_order() -> None:
    """Above what is late of one key, and below what programs feel."""
    late, dead = EACH["failed"][0], EACH["refused"][0]
    assert "<title>! old config" in Page().render(looked_at(one(8), reload_failed=True), Query())
    assert "<title>! old config" in Page().render(looked_at(late, reload_failed=True), Query())
    html = Page().render(looked_at(dead, reload_failed=True), Query())
    assert "<title>! 1 refused" in html
    assert html.index("Programs are refused now") < html.index("The config could not be loaded")
    assert asked(looked_at(dead, alive=False), "/readyz") == (
        "not ready: the schedule does not go on; programs are refused now: apimall/revoked\n"
    )


@pytest.mark.parametrize(
    ("fault", "hold"),
    [
        (Fault("POST /keys", Status(400), at=Phase.AFTER), Hold.IN_FLIGHT),
        (Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS), Hold.IN_FLIGHT),
        (Fault("POST /keys", Status(500), times=ALWAYS), None),
    ],
)
def test_a_dead_key_whose_rotation_fails_is_told_as_such_until_it_is_replaced(
    world: World, fault: Fault, hold: Hold | None
) -> None:
    """The gateway refuses the current key, and answers an error to create: a second pass may only wait."""
    world.one()
    world.advance(0, minutes=3)
    world.server.account.revoke(2)
    world.server.faults.add(fault)
    began = at(30)
    passes: list[PassRecord] = []
    for number in range(2):
        passes.insert(0, passed(world.make_pass(), began + number * NEXT))
        seen = snapshot(*passes, now=passes[0].ended, next_pass=passes[0].ended + NEXT)
        (found,) = key_statuses(seen)
        assert (found.state, found.severity) == (KeyState.REVOKED, Severity.REFUSED)
        html = redact(Page().render(seen, Query()))
        assert "Programs are refused now: apimall/backend" in html
        assert html.count("retrying in 21s") == 2, "in the banner and in the row"
        assert "in 7d" not in html
        assert "POST /keys: " in html
        assert found.why
        assert found.why.startswith(
            "programs that read apimall/backend are refused: key 2 is listed as revoked"
        )
        assert "another replica" not in found.why
    second = world.log[-1].keys[0].plan
    assert second
    assert second.hold is hold
    if hold:
        assert found.to_json()["last_error"]["message"].startswith("POST /keys: ")
    world.server.faults.clear()
    world.advance(0, minutes=30)
    world.make_pass()  # what was left behind goes
    passes.insert(0, passed(world.make_pass(), began + timedelta(minutes=30)))
    (found,) = key_statuses(snapshot(*passes))
    assert (found.state, found.severity, found.last_try) == (KeyState.OK, Severity.WELL, None)


def test_what_failed_and_waits_for_the_next_try_is_still_failed() -> None:
    tried = passed(together(one(1, age=7, errors=(REFUSED,), outcome=Outcome.FAILED)), at(30))
    waits = passed(together(one(1, age=7, orphan=0.001)), at(30) + NEXT)
    (found,) = key_statuses(snapshot(waits, tried))
    assert (found.state, found.severity) == (KeyState.FAILED, Severity.LATE)
    assert (
        found.why
        == f"due; the last try, 21s ago, failed: {REFUSED.message} (request_id {REFUSED.request_id})"
    )
    (found,) = key_statuses(snapshot(waits))
    assert found.state is KeyState.HELD


def test_a_secret_that_is_unread_today_hides_no_dead_key_of_before() -> None:
    unread = KeyResult(REVOKED.key, Outcome.FAILED, errors=(REFUSED,))
    passes = passed(together(unread), at(30, minutes=10)), passed(together(failed(REVOKED)), at(30))
    assert key_statuses(snapshot(*passes))[0].severity is Severity.REFUSED
