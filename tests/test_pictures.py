"""The pictures as they are drawn: sound markup, the same in words, nothing from elsewhere, nothing unescaped."""

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from rotator.passes.result import KeyResult, Outcome
from rotator.rules.decide import decide
from rotator.service.web.finding import Query
from rotator.service.web.legend import BARS, MARKS
from rotator.service.web.page import Page
from rotator.show.snapshot import Snapshot
from tests.facts import at, block, facts, key, secret
from tests.shown import REFUSED, of_each_state, one, passed, snapshot, together

HOSTILE = "</title></svg><script>alert(1)</script>&\"'<img src=x onerror=alert(1)>{{ 7*7 }}"


def page(seen: Snapshot) -> str:
    return Page().render(seen, Query())


def refused() -> Snapshot:
    dead = facts([key(1)], secret(block(1, rotated=at(29))), now=at(30), refused=True)
    result = replace(KeyResult.of(dead.key, Outcome.FAILED, decide(dead)), errors=(REFUSED,))
    return snapshot(passed(together(result, one(2)), at(30)))


def hostile() -> Snapshot:
    error = type(REFUSED)(HOSTILE, cure=HOSTILE)
    bad = one(1, name=HOSTILE, age=8, superseded={2: 2}, errors=(error,), outcome=Outcome.FAILED)
    return snapshot(passed(together(bad, one(3)), at(30)))


def svgs(html: str) -> list[ElementTree.Element]:
    """Every picture on the page, read as strictly as XML is."""
    body = html.split("<body>")[1]
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", body, re.DOTALL)]


def shown(html: str) -> Iterator[ElementTree.Element]:
    """Those that are pictures by themselves, and no icon beside a word."""
    yield from (svg for svg in svgs(html) if svg.get("role") == "img")


ALL = [of_each_state(8), of_each_state(30), refused(), hostile()]


@pytest.mark.parametrize("seen", ALL)
def test_each_is_well_formed_and_says_in_words_what_it_shows(seen: Snapshot) -> None:
    pictures = svgs(page(seen))
    assert pictures
    for picture in pictures:
        if picture.get("role") != "img":
            assert picture.get("aria-hidden") == "true", "what says nothing is not read out"
            continue
        title, words = picture[0], picture[1]
        assert (title.tag, words.tag) == ("title", "desc"), "browsers take the first"
        assert title.text
        assert words.text
        assert words.text.endswith(".")


@pytest.mark.parametrize("seen", ALL)
def test_nothing_in_them_is_from_elsewhere(seen: Snapshot) -> None:
    html = page(seen)
    ids = [node.get("id") for svg in svgs(html) for node in svg.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    for svg in svgs(html):
        for node in svg.iter():
            assert node.tag not in ("script", "image", "foreignObject", "style", "a")
            for name, value in node.attrib.items():
                assert not name.startswith(("on", "style", "{"))
                assert name != "href" or value[1:] in ids
    for fill in re.findall(r"url\(([^)]*)\)", html):
        assert fill[1:] in ids


@pytest.mark.parametrize("seen", ALL)
def test_nothing_is_drawn_beyond_the_edge(seen: Snapshot) -> None:
    """On a telephone it would make the page scroll sideways."""
    for svg in shown(page(seen)):
        for node in svg.iter():
            if "x" in node.attrib:
                begin = float(node.get("x", "").rstrip("%"))
                length = float(node.get("width", "0").rstrip("%"))
                assert 0 <= begin <= begin + length <= 100


def test_what_a_key_is_called_is_text_in_its_picture() -> None:
    html = page(hostile())
    assert "<script>alert" not in html
    assert "<img" not in html
    titles = [svg[0].text for svg in shown(html)]
    assert f"Time line of {HOSTILE}" in titles


def test_each_sign_is_defined_and_filled() -> None:
    """A bar without a rule would be black, and a mark without a shape would not be there."""
    html = page(of_each_state(8))
    for bar in BARS:
        assert re.search(rf"rect\.{bar}\b[^{{]*{{[^}}]*fill: ", html), bar
    for mark in MARKS:
        assert f'<g id="m-{mark}">' in html, mark


def test_bars_can_be_told_apart_without_colour() -> None:
    """By how they are filled, by their outline or by their height."""
    html = page(of_each_state(8))
    looks = {}
    for bar in set(BARS) - {"past"}:  # which is thinner, see below
        rules = " ".join(re.findall(rf"rect\.{bar}\b[^{{]*({{[^}}]*}})", html))
        pattern = re.search(r"url\(#[a-z-]+\)", rules)
        filled = pattern[0] if pattern else re.search(r"fill: var\((--[a-z]+)\)", rules)[1]  # type: ignore[index]
        looks[bar] = (filled, "dasharray" in rules)
    assert len(set(looks.values())) == len(looks), looks
    heights = {
        node.get("class"): node.get("height")
        for svg in shown(html)
        if svg.get("class") == "line"
        for node in svg.iter("rect")
    }
    assert heights["past"] == "6"
    assert heights["current"] == "10"


def test_there_is_a_picture_for_each_key_of_which_a_time_is_known_and_one_for_all() -> None:
    titles = [str(svg[0].text) for svg in shown(page(of_each_state(30)))]
    assert titles[0] == "Next rotations in the coming 7 days"
    assert len(titles) == 1 + 29, "no pass could read one"
    assert titles[1] == "Time line of Batch", "what needs attention is first"


def test_the_picture_of_the_account_is_of_all_keys_whatever_is_searched_for() -> None:
    seen = of_each_state(30)
    every, few = (next(iter(shown(Page().render(seen, Query(text))))) for text in ("", "Batch"))
    assert ElementTree.tostring(every) == ElementTree.tostring(few)


def test_before_the_first_pass_there_is_none() -> None:
    html = page(snapshot(now=at(30)))
    assert list(shown(html)) == []
    assert 'class="legend"' not in html
