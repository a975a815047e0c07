"""Each word means one thing: what docs/glossary.md decided holds for messages, the page and the documents."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rotator.show.severity import Severity
from tests.deployed import DEPLOY
from tests.program import ROOT

GLOSSARY = (ROOT / "docs/glossary.md").read_text()
WORDS = [
    "managed key",
    "current key",
    "superseded key",
    "orphan",
    "unmanaged key",
    "held",
    "failed",
    "converged",
    "ready",
    "well",
]
INSTEAD = {
    "left alone": "unmanaged key",
    "managed by nobody": "unmanaged key",
    "foreign key": "unmanaged key",
    "keys are foreign": "unmanaged key",
    "leftover": "unmanaged key",
    "other live keys": "other keys",
    "live keys beside": "other keys",
    "held back": "held",
}
"""What was said before, and the word for it now."""
SAID = [*sorted((ROOT / "rotator").glob("**/*.py")), *sorted((ROOT / "rotator").glob("**/*.html"))]
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "glossary.md")
WRITTEN = [ROOT / "README.md", *PAGES, *sorted(DEPLOY.glob("**/*.yaml"))]


def texts(path: Path) -> Iterator[str]:
    """Yield what a person may read of a file: its texts, without docstrings, code and names of fields."""
    text = path.read_text()
    if path.suffix == ".md":
        text = re.sub("`[^`]+`", "", re.sub("(?ms)^ *```.*?^ *```$", "", text))
    if path.suffix != ".py":
        yield " ".join(text.split())
        return
    tree = ast.parse(text)
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        read = isinstance(node, ast.Constant) and id(node) not in silent and node.value
        if isinstance(read, str) and " " in read:
            yield read


def test_each_word_is_defined_once() -> None:
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE) == WORDS


@pytest.mark.parametrize("old", INSTEAD)
def test_no_other_word_is_used_for_it(old: str) -> None:
    assert INSTEAD[old] in GLOSSARY
    found = [path for path in (*SAID, *WRITTEN) for text in texts(path) if old in text.lower()]
    assert found == []


def test_the_order_of_severity_is_the_one_of_the_program() -> None:
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|.*\| (yes|no) \| (.+) \|$", GLOSSARY, re.MULTILINE)
    assert [(int(number), word, alarms == "yes") for number, word, alarms, _ in rows] == [
        (severity.value, severity.word, severity.alarms) for severity in sorted(Severity, reverse=True)
    ]
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    by_alert = {rule["alert"]: rule["expr"] for group in rules for rule in group["rules"]}
    for number, _, alarms, alerts in rows:
        named = re.findall(r"Rotator\w+", alerts)
        assert bool(named) is (alarms == "yes")
        assert not named or f"rotator_key_severity == {number}" in by_alert[named[0]]
        assert set(named) <= by_alert.keys()


def test_the_words_are_linked_from_the_front_page() -> None:
    assert "(docs/glossary.md)" in (ROOT / "README.md").read_text()
