"""docs/config.md: it has a row for every field of the config's schema, with the default of the schema."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.program import ROOT

SCHEMA = json.loads((ROOT / "config/rotator.schema.json").read_text())
SOURCES = {"gateway.api_key", "webhook.secret"}
"""Blocks whose fields are one row."""


def resolved(rule: dict[str, Any]) -> dict[str, Any]:
    """What a rule is made of, besides null."""
    rule = next(one for one in rule.get("anyOf", [rule]) if one.get("type") != "null")
    return dict(SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]]) if "$ref" in rule else rule


def fields(block: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields, as the docs call them, with their defaults."""
    for name, rule in block["properties"].items():
        inner = resolved(rule)
        if name == "keys":
            inner, name = resolved(inner["items"]), "keys[]"
        if "properties" in inner and prefix + name not in SOURCES:
            yield from fields(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, rule.get("default")


def known() -> dict[str, Any]:
    found = dict(fields(SCHEMA))
    own = {name.removeprefix("defaults."): found.pop(name) for name in [*found] if "defaults." in name}
    return own | {name: value for name, value in found.items() if name.removeprefix("keys[].") not in own}


ROWS = re.findall(r"^\| (`[^|]+`) \|(.*?)\| .+ \|$", (ROOT / "docs/config.md").read_text(), re.M)


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    documented = [name for names, _ in ROWS for name in re.findall(r"`([^`]+)`", names)]
    assert sorted(documented) == sorted(known())


def test_a_default_of_the_schema_is_the_one_of_the_docs() -> None:
    told = {names.strip("`"): default.strip(" `") for names, default in ROWS if names.count("`") == 2}
    plain = {name: value for name, value in known().items() if isinstance(value, str | int) and name in told}
    assert len(plain) > 15
    assert {name: told[name] for name in plain} == {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in plain.items()
    }
