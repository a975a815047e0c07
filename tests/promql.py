"""Queries of deploy/ against the metrics that the program exposes."""

import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from rotator.service.metrics import Metrics
from rotator.show.snapshot import Snapshot
from tests.deployed import debian_tool
from tests.facts import at
from tests.shown import of_each_state, passed, together

ANYBODYS = {"up", "ALERTS"}
"""Metrics that Prometheus makes itself."""
THEIRS = {"job", "instance"}
"""Labels that the scrape adds."""


def exposed() -> dict[str, set[str]]:
    """The names of all metrics, each with its labels: of a program that has done a bit of everything."""
    metrics = Metrics()
    metrics.watch("gateway")("GET", 200, 0.1)
    metrics.token_expires(lambda: timedelta(hours=1))
    metrics.count(passed(together(), at(30)))
    shown = of_each_state(8)
    metrics.follow(lambda: _waited_for(shown))
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def _waited_for(shown: Snapshot) -> Snapshot:
    """The same, with a consumer that keeps each superseded key alive and was not told, and with copies."""
    record = shown.passes[0]
    assert record.result
    keys = tuple(
        replace(
            key,
            others=tuple(replace(other, unconfirmed=("web",)) for other in key.others),
            untold=("web",),
            copies={"eu": None},
        )
        for key in record.result.keys
    )
    return replace(
        shown, passes=(replace(record, result=replace(record.result, keys=keys)), *shown.passes[1:])
    )


def unknown(query: str) -> set[str]:
    """Return what the query names that is not there: metrics, and labels of any of its metrics."""
    known = exposed()
    bare = re.sub(r'"[^"]*"', '""', query)
    names = set(re.findall(r"\b(?:rotator_\w+|up|ALERTS)\b", bare))
    assert names, f"no metric in {query}"
    selected = {
        label for block in re.findall(r"\{([^}]*)\}", bare) for label in re.findall(r"(\w+) *[=!]", block)
    }
    grouped = {
        word.strip() for block in re.findall(r"\b(?:by|on) *\(([^)]*)\)", bare) for word in block.split(",")
    }
    labels = set().union(THEIRS, *(known.get(name, set()) for name in names))
    return (names - known.keys() - ANYBODYS) | ((selected | grouped) - labels)


def promtool(*arguments: str | Path) -> str:
    """Run it, and return what it says; fail when it finds a fault."""
    tool = debian_tool("promtool", "prometheus")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
