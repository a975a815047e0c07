"""`rotator check --wait`: it looks again until all is well or the time is over. No time passes here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.check import Finding, Found, State
from rotator.check.findings import bad, note, ok
from rotator.check.patience import Time, until_well
from rotator.commands.check import run_check
from rotator.commands.output import Output
from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.sandbox.server import GatewayServer
from tests.deployed import run
from tests.logs import captured
from tests.program import Program


@dataclass
class Still:
    """A clock that moves only while somebody sleeps or looks."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    @property
    def passes(self) -> Time:
        return Time(self.sleep, lambda: self.now)


def looks_like(time: Still, *findings: Finding, lasts: float = 0.0) -> "list[Found]":
    time.now += lasts
    return [("it", finding) for finding in findings]


class TestThePauses:
    @pytest.mark.parametrize(
        ("seconds", "pauses"),
        [
            (0, []),
            (0.5, [0.5]),
            (1, [1]),
            (3, [1, 2]),
            (10, [1, 2, 4, 3]),
            (60, [1, 2, 4, 8, 10, 10, 10, 10, 5]),
        ],
    )
    def test_they_double_up_to_ten_seconds_and_the_last_look_is_at_the_end(
        self, seconds: float, pauses: list[float]
    ) -> None:
        time = Still()
        looked = until_well(lambda: looks_like(time, bad("no", "mend")), seconds, time.passes)
        assert time.pauses == pauses
        assert looked.looks == len(pauses) + 1
        assert time.now == seconds

    def test_it_ends_with_the_first_look_at_which_nothing_is_bad(self) -> None:
        time = Still()
        states = iter([bad("no", "mend"), bad("no", "mend"), note("well, but", "mend")])
        looked = until_well(lambda: looks_like(time, next(states)), 60, time.passes)
        assert [finding.state for _, finding in looked.found] == [State.NOTE]
        assert (looked.looks, time.pauses) == (3, [1, 2])

    def test_nothing_is_waited_for_that_is_well(self) -> None:
        time = Still()
        looked = until_well(lambda: looks_like(time, ok("yes")), 60, time.passes)
        assert (looked.looks, time.pauses) == (1, [])

    def test_a_look_counts_as_time_and_is_finished(self) -> None:
        time = Still()
        looked = until_well(lambda: looks_like(time, bad("no", "mend"), lasts=30), 40, time.passes)
        assert (looked.looks, time.pauses, time.now) == (2, [1], 61)


@pytest.fixture
def quiet() -> Iterator[None]:
    """The log goes elsewhere, as it does in the program."""
    with captured():
        yield


@pytest.mark.usefixtures("quiet")
class TestTheProgram:
    def test_what_was_found_last_is_printed_once(
        self, rotator: Program, gateway: GatewayServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        gateway.faults.add(Fault("GET /keys", Status(500), times=ALWAYS))
        still = Still()

        def sleep(seconds: float) -> None:
            still.sleep(seconds)
            if len(still.pauses) == 2:
                gateway.faults.clear()

        path, hour, time = Path(rotator.command()[4]), timedelta(hours=1), still.passes._replace(sleep=sleep)
        assert run_check(path, rotator.environ, Output(as_json=True), hour, time) == 0
        body = json.loads(capsys.readouterr().out)
        assert (body["well"], body["looks"], still.pauses) == (True, 3, [1, 2])
        assert run_check(path, rotator.environ, Output(), hour, time) == 0
        out = capsys.readouterr().out
        assert out.count("✓ gateway access") == 1
        assert " looks" not in out

    def test_when_the_time_is_over_the_exit_code_is_that_of_a_single_look(
        self, rotator: Program, gateway: GatewayServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        gateway.faults.add(Fault("GET /keys", Status(500), times=ALWAYS))
        path, short = Path(rotator.command()[4]), timedelta(seconds=3)
        assert run_check(path, rotator.environ, Output(), short, Still().passes) == 1
        out = capsys.readouterr().out
        assert out.count("✗ gateway access") == 1
        assert out.endswith(", after 3 looks\n")

    def test_what_no_waiting_mends_ends_at_once(self, rotator: Program) -> None:
        rotator.config["pass_deadline"] = 5
        done = run(rotator, "check", "--wait", "1h", "--json")
        assert (done.code, done.json["looks"]) == (2, 1)

    @pytest.mark.parametrize("text", ["5", "1.5s", "soon", "-1s"])
    def test_a_time_is_a_duration_of_the_configs_kind(self, rotator: Program, text: str) -> None:
        done = run(rotator, "check", "--wait", text)
        assert done.code == 2
        assert "--wait " in done.err
        assert "Traceback" not in done.err

    def test_all_is_well_at_once(self, rotator: Program) -> None:
        assert run(rotator, "check", "--wait", "1h", "--json").json["looks"] == 1
