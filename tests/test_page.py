"""The page as people see it: in a real Chromium, on a telephone and on a desk, by day and by night.

ROTATOR_TEST_SHOTS names a directory for the screenshots.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from rotator.passes.result import KeyResult, Outcome
from rotator.rules.decide import decide
from rotator.service.metrics import Metrics
from rotator.service.web import Web
from rotator.show.snapshot import Snapshot
from tests.chromium import PROGRAM, Chromium, chromium
from tests.facts import at, block, facts, key, secret
from tests.shown import REFUSED, of_each_state, one, passed, snapshot, together

pytestmark = pytest.mark.skipif(
    PROGRAM is None and not os.environ.get("CI"), reason="there is no chromium: apt-get install chromium"
)
SHOTS = os.environ.get("ROTATOR_TEST_SHOTS")
WHEN_RENEWED = """
  const renewed = new Promise((done) => new MutationObserver(done).observe(
    document.querySelector("main"), {subtree: true, childList: true, characterData: true, attributes: true}));
"""
RENEW = WHEN_RENEWED + 'document.dispatchEvent(new Event("visibilitychange")); await renewed;'


class Shown:
    def __init__(self, browser: Chromium) -> None:
        self.browser = browser
        self.now: Snapshot = of_each_state(8)
        self.slow: list[Callable[[], Snapshot]] = []
        """What the next requests are answered by, each once."""
        self.web = Web(("127.0.0.1", 0), self.snapshot, Metrics().exposition)

    def snapshot(self) -> Snapshot:
        return self.slow.pop()() if self.slow else self.now

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web.port}/"

    def names(self) -> list[str]:
        script = 'return [...document.querySelectorAll(".name")].map((name) => name.textContent)'
        return list(self.browser.run(script))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def shown(browser: Chromium) -> Iterator[Shown]:
    browser.complaints.clear()
    browser.asked.clear()
    browser.look(1280)
    shown = Shown(browser)
    with shown.web:
        url = shown.url
        yield shown
        browser.go("about:blank")
    assert browser.complaints == []
    assert [asked for asked in browser.asked if asked.startswith("http") and not asked.startswith(url)] == []


@pytest.mark.parametrize("count", [3, 8, 500])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_can_be_read_in_both_schemes(
    shown: Shown, tmp_path: Path, width: int, count: int
) -> None:
    shown.now = of_each_state(count)
    grounds = []
    for dark in (False, True):
        shown.browser.look(width, dark=dark)
        shown.browser.go(shown.url)
        assert shown.browser.run("return document.documentElement.scrollWidth") <= width
        assert len(shown.names()) == count
        assert shown.browser.run(WIDTHS) == 1, "each row of the table is as wide as the others"
        if count < 500:
            assert shown.browser.run(CONTRAST) == []
        grounds.append(shown.browser.run("return getComputedStyle(document.body).backgroundColor"))
        if SHOTS:
            shown.browser.screenshot(Path(SHOTS) / f"{count}-{width}-{'dark' if dark else 'light'}.png")
    assert grounds == ["rgb(255, 255, 255)", "rgb(15, 20, 25)"]


WIDTHS = """
  const rows = [...document.querySelectorAll(".keys tbody")];
  return new Set(rows.map((row) => row.getBoundingClientRect().width)).size;
"""
CONTRAST = """
  const luminance = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map(Number)
    .map((part) => part / 255).map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return colour !== "rgba(0, 0, 0, 0)" || !node.parentElement ? colour : ground(node.parentElement);
  };
  const found = new Set();
  for (const node of document.querySelectorAll("body *:not(svg *, script, style)")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.nodeValue.trim())) continue;
    const [a, b] = [getComputedStyle(node).color, ground(node)].map(luminance).sort((a, b) => b - a);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(`${node.tagName}.${node.className}`);
  }
  return [...found];
"""
"""Texts whose contrast is below what WCAG's level AA asks for."""


