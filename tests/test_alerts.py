"""deploy/prometheus: each alert fires when it should and not before, and names only what the program exposes."""

import re
from typing import Any

import pytest
import yaml

from tests.deployed import DEPLOY
from tests.promql import promtool, unknown

RULES = DEPLOY / "prometheus/rules.yaml"
TESTS = DEPLOY / "prometheus/rules_test.yaml"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}


def test_the_rules_are_valid() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES)


def test_each_fires_when_it_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


def test_each_is_seen_to_fire() -> None:
    """In what promtool is told to expect."""
    tests = [
        expected
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for expected in test["promql_expr_test"]
    ]
    fired = {
        name
        for expected in tests
        for sample in expected["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert fired == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_each_names_what_is_there(name: str) -> None:
    rule = ALERTS[name]
    assert unknown(rule["expr"]) == set()
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert shown <= {"key", "server", "consumer"}
    assert all(label in rule["expr"] or label in ("key", "consumer") for label in shown)
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


def test_what_is_not_there_is_noticed() -> None:
    assert unknown('sum by (kee) (rotator_key_ages{job="a", sever="b"})') == {
        "rotator_key_ages",
        "kee",
        "sever",
    }
