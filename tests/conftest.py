import os
import time
from collections.abc import Callable, Iterator

import pytest

from rotator.sandbox.vault import VaultServer
from tests.memory_store import MemoryStore
from tests.world import World, new_server

os.environ["TZ"] = "Asia/Kathmandu"  # what takes the local zone for UTC fails
time.tzset()


@pytest.fixture
def world() -> Iterator[World]:
    with new_server() as server:
        yield World(server, MemoryStore())


@pytest.fixture(scope="session")
def vault_server() -> Iterator[VaultServer]:
    with VaultServer() as server:
        yield server


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell a figure that stands in the run's summary, whichever process the test ran in."""
    return lambda text: record_property("figure", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "figure"
    ]
    if told:
        terminalreporter.section("figures")
        for line in sorted(dict.fromkeys(map(str, told))):
            terminalreporter.line(line)
