"""The operations guide as the program serves it, and which section of it the page leads to."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.passes.result import KeyResult, Outcome
from rotator.rules.decide import decide
from rotator.service.web.guide import guide
from rotator.service.web.sections import (
    KEY_IN_DANGER,
    KEY_LATE,
    ORPHANS_STAY,
    PROGRAMS_REFUSED,
    REVOCATION_OVERDUE,
    SECTIONS,
    Section,
    section_of,
)
from rotator.show.key_status import KeyStatus, key_statuses
from rotator.show.severity import Severity
from rotator.show.snapshot import Snapshot
from tests.facts import at, block, facts, key, secret
from tests.program import ROOT
from tests.served import Served
from tests.shown import REFUSED, of_each_state, one, passed, snapshot, together
from tests.test_docs_links import RUNBOOKS, anchors

OPERATIONS = ROOT / "docs/operations.md"
HTML = guide(OPERATIONS.read_text())
LINK = re.compile(r'href="(operations#[^"]*)">What to do: ([^<]*)</a>')


def status(result: KeyResult) -> KeyStatus:
    (found,) = key_statuses(snapshot(passed(together(result), at(30)), now=at(30)))
    return found


def dead() -> KeyResult:
    seen = facts([key(1)], secret(block(1, rotated=at(29))), now=at(30), refused=True)
    return replace(KeyResult.of(seen.key, Outcome.FAILED, decide(seen)), errors=(REFUSED,))


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_that_the_page_leads_to_is_there(section: Section) -> None:
    assert section.anchor in anchors(OPERATIONS)
    assert f"# {section.heading}\n" in OPERATIONS.read_text(), "it is called what the page calls it"


def test_those_of_alerts_are_where_the_alerts_lead_to() -> None:
    ours = {f"docs/operations.md#{one.anchor}" for one in SECTIONS if one.heading.startswith("Rotator")}
    assert ours <= set(RUNBOOKS)


@pytest.mark.parametrize(
    ("result", "section"),
    [
        (one(1), None),
        (one(1, age=7.02, orphan=0.001), None),
        (dead(), PROGRAMS_REFUSED),
        (one(1, age=8, errors=(REFUSED,), outcome=Outcome.FAILED), KEY_LATE),
        (one(1, age=3, superseded={2: 3}), REVOCATION_OVERDUE),
        (one(1, age=3, orphan=2), ORPHANS_STAY),
        (one(1, age=3, superseded={2: 3}, orphan=2), REVOCATION_OVERDUE),
        (one(1, age=8, superseded={2: 3}, errors=(REFUSED,), outcome=Outcome.FAILED), KEY_LATE),
    ],
)
def test_what_is_the_matter_decides_which_section(result: KeyResult, section: Section | None) -> None:
    found = status(result)
    assert section_of(found) is section
    assert (section is None) is not found.severity.alarms


def test_danger_has_its_own() -> None:
    assert section_of(replace(status(one(1)), severity=Severity.DANGER)) is KEY_IN_DANGER


def test_its_headings_have_the_anchors_that_they_have_elsewhere() -> None:
    assert set(re.findall(r'<h\d id="([^"]*)">', HTML)) == anchors(OPERATIONS)


def test_its_links_lead_nowhere_but_to_itself() -> None:
    links = re.findall(r'<a [^>]*href="([^"]*)"', HTML)
    assert links
    assert {link[1:] for link in links} <= anchors(OPERATIONS)
    assert all(link.startswith("#") for link in links)
    assert HTML.count("<a ") == HTML.count("</a>")
    assert not re.findall(r"<(?:script|img|style|iframe|form)|\s(?:style|src|on[a-z]+)=", HTML)
    assert "<table>" in HTML
    assert "policy.hcl" in HTML, "what a link says is kept"


def test_headings_that_are_called_the_same_have_anchors_of_their_own() -> None:
    assert re.findall(r'id="([^"]*)"', guide("# A `b`\n## Same\n## Same\n")) == ["a-b", "same", "same-1"]


def test_markup_in_it_is_text() -> None:
    html = guide("<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![y](https://example.com/y.png)")
    assert "<script" not in html
    assert "javascript:alert" not in html.replace("[x](javascript:alert(1))", "")


class TestOverHttp:
    @pytest.mark.parametrize(
        "seen",
        [
            of_each_state(20),
            snapshot(passed(together(dead()), at(30))),
            snapshot(passed(None, at(30), REFUSED)),
            snapshot(passed(together(one(1)), at(30)), reload_failed=True),
            snapshot(passed(together(one(1)), at(30)), next_pass=at(30) - timedelta(hours=1)),
        ],
    )
    def test_each_trouble_leads_to_what_to_do(self, served: Served, seen: Snapshot) -> None:
        served.now = seen
        links = LINK.findall(served.ask("/")[1])
        assert links
        for link, heading in links:
            path, _, anchor = link.partition("#")
            answer, text = served.ask(f"/{path}")
            assert answer.status == 200
            assert re.search(rf'<h\d id="{anchor}">{heading}</h\d>', text)

    def test_where_all_is_well_nothing_is_to_do(self, served: Served) -> None:
        served.now = snapshot(passed(together(one(1)), at(30)))
        assert LINK.findall(served.ask("/")[1]) == []

    def test_the_guide_may_do_less_than_the_page(self, served: Served) -> None:
        answer, text = served.ask("/operations")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "connect-src" not in policy
        assert "<script" not in text
