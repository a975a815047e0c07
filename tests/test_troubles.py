"""What the page says to somebody who is called at night: what is the matter, where, why, and what to do."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape

from rotator.errors import Rejected, RotatorError
from rotator.passes.result import KeyResult, Outcome
from rotator.rules.decide import decide
from rotator.rules.facts import Facts
from rotator.rules.history import Trace
from rotator.service.web.finding import Query, found
from rotator.service.web.forecast import forecast
from rotator.service.web.page import Page
from rotator.service.web.timeline import time_line
from rotator.show.key_status import KeyStatus, key_statuses
from rotator.show.severity import KeyState, Severity
from rotator.show.snapshot import Snapshot
from tests.facts import at, block, facts, key, managed, secret
from tests.shown import REFUSED, of_each_state, one, passed, snapshot, together
from tests.test_severity import asked

OWNED = {"owner": "Payments", "contact": "#payments"}
FROZEN = {"rotator-hold": "2026-12-20T00:00:00Z a sale"}


def dead(name: str, path: str, error: RotatorError = REFUSED, custom: Mapping[str, str] = OWNED) -> KeyResult:
    """Key 21, whose key is refused and whose rotation failed; key 20 is in its grace."""
    seen = facts(
        [key(20, created=at(20)), key(21, created=at(29.5), status="revoked")],
        secret(block(21, rotated=at(29.5), superseded={20: at(29.5)})),
        now=at(30),
        managed_key=replace(managed(), name=name, path=path),
        refused=True,
        custom=custom,
    )
    return replace(KeyResult.of(seen.key, Outcome.FAILED, decide(seen)), errors=(error,))


def frozen(rotated: float) -> Facts:
    data = secret(block(2, rotated=at(rotated)))
    return facts([key(2, created=at(rotated))], data, now=at(30), custom=FROZEN)


def shot(*results: KeyResult, **others: object) -> Snapshot:
    return snapshot(passed(together(*results), at(30)), now=at(30), **others)


def status(result: KeyResult) -> KeyStatus:
    (found,) = key_statuses(shot(result))
    return found


def page(seen: Snapshot, query: Query | None = None) -> str:
    return Page().render(seen, query or Query())


def banner(html: str) -> str:
    """Its text, without markup."""
    (inside,) = re.findall(r'<section class="banner.*?</section>', html, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", inside)).split())


class TestTheBanner:
    def test_it_has_all_that_somebody_needs_and_the_command_before_the_error(self) -> None:
        said = banner(page(shot(dead("Production backend", "apimall/production-backend"))))
        for words in (
            "programs that read apimall/production-backend are refused",
            "owner: Payments",
            "#payments",
            "Key 20 still works, at least until 2026-12-01 12:00 UTC, in 12h. To put it back:",
            "rotator rollback 'Production backend'",
            REFUSED.message,
            f"request_id {REFUSED.request_id}",
            f"Cure: {REFUSED.cure}",
            "RotatorProgramsRefused",
        ):
            assert words in said
        assert said.index("rotator rollback") < said.index(REFUSED.message)

    def test_a_common_cause_is_said_once_and_five_are_named(self) -> None:
        some = [dead(f"Service {n}", f"apimall/service-{n}") for n in range(7)]
        html = page(shot(*some))
        said = banner(html)
        assert (said.count(REFUSED.message), said.count(str(REFUSED.cure))) == (1, 1)
        assert [f"Service {n}" in said for n in range(7)] == [True] * 5 + [False] * 2
        assert '<a href="./#keys">And 2 more</a>' in html

    def test_causes_that_differ_are_each_said(self) -> None:
        other = Rejected("Vault answers 403", cure="renew the token")
        said = banner(page(shot(dead("A", "apimall/a"), dead("B", "apimall/b", other))))
        assert said.index(REFUSED.message) < said.index("Vault answers 403")

    def test_one_with_an_older_key_and_one_without_are_told_apart(self) -> None:
        seen = facts(
            [key(30, created=at(28), status="revoked")],
            secret(block(30, rotated=at(28))),
            now=at(30),
            managed_key=replace(managed(), name="Mail", path="apimall/mail"),
            refused=True,
        )
        mail = replace(KeyResult.of(seen.key, Outcome.FAILED, decide(seen)), errors=(REFUSED,))
        html = page(shot(dead("A", "apimall/a"), mail))
        said = banner(html)
        assert said.index("Key 20 still works") < said.index("Mail") < said.index("No older key is alive.")
        assert said.count(REFUSED.message) == 1
        assert 'href="operations#adopt-a-key"' in html

    def test_what_an_earlier_pass_met_is_said_with_its_cure(self) -> None:
        tried = dead("A", "apimall/a")
        young = facts(
            [key(21, status="revoked"), key(22, created=at(30))],
            secret(block(21, rotated=at(29.5))),
            now=at(30),
            managed_key=tried.key,
            refused=True,
            traces={22: Trace.ORPHAN},
        )
        waits = KeyResult.of(young.key, Outcome.DONE, decide(young))
        seen = snapshot(
            passed(together(waits), at(30)), passed(together(tried), at(30, minutes=-1)), now=at(30)
        )
        said = banner(page(seen))
        assert said.count(REFUSED.message) == 1
        assert f"Cure: {REFUSED.cure}" in said

    def test_it_links_to_the_rows_also_where_a_search_leaves_them_out(self) -> None:
        seen = shot(one(1, name="Well"), dead("Production backend", "apimall/p"))
        html = page(seen)
        assert 'href="#key-2"' in html
        assert '<tbody role="rowgroup" id="key-2" data-key="Production backend"' in html
        hidden = page(seen, Query(search="well"))
        assert 'href="./?q=Production+backend#key-2"' in hidden

    def test_its_heading_alone_is_an_alert(self) -> None:
        html = page(shot(dead("A", "apimall/a")))
        assert re.search(
            r'<div role="alert"><h2 id="trouble".*Programs are refused now: apimall/a</h2></div>', html
        )


class TestAfterTheGrace:
    def test_the_only_key_that_works_is_no_fault(self) -> None:
        seen = facts(
            [key(16, created=at(20)), key(19, created=at(27), status="revoked")],
            secret(block(19, rotated=at(27), superseded={16: at(27)})),
            now=at(30),
            refused=True,
        )
        html = page(shot(replace(KeyResult.of(seen.key, Outcome.FAILED, decide(seen)), errors=(REFUSED,))))
        assert "superseded 16 still works, and is kept because key 19 does not" in html
        assert "overdue" not in html.partition("<main>")[2].partition("<footer")[0]
        assert "RotatorRevocationOverdue" not in html
        assert "rotator rollback Backend" in html


class TestARevocationThatFailed:
    def test_it_is_not_the_key_that_failed(self) -> None:
        batch = status(one(4, name="Batch", age=3, superseded={7003: 1.3}, errors=(REFUSED,)))
        assert (batch.state, batch.word, batch.severity) == (
            KeyState.FAILED,
            "revocation failed",
            Severity.LATE,
        )
        line = time_line(batch, at(30))
        assert line
        assert "A revocation failed." in line.words
        assert status(one(2, age=7.2, errors=(REFUSED,), outcome=Outcome.FAILED)).word == "failed"


class TestAFrozenKey:
    def test_the_end_of_the_freeze_is_when_it_is_rotated_next(self) -> None:
        seen = frozen(24)
        held = status(KeyResult.of(seen.key, Outcome.DONE, decide(seen)))
        assert held.next_at == at(49)
        html = page(shot(KeyResult.of(seen.key, Outcome.DONE, decide(seen))))
        assert "2026-12-20 00:00 UTC" in html.partition('data-label="Next rotation"')[2].partition("</td>")[0]
        line = time_line(held, at(30))
        assert line
        assert "frozen" in [bar.kind for bar in line.lanes[0].bars]
        assert "The next rotation is 2026-12-20 00:00 UTC." in line.words
        assert "next 20 Dec" in [label.text for label in line.labels]
        picture = forecast([held, held], at(30))
        assert picture
        assert "20 Dec: 2" in picture.words

    def test_the_due_date_where_that_is_later(self) -> None:
        seen = facts(
            [key(2, created=at(29.5))],
            secret(block(2, rotated=at(29.5))),
            now=at(30),
            custom={"rotator-hold": "2026-12-02T00:00:00Z a sale"},
        )
        assert status(KeyResult.of(seen.key, Outcome.DONE, decide(seen))).next_at == at(36.5)

    def test_it_is_counted(self) -> None:
        seen = frozen(29.5)
        cold = KeyResult.of(seen.key, Outcome.DONE, decide(seen))
        assert "2 ok, 1 of them frozen" in page(shot(cold, one(1)))


class TestOneWord:
    def test_head_counts_and_row_call_it_refused_and_the_search_finds_it(self) -> None:
        seen = shot(one(1), dead("A", "apimall/a"))
        html = page(seen)
        assert "<title>! 1 refused" in html
        assert html.count("1 refused</span>") == 2, "in the head and the counts"
        assert [key.name for key in found(key_statuses(seen), Query(search="refused"))] == ["A"]
        assert [key.name for key in found(key_statuses(seen), Query(search="revoked"))] == ["A"]

    def test_whatever_the_head_calls_bad_is_found_by_that_word(self) -> None:
        keys = key_statuses(of_each_state(8))
        late = {key.name for key in keys if key.severity is Severity.LATE}
        assert {key.name for key in found(keys, Query(search="late"))} >= late


def test_the_faults_of_a_config_are_shown_where_somebody_looks() -> None:
    faults = ("rotator.yaml:7:3: rotation_perod: unknown field", "rotator.yaml:9:1: name: is missing")
    seen = shot(one(1), reload_failed=True, reload_faults=faults)
    html = page(seen)
    assert all(f"<li>{fault}</li>" in html for fault in faults)
    assert asked(seen, "/readyz") == f"ready; the old config is in use: {faults[0]}; {faults[1]}\n"


def test_of_a_new_key_nobody_must_think_that_it_is_revoked() -> None:
    seen = facts([key(1, status="revoked")], secret(block(1)), now=at(30), refused=True)
    done = KeyResult.of(seen.key, Outcome.DONE, decide(seen))
    made = block(2, rotated=at(30))
    html = page(shot(replace(done, rotation=made, others=())))
    assert "rotated: the old key was revoked" in html
    assert "Backend: rotated (the old key was revoked)" in html


def test_a_refused_row_has_the_command_too() -> None:
    html = page(shot(dead("A", "apimall/a")))
    assert html.count("rotator rollback A") == 2, "in the banner and in the row"
