"""Every relative link and anchor in the project's Markdown leads somewhere, and every runbook exists."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

from rotator.commands.output import CONVERGED, FAILED, MISCONFIGURED, UNREACHABLE
from tests.deployed import DEPLOY
from tests.program import ROOT

HIDDEN = {"mutants", "dist"}
PAGES = sorted(
    path
    for path in ROOT.glob("**/*.md")
    if not any(part in HIDDEN or part.startswith(".") for part in path.relative_to(ROOT).parts)
)
RUNBOOKS = [
    rule["annotations"]["runbook_url"]
    for group in yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]


def prose(page: Path) -> str:
    """Without blocks of code, and without what is in backticks."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("[", "").replace("]", "").replace("#", ""), text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Of its headings, as they are rendered: lower case, hyphens for spaces, punctuation dropped."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ +(.*?) *$", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def broken(page: Path, link: str) -> str | None:
    """Say what is wrong with a relative link of `page`."""
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return f"{link}: there is no such file"
    if not target.is_relative_to(ROOT):
        return f"{link}: leads out of the project"
    if anchor and anchor not in anchors(target):
        return f"{link}: there is no such heading"
    return None


def links(page: Path) -> list[str]:
    found: list[str] = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [fault for link in links(page) if (fault := broken(page, link))] == []


def test_the_front_page_fits_one_and_leads_to_every_page() -> None:
    front = ROOT / "README.md"
    assert len(front.read_text().splitlines()) <= 150
    linked = {front, *((ROOT / link.partition("#")[0]).resolve() for link in links(front))}
    pages = [page for page in PAGES if not page.is_relative_to(ROOT / "tests")]
    assert [str(page) for page in pages if page not in linked] == []


def test_links_were_found() -> None:
    assert len(PAGES) >= 8
    assert len(links(ROOT / "docs/operations.md")) > 20


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("operations.md#alerts", None),
        ("#the-secret", None),
        ("nowhere.md", "no such file"),
        ("operations.md#alarms", "no such heading"),
        ("#nowhere", "no such heading"),
        ("../../elsewhere.md", "no such file"),
    ],
)
def test_a_broken_link_is_noticed(link: str, fault: str | None) -> None:
    found = broken(ROOT / "docs/protocol.md", link)
    assert (found is None) if fault is None else (found is not None and fault in found)


@pytest.mark.parametrize("link", RUNBOOKS)
def test_every_alert_has_its_runbook(link: str) -> None:
    assert broken(ROOT / "README.md", link) is None


def test_every_section_of_the_runbook_is_an_alert_s() -> None:
    text = prose(ROOT / "docs/operations.md")
    sections = re.findall(r"^### (Rotator\w+)$", text, re.MULTILINE)
    assert [name.lower() for name in sections] == [link.partition("#")[2] for link in RUNBOOKS]


def test_every_exit_code_has_a_section() -> None:
    sections = re.findall(r"^### Exit code (\d)$", prose(ROOT / "docs/operations.md"), re.MULTILINE)
    assert [int(code) for code in sections] == [CONVERGED, FAILED, MISCONFIGURED, UNREACHABLE]