def test_a_screen_reader_is_told_everything_that_is_seen(shown: Shown) -> None:
    shown.now = of_each_state(20)
    for width in (1280, 390):
        shown.browser.look(width)
        shown.browser.go(shown.url)
        spoken = shown.browser.spoken()
        roles = [role for role, _ in spoken]
        assert ("heading", "Managed keys") in spoken
        assert ("searchbox", "Search") in spoken
        assert ("combobox", "Sort by") in spoken
        assert ("table", "Managed keys") in spoken
        assert ("rowheader", "Production backend apimall/service-001") in spoken
        assert ("image", "Time line of Production backend") in spoken
        assert ("image", "Next rotations in the coming 7 days") in spoken
        assert {"main", "banner", "contentinfo", "search", "status"} <= set(roles)
        assert roles.count("table") == 2
        assert [name for role, name in spoken if role == "columnheader"][:3] == ["Key", "State", "Time line"]
        said = " ".join(name for role, name in spoken if role == "StaticText")
        for words in (
            "1 failed",
            "1 revocation failed",
            "1d 5h of 7d",
            "superseded 7003",
            "overdue for 7h 16m",
            "ready",
            "converged",
        ):
            assert words in said


def test_a_search_is_offered_once_there_are_enough_keys_to_need_one(shown: Shown) -> None:
    offered = 'return document.querySelector("form").checkVisibility()'
    shown.browser.go(shown.url)
    assert shown.browser.run(offered) is False
    shown.now = of_each_state(20)
    shown.browser.run(RENEW)
    assert shown.browser.run(offered) is True, "without a reload"


class TestRenewing:
    def test_what_changed_is_replaced_and_nothing_else(self, shown: Shown) -> None:
        shown.now = of_each_state(500)
        shown.browser.go(shown.url)
        shown.browser.run("""
          document.querySelector('[data-key="Archive"]').mark = "the same";
          document.querySelector("details").open = true;
          document.querySelector("input").focus();
          scrollTo(0, 1500);
          // Of a row that is half above the window, either end may move when it grows.
          window.seen = [...document.querySelectorAll("tbody")].find((row) => row.getBoundingClientRect().top >= 0);
          window.at = window.seen.getBoundingClientRect().top;
        """)
        first = shown.now.passes[0]
        assert first.result
        keys = tuple(key for key in first.result.keys if key.key.name != "Reporting")
        result = replace(first.result, keys=(*keys, one(900, name="A new one")))
        newest = passed(result, at(30, minutes=10))
        shown.now = replace(shown.now, now=at(30, minutes=11), passes=(newest, *shown.now.passes[:19]))
        shown.browser.run(RENEW)
        names = shown.names()
        assert "A new one" in names
        assert "Reporting" not in names
        assert len(names) == 500
        assert shown.browser.run("""
          return [document.querySelector('[data-key="Archive"]').mark, document.activeElement.name,
            Math.round(window.seen.getBoundingClientRect().top - window.at),
            document.querySelector("details[open]") !== null];
        """) == ["the same", "q", 0, True]

    def test_the_same_again_changes_nothing(self, shown: Shown) -> None:
        shown.browser.go(shown.url)
        assert (
            shown.browser.run("""
          let changes = 0;
          new MutationObserver((seen) => { changes += seen.length; }).observe(
            document.querySelector("main"), {subtree: true, childList: true, characterData: true});
          const answered = new Promise((done) => new PerformanceObserver((list, self) => {
            self.disconnect(); done();
          }).observe({type: "resource"}));
          document.dispatchEvent(new Event("visibilitychange"));
          await answered;
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          return changes;
        """)
            == 0
        )

    def test_search_and_sort_at_once_and_kept(self, shown: Shown) -> None:
        shown.now = of_each_state(500)
        shown.browser.go(shown.url)
        shown.browser.run(
            'document.querySelector("input").focus(); window.renewed = (async () => {'
            f"{WHEN_RENEWED} await renewed; }})();"
        )
        shown.browser.type("service-49")
        shown.browser.run("await window.renewed")
        found = [f"Service {number:03}" for number in range(490, 500)]
        assert shown.names() == found
        shown.browser.run(
            WHEN_RENEWED
            + """
          const sort = document.querySelector("select");
          sort.value = "age";
          sort.dispatchEvent(new Event("input", {bubbles: true}));
          await renewed;
        """
        )
        assert shown.names() == found[::-1]
        assert shown.browser.run("return document.activeElement.value") == "service-49"
        shown.now = replace(shown.now, now=at(31))
        shown.browser.run(RENEW)
        assert shown.names() == found[::-1]
        shown.browser.go(shown.browser.run("return location.href"))
        assert shown.names() == found[::-1], "the address keeps them"

    def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(self, shown: Shown) -> None:
        asked, late = Event(), Event()

        def slow() -> Snapshot:
            asked.set()
            late.wait()
            return of_each_state(3)

        shown.browser.go(shown.url)
        shown.slow.append(slow)
        shown.browser.run('document.dispatchEvent(new Event("visibilitychange"));')
        asked.wait()
        shown.now = of_each_state(20)
        shown.browser.run(RENEW)
        late.set()
        shown.browser.run("""
          while (performance.getEntriesByType("resource").length < 2) await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
        """)
        assert len(shown.names()) == 20

    def test_it_says_when_nobody_answers_and_recovers(self, shown: Shown) -> None:
        shown.browser.go(shown.url)
        lost = 'return document.getElementById("lost").checkVisibility()'
        assert shown.browser.run(lost) is False
        shown.web.stop()
        shown.browser.run(RENEW)
        assert shown.browser.run(lost) is True
        shown.browser.complaints.clear()  # of the connection, which are as they should be
        port = int(shown.url.rpartition(":")[2].strip("/"))
        with Web(("127.0.0.1", port), lambda: shown.now, lambda: b""):
            shown.browser.run(RENEW)
            assert shown.browser.run(lost) is False
        shown.web.start()


