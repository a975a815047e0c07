import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.rules.titles import (
    DEFAULT_TEMPLATE,
    Title,
    TitleTemplate,
    valid_installation,
    valid_name,
)
from tests.facts import new_nonce

NOW = datetime(2026, 11, 21, 9, 50, tzinfo=UTC)
NAMES = st.from_regex(r"[A-Za-z0-9 ._/-]{1,64}", fullmatch=True).filter(valid_name)
TEMPLATES = st.sampled_from(
    [
        DEFAULT_TEMPLATE,
        "{name}:{installation}{nonce}",
        "{installation}-{nonce}: {name}",
        "rotator({name}) {stamp} {nonce}/{installation}",
        "{nonce}{stamp}{installation} [{name}]",
    ]
)
HEX = "0123456789abcdef"


def test_the_default_is_the_convention() -> None:
    title = TitleTemplate().render("Production backend", now=NOW, installation="3f9a2c", nonce="7d01be42")
    assert title == "Production backend [2026-11-21T09:50:00Z 3f9a2c-7d01be42]"


@given(
    TEMPLATES,
    NAMES,
    st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1)),
    st.text(HEX, min_size=14, max_size=14),
)
def test_what_is_rendered_parses_back(template: str, name: str, now: datetime, digits: str) -> None:
    titles = TitleTemplate(template)
    installation, nonce = digits[:6], digits[6:]
    rendered = titles.render(name, now=now.replace(tzinfo=UTC), installation=installation, nonce=nonce)
    assert titles.parse(rendered) == Title(name, installation, nonce)


@pytest.mark.parametrize(
    "title",
    [
        "Production backend",
        "Production backend [2026-11-21T09:50:00Z 3f9a2c-7d01be42",
        "Production backend [2026-11-21T09:50:00Z 3f9a2c-7d01be42] ",
        "Production backend [2026-11-21T09:50:00Z 3f9a2c-7d01be42]\n",
        " [2026-11-21T09:50:00Z 3f9a2c-7d01be42]",
        "Production backend [2026-11-21 09:50:00 3f9a2c-7d01be42]",
        "Production backend [2026-11-21T09:50:00Z 3F9A2C-7d01be42]",
        "a" * 65 + " [2026-11-21T09:50:00Z 3f9a2c-7d01be42]",
        "Prod [x] [2026-11-21T09:50:00Z 3f9a2c-7d01be42]",
        "Production backend [２０２６-11-21T09:50:00Z 3f9a2c-7d01be42]",
    ],
)
def test_what_only_looks_like_a_title_of_ours_does_not_parse(title: str) -> None:
    assert TitleTemplate().parse(title) is None


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{name} [{nonce}]", "{installation} missing"),
        ("x", "{name}, {installation}, {nonce} missing"),
        ("{name} [{installation}-{nonce}-{when}]", "{when} is not a placeholder"),
        ("{name} [{installation}-{nonce}-{nonce}]", "{nonce} is there twice"),
        ("{name} {installation}-{nonce}", "{name} must stand at an edge"),
        ("[{installation}] {nonce} {name}", "{name} must stand at an edge"),
        ("a{name}[{installation}{nonce}]", "{name} must stand at an edge"),
        ("[X {name}[{installation}{nonce}]", "{name} must stand at an edge"),
        ("{name} X[{installation}{nonce}]", "{name} must stand at an edge"),
        ("{name}{installation}{nonce}", "{name} must stand at an edge"),
        ("{name} [{installation}-{nonce}] ", "a title must not begin or end with a space"),
        ("{name} „{installation}-{nonce}“", "only printable ASCII"),
    ],
)
def test_a_template_that_would_not_parse_back_is_refused(template: str, fault: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(fault)):
        TitleTemplate(template)


def test_new_parts_are_of_the_convention_and_new() -> None:
    assert valid_installation("3f9a2c")
    assert len({new_nonce("a/b", 3, attempt) for attempt in range(16)}) == 16


@given(st.text(min_size=1), st.integers(1, 10**6), st.integers(0, 65_535))
def test_a_nonce_says_what_the_key_was_made_for(path: str, version: int, since: int) -> None:
    title = Title("Backend", "3f9a2c", new_nonce(path, version, since))
    assert re.fullmatch("[0-9a-f]{8}", title.nonce)
    assert title.is_for(path)
    assert title.version(version - 1 + since) == version
    assert title.version(version - 2) != version


def test_another_path_is_told_apart() -> None:
    title = Title("Backend", "3f9a2c", new_nonce("apimall/backend", 1, 0))
    assert [path for path in ("apimall/backend2", "backend", "apimall/Backend") if title.is_for(path)] == []


def test_identities_are_six_hex_digits() -> None:
    assert not valid_installation("3F9A2C")
    assert not valid_installation(123456)


@pytest.mark.parametrize("name", ["a", "Z", "0", "Production backend", "._/-", "aZ" * 32])
def test_names_of_the_convention(name: str) -> None:
    assert valid_name(name)
    title = TitleTemplate().render(name, now=NOW, installation="3f9a2c", nonce="7d01be42")
    assert TitleTemplate().parse(title) == Title(name, "3f9a2c", "7d01be42")


@pytest.mark.parametrize("name", ["", " a", "a ", "a[b", "ü", "a" * 65, "a\n"])
def test_names_outside_the_convention(name: str) -> None:
    assert not valid_name(name)
