"""deploy/grafana: every query is valid, and names only what the program exposes."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployed import DEPLOY
from tests.promql import exposed, promtool, unknown

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_names_what_is_there(query: str) -> None:
    assert unknown(query) == set()
    assert '{job=~"$job"}' in query


def test_each_query_is_valid(tmp_path: Path) -> None:
    """Prometheus reads them, in a file of rules."""
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(QUERIES)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(QUERIES)} rules found" in promtool("check", "rules", file)


def test_a_key_that_two_replicas_tell_of_counts_once(tmp_path: Path) -> None:
    seen = {name: 1 for name in exposed() if name.startswith("rotator_key_")}
    seen["rotator_key_until_rotation_seconds"] = -7200
    tests = {
        "input_series": [
            {"series": f'{name}{{job="rotator", instance="{instance}", key="K"}}', "values": str(value)}
            for name, value in seen.items()
            for instance in "ab"
        ],
        "promql_expr_test": [
            {
                "expr": f"sum({query.replace('$job', '.*')})",
                "eval_time": "0m",
                "exp_samples": [
                    {"value": 1 if "count(" in query else seen[re.findall(r"rotator_\w+", query)[0]]}
                ],
            }
            for query in QUERIES
            if "rotator_key_" in query
        ],
    }
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"tests": [tests]}))
    assert "SUCCESS" in promtool("test", "rules", file)


def test_every_metric_is_shown() -> None:
    """Of a histogram the buckets are enough; and what only has labels is for joins."""
    hidden = {
        "rotator_build_info",
        "rotator_request_duration_seconds_count",
        "rotator_request_duration_seconds_sum",
    }
    assert {name for name in exposed() if not any(name in query for query in QUERIES)} == hidden


def test_the_panels_fill_the_grid_without_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y


def test_each_panel_says_what_it_shows() -> None:
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