def test_without_a_script(shown: Shown) -> None:
    shown.browser.look(1280, script=False)
    shown.browser.go(f"{shown.url}?q=failed&sort=name")
    document = shown.browser.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
    html = shown.browser.call("DOM.getOuterHTML", nodeId=document)["outerHTML"]
    assert 'http-equiv="refresh"' in html
    button = shown.browser.call("DOM.querySelector", nodeId=document, selector="form button")["nodeId"]
    assert shown.browser.call("DOM.getBoxModel", nodeId=button)["model"]["width"] > 10
    assert html.count('class="name"') == 2


def test_a_tab_in_the_background_shows_that_programs_are_refused(shown: Shown) -> None:
    """Its title and its icon are renewed with the page, and change back."""
    tab = 'return [document.title, document.querySelector("link[rel=icon]").href]'
    well = shown.now = snapshot(passed(together(one(1)), at(30)))
    shown.browser.go(shown.url)
    before = shown.browser.run(tab)
    dead = facts([key(1)], secret(block(1, rotated=at(29))), now=at(30), refused=True)
    result = KeyResult.of(dead.key, Outcome.FAILED, decide(dead))
    shown.now = snapshot(passed(together(replace(result, errors=(REFUSED,))), at(30)))
    shown.browser.run(RENEW)
    after = shown.browser.run(tab)
    assert (before[0], after[0]) == ("1 key · rotator", "! 1 refused · rotator")
    assert before[1] != after[1]
    assert shown.browser.run("return document.querySelector('.banner:not([hidden])').innerText").startswith(
        " Programs are refused now: apimall/backend"
    )
    shown.now = well
    shown.browser.run(RENEW)
    assert shown.browser.run(tab) == before


def test_trouble_of_the_whole_account_is_above_the_keys(shown: Shown) -> None:
    down = of_each_state(3).passes[2]
    shown.now = snapshot(down, passed(together(one(1)), at(30)), now=at(30))
    shown.browser.go(shown.url)
    assert shown.browser.run("return document.title").startswith("! ")
    tops = shown.browser.run("""
      const top = (place) => document.querySelector(place).getBoundingClientRect().top;
      return [top('.banner:not([hidden])'), top('table')];
    """)
    assert tops[0] < tops[1]


def test_a_long_path_in_the_banner_scrolls_nothing_sideways(shown: Shown) -> None:
    path = "apimall/" + "a-very-long-path-without-any-space-" * 6
    dead = facts(
        [key(1), key(2)], secret(block(2, rotated=at(29), superseded={1: at(29)})), now=at(30), refused=True
    )
    dead = replace(dead, key=replace(dead.key, name="N" * 80, path=path))
    result = replace(KeyResult.of(dead.key, Outcome.FAILED, decide(dead)), errors=(REFUSED,))
    shown.now = snapshot(passed(together(result), at(30)))
    shown.browser.look(390)
    shown.browser.go(shown.url)
    assert shown.browser.run("return document.documentElement.scrollWidth") <= 390
    spoken = shown.browser.spoken()
    assert "alert" in [role for role, _ in spoken]
    headings = [name.strip() for role, name in spoken if role == "heading"]
    assert [name for name in headings if name.startswith("Programs are refused now: apimall/a-very")], (
        headings
    )
