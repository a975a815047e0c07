"""YAML text to values with places: the syntax, and what is refused of it."""

from typing import Any

import pytest

from rotator.config import yaml
from rotator.config.yaml import Fault


def values(text: str) -> Any:
    document = yaml.parse(text)
    assert document.faults == ()
    assert document.root is not None
    return document.root.plain()


def only_fault(text: str) -> Fault:
    (fault,) = yaml.parse(text).faults
    return fault


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("010", "010"),
        ("1_000", "1_000"),
        ("9" * 19, "9" * 19),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("null", None),
        ("2027-01-01", "2027-01-01"),
        ("3d", "3d"),
        ('"12"', "12"),
        ("! 12", "12"),
        ("!!str 12", "12"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = values(f"field: {text}")["field"]
    assert (found, type(found)) == (value, type(value))


def test_blocks_and_lists() -> None:
    assert values("a: {b: [1, x]}\nc:\n  - d: !!map {}\n  - !!seq []\n") == {
        "a": {"b": [1, "x"]},
        "c": [{"d": {}}, []],
    }


def test_an_empty_text_is_null() -> None:
    assert values("") is None
    assert values("# only a comment\n") is None


def test_an_alias_is_a_copy() -> None:
    read = values("a: &x {b: 1}\nc: *x\n")
    read["c"]["b"] = 2
    assert read["a"] == {"b": 1}


def test_every_value_knows_its_place() -> None:
    root = yaml.parse("a: &x\n  b: 1\nlist:\n  - one\n  - two: 2\n  - *x\n").root
    assert root is not None

    def place(*path: str | int) -> tuple[int, int]:
        node = root.nearest(path)
        return node.line, node.column

    assert place() == (1, 1)
    assert place("a", "b") == (2, 3)
    assert place("list", 0) == (4, 5)
    assert place("list", 1, "two") == (5, 5)
    assert place("list", 2) == (6, 5)
    assert place("list", 1, "missing") == (5, 5)
    assert place("list", 9) == (3, 1)
    assert place("list", "name") == (3, 1)
    assert place("a", 0) == (1, 1)


def test_every_repeated_field_is_named() -> None:
    document = yaml.parse("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n  c: 3\nsk-123: 1\nsk-123: 2\n")
    assert document.root is not None
    assert document.root.plain() == {"a": 1, "b": {"c": 1}, "sk-123": 1}
    assert [(fault.line, fault.column) for fault in document.faults] == [(2, 1), (5, 3), (6, 3), (8, 1)]
    assert "`a` is also on line 1" in document.faults[0].text
    assert "sk-123" not in document.faults[3].text


@pytest.mark.parametrize(
    ("text", "line", "column", "cure"),
    [
        ("a: 1\n---\nb: 2", 2, 1, "one document"),
        ("a:\n\tb: 1", 2, 1, "indent with spaces"),
        ("a: [1", 1, 6, "check the indentation"),
        ("a: b: c", 1, 5, "check the indentation"),
        ("a: `b`", 1, 4, "quote what begins"),
        ("a: *nobody", 1, 4, "names no anchor above"),
        ("a: &x [1, *x]", 1, 11, "stands inside what it names"),
        ("1: b", 1, 1, "field's name must be text"),
        ("? [a]\n: b", 1, 3, "field's name must be text"),
        ("a: &x {b: 1}\n<<: *x", 2, 1, "under `defaults`"),
        ("a: !!python/object/apply:os.system [ls]", 1, 4, "tag"),
        ("a: !secret b", 1, 4, "tag"),
        ("a: !!int '5'", 1, 4, "tag"),
        ("a: !!set {b}", 1, 4, "tag"),
        ("a: 1\nb: \x07", 2, 4, "unprintable"),
        ('a: "\\0"', 1, 4, "unprintable"),
        ('a: "\\ud800"', 1, 4, "unprintable"),
        ("a: |\n  b\n  c\n", 1, 4, "one plain line"),
        ('a: "\\UFFFFFFFF"', 1, 1, "number that YAML does not know"),
        ("a: 1\n%YAML 1." + "9" * 5000, 1, 4, "number that YAML does not know"),
        ("[" * 5000, 1, yaml.MAX_DEPTH + 1, "flatten"),
        ("- " * 5000, 1, 2 * yaml.MAX_DEPTH + 1, "flatten"),
    ],
)
def test_what_is_refused(text: str, line: int, column: int, cure: str) -> None:
    fault = only_fault(text)
    assert cure in fault.text
    assert (fault.line, fault.column) == (line, column)


def test_aliases_cannot_grow_without_bound() -> None:
    text = "a: &n0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"b{n}: &n{n + 1} [{', '.join([f'*n{n}'] * 10)}]\n" for n in range(9))
    assert f"over {yaml.MAX_NODES} values" in only_fault(text).text


def test_a_syntax_fault_repeats_nothing_of_the_file() -> None:
    for text in ("a: 'sk-0123456789", 'a: "\\q sk-0123456789"', "a: *sk-0123456789", "!0123456789!x a"):
        assert "0123456789" not in only_fault(text).text
