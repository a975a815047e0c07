"""The schema for editors, the examples in config/, and what an import costs."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from runpy import run_module
from typing import Any

import pytest
import yaml

from rotator.config import json_schema, load

FOLDER = Path(__file__).parent.parent / "config"
EXAMPLES = ["rotator.yaml", "minimal.yaml"]
TOKEN = {"VAULT_TOKEN": "hvs.test-token-of-nobody", "APIMALL_API_KEY": "sk-of-nobody-at-all"}
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "null": type(None)}


def mismatches(value: Any, rule: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    """The part of JSON Schema that ours uses."""
    if "$ref" in rule:
        rule = root["$defs"][rule["$ref"].rpartition("/")[2]] | {k: v for k, v in rule.items() if k != "$ref"}
    if "anyOf" in rule and all(list(mismatches(value, choice, root)) for choice in rule["anyOf"]):
        yield "no choice fits"
    if "oneOf" in rule:
        method = value.get("method", "token") if isinstance(value, dict) else ""
        form = rule["discriminator"]["mapping"].get(method)
        yield from mismatches(value, {"$ref": form}, root) if form else ["is none of the forms"]
        return
    if "type" in rule and not isinstance(value, TYPES[rule["type"]]):
        yield f"is no {rule['type']}"
        return
    if "const" in rule and value != rule["const"]:
        yield "is another constant"
    if isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        yield "does not match"
    if isinstance(value, dict):
        yield from (f"{name} missing" for name in rule.get("required", []) if name not in value)
        yield from (f"{name} unknown" for name in value if name not in rule["properties"])
        for name in rule["properties"].keys() & value.keys():
            yield from (f"{name}: {text}" for text in mismatches(value[name], rule["properties"][name], root))
    if isinstance(value, list):
        yield from (text for item in value for text in mismatches(item, rule["items"], root))


def blocks(rule: Any) -> Iterator[dict[str, Any]]:
    if isinstance(rule, dict):
        if "properties" in rule:
            yield rule
        for inner in rule.values():
            yield from blocks(inner)


def test_the_committed_schema_is_the_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, json_schema.__name__)
    run_module(json_schema.__name__, run_name="__main__")
    printed = capsys.readouterr().out
    assert printed == json_schema.render()
    assert (FOLDER / "rotator.schema.json").read_text() == printed, "renew it with `make schema`"


def test_the_schema_describes_every_field_and_allows_no_other() -> None:
    found = list(blocks(json.loads(json_schema.render())))
    assert len(found) > 5
    for block in found:
        assert block["additionalProperties"] is False
        assert block["description"]
        assert all(field.get("description") for field in block["properties"].values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_fit_the_schema_and_load(name: str) -> None:
    text = (FOLDER / name).read_text()
    root = json.loads(json_schema.render())
    assert text.startswith("# yaml-language-server: $schema=rotator.schema.json\n")
    assert list(mismatches(yaml.safe_load(text), root, root)) == []
    assert load(FOLDER / name, TOKEN).managed


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    root = json.loads(json_schema.render())
    for text, wrong in [
        ("keys: []\ngatway: {}", "gatway unknown"),
        ("vault: {}", "keys missing"),
        ("keys: [{name: A, path: a, grace_period: 1.5h}]", "no choice fits"),
        ("keys: [{name: 12, path: a}]", "is no string"),
        ("{keys: [], vault: {auth: {method: ldap}}}", "none of the forms"),
        ("{keys: [], vault: {auth: {token: x}}}", "token unknown"),
    ]:
        assert any(wrong in text for text in mismatches(yaml.safe_load(text), root, root))


def test_the_example_shows_every_field() -> None:
    """Commented out or not: what is not in the example is not found by who reads only the example."""
    text = (FOLDER / "rotator.yaml").read_text()
    names = {name for block in blocks(json.loads(json_schema.render())) for name in block["properties"]}
    assert {name for name in names if not re.search(rf"\b{name}:", text)} == set()


def test_the_example_names_the_defaults() -> None:
    """Where the example and the least config differ, it is on purpose."""
    example, least = (load(FOLDER / name, TOKEN) for name in EXAMPLES)
    assert example.schedule == least.schedule
    assert example.timing == least.timing
    assert (example.http, example.metrics) == (least.http, least.metrics)
    assert example.gateway.model_copy(update={"url": least.gateway.url}) == least.gateway
    assert example.vault.model_copy(update={"address": least.vault.address}) == least.vault


def test_a_config_does_not_import_the_scheduler() -> None:
    program = (
        "import sys; from pathlib import Path; from rotator.config import load; "
        f"load(Path(sys.argv[1]), {TOKEN}); print('apscheduler' in sys.modules)"
    )
    for name in EXAMPLES:
        command = [sys.executable, "-c", program, str(FOLDER / name)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"
