import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rotator.redaction import forget
from rotator.sandbox.ledger import AccountKey, Ledger
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.leaks import leaks
from tests.logs import captured
from tests.long import Figure, Tally
from tests.memory_store import MemoryStore
from tests.needs import Needs, needed, skipped
from tests.plain_client import Client
from tests.program import BACKEND, Program, program, secret
from tests.release import checkout, offline, ran
from tests.served import Served
from tests.vaults import close_connections, new_kv
from tests.world import World, new_server

os.environ["TZ"] = "Asia/Kathmandu"  # what takes the local zone for UTC fails
time.tzset()
# A shell's background job ignores Ctrl-C, and so would every program that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _one_after_the_other() -> Iterator[None]:
    """A client that is only left to the garbage keeps its connections till then; and the short secret of one test
    would be taken out of the words of the next.
    """
    forget()
    yield
    close_connections()


@pytest.fixture
def world() -> Iterator[World]:
    with new_server() as server:
        yield World(server, MemoryStore())


@pytest.fixture(scope="session")
def vault_server() -> Iterator[VaultServer]:
    with VaultServer() as server:
        yield server


@pytest.fixture
def needs(vault_server: VaultServer, record_property: Callable[[str, object], None]) -> Needs:
    """Skip a test where the server under test lacks what it needs."""
    return needed(vault_server, record_property)


@pytest.fixture
def gateway() -> Iterator[GatewayServer]:
    with GatewayServer() as server:
        yield server


@pytest.fixture
def call(gateway: GatewayServer) -> Iterator[Client]:
    client = Client(gateway)
    yield client
    client.connection.close()


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which `make release` was called."""
    directory = checkout(tmp_path_factory.mktemp("released") / "checkout")
    ran("make release", directory, offline())
    return directory


@pytest.fixture
def mount(vault_server: VaultServer) -> str:
    return new_kv(vault_server)


@pytest.fixture
def rotator(
    tmp_path: Path, gateway: GatewayServer, vault_server: VaultServer, mount: str
) -> Iterator[Program]:
    """The program; what it printed is searched for secrets in the end."""
    subject = program(tmp_path, gateway, vault_server, mount)
    yield subject
    for run in subject.runs:
        for key in gateway.account.keys:
            assert key.plaintext[10:30] not in run.out + run.err
        assert vault_server.token.reveal() not in run.out + run.err


@pytest.fixture
def leaked(rotator: Program, vault_server: VaultServer, mount: str) -> int:
    """The id of the key that is in the secret."""
    rotator.run("--once")
    return int(secret(vault_server, mount, BACKEND)["rotation"]["key_id"])


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, tally: Tally) -> Iterator[None]:
    """Search all that this process logs in a test, at every level, for each plaintext that a gateway made in it."""
    made: list[str] = []
    create = Ledger.create

    def noted(account: Ledger, title: str, **others: Any) -> AccountKey:
        key = create(account, title, **others)
        made.append(key.plaintext)
        return key

    monkeypatch.setattr(Ledger, "create", noted)
    with captured(level="debug") as log:
        yield
    assert made
    assert leaks(log.getvalue(), made) == []
    tally({"bytes of log searched for leaks": len(log.getvalue())})


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Tell a figure that stands in the run's summary, whichever process the test ran in."""
    return lambda text: record_property("figure", text)


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Tell counts, which are added up in the run's summary."""
    return lambda counts: record_property("tally", dict(counts))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    ended = [report for report in reports if getattr(report, "when", "") == "teardown"]
    told = [pair for report in ended for pair in report.user_properties]
    lines = {str(value) for name, value in told if name == "figure"}
    counts = sum((Counter(value) for name, value in told if name == "tally"), Counter())
    if told:
        terminalreporter.section("figures")
        for line in sorted(lines | {f"{name}: {count}" for name, count in counts.items()}):
            terminalreporter.line(line)
        for line in skipped(value for name, value in told if name == "lacks"):
            terminalreporter.line(line)


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    with served.web:
        yield served
