"""`rotator prune` as a person runs it: asked, killed, stopped, and twice at once."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest

from rotator.sandbox.faults import Phase
from rotator.sandbox.ledger import AccountKey, Quirks
from rotator.sandbox.server import GatewayServer
from tests.program import BACKEND, Program


class TestTheCommand:
    @pytest.fixture
    def theirs(self, rotator: Program, gateway: GatewayServer) -> AccountKey:
        assert rotator.run("--once").code == 0
        key = gateway.account.create("by hand")
        gateway.account.clock.advance(timedelta(minutes=60))
        return key

    def test_a_plan_then_the_deed_and_its_record(self, rotator: Program, theirs: AccountKey) -> None:
        ids = ("--id", str(theirs.id))
        done = rotator.run("prune", *ids, "--dry-run")
        assert (done.code, f"key {theirs.id} “by hand”, 1h old: would be revoked" in done.out) == (0, True)
        assert done.out.endswith("\nnothing was changed\n")
        assert "nobody is there to answer: add --yes" in rotator.run("prune", *ids).err
        done = rotator.run("prune", *ids, "--yes", "--reason", "ticket 4711")
        assert done.code == 0
        assert "; reason: ticket 4711\n" in done.out
        assert f"key {theirs.id} “by hand”: revoked " in done.out
        assert f"DELETE  200  /keys/{theirs.id}" in done.out
        (pruned,) = (line for line in done.err.splitlines() if "key.pruned" in line)
        assert "by=" in pruned
        assert "ticket 4711" in pruned

    @pytest.mark.parametrize("reason", ["sk-" + "a1b2" * 10, "it was sk-a1b2...c3d4", "two\nlines"])
    def test_a_reason_that_is_none_is_not_repeated(
        self, rotator: Program, theirs: AccountKey, reason: str
    ) -> None:
        done = rotator.run("prune", "--id", str(theirs.id), "--yes", "--reason", reason)
        assert (done.code, "--reason h" in done.err) == (2, True)
        assert not any(part in done.err for part in ("a1b2", "lines"))

    def test_ids_that_are_none_or_stand_alone(self, rotator: Program) -> None:
        assert "write each id after an --id of its own" in rotator.run("prune", "8").err
        assert "'x' is not a valid key id" in rotator.run("prune", "--id", "x").err

    def test_for_programs(self, rotator: Program, theirs: AccountKey) -> None:
        refused = rotator.run("prune", "--id", "2", "--id", str(theirs.id), "--yes", "--json")
        assert (refused.code, refused.json["over"]) == (1, False)
        assert [key["spared"] for key in refused.json["keys"]] == ["managed", None]
        done = rotator.run("prune", "--id", str(theirs.id), "--yes", "--json")
        assert (done.code, done.json["over"], done.json["keys"][0]["revoked"]) == (0, True, True)
        assert [step["method"] for step in done.json["requests"]] == ["DELETE"]
        again = rotator.run("prune", "--id", str(theirs.id), "--yes", "--json")
        assert (again.code, again.json["keys"][0]["spared"]) == (0, "dead")

    @pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2)])
    def test_on_a_terminal_it_asks(
        self, rotator: Program, theirs: AccountKey, answer: str, code: int
    ) -> None:
        asked = rotator.on_a_terminal("prune", "--id", str(theirs.id), answer=answer)
        assert asked.code == code
        assert "Programs that use one of them fail at once" in asked.out

    def test_keys_shows_all_of_them(self, rotator: Program, theirs: AccountKey) -> None:
        done = rotator.run("keys")
        assert done.code == 0
        rows = [re.split("  +", line.strip()) for line in done.out.splitlines()]
        assert [row[2] for row in rows if BACKEND in row] == ["current"]
        assert "unmanaged, bearer" in done.out
        assert done.out.index("by hand") < done.out.index("  current  "), "what nobody rotates comes first"
        rotator.run("prune", "--id", str(theirs.id), "--yes")
        assert "by hand" not in rotator.run("keys").out
        body = rotator.run("keys", "--json").json
        assert [key["whose"] for key in body["keys"] if key["key_id"] == theirs.id] == ["unmanaged"]
        assert [key["live"] for key in body["keys"] if key["key_id"] == theirs.id] == [False]


class TestCutOff:
    """Its process ends, or another prune is faster, while the gateway is about to answer its DELETE."""

    @pytest.fixture
    def theirs(self, rotator: Program, gateway: GatewayServer) -> list[AccountKey]:
        assert rotator.run("--once").code == 0
        keys = [gateway.account.create(f"by hand {number}") for number in range(2)]
        gateway.account.clock.advance(timedelta(minutes=60))
        return keys

    def ids(self, keys: list[AccountKey]) -> list[str]:
        return [word for key in keys for word in ("--id", str(key.id))]

    @pytest.mark.parametrize("phase", Phase)
    def test_killed(
        self, rotator: Program, gateway: GatewayServer, theirs: list[AccountKey], phase: Phase
    ) -> None:
        with _held_up(gateway, phase) as (there, _):
            process = rotator.start("prune", *self.ids(theirs), "--yes", "--reason", "ticket 4711")
            assert there.wait(30)
            process.kill()
            _, log = process.communicate()
        assert "prune.started" in log, "who revokes what, and why, is told though there is no record"
        assert all(said in log for said in ("ticket 4711", "by=", str([key.id for key in theirs])))
        assert rotator.run("prune", *self.ids(theirs), "--yes").code == 0
        assert not any(key.live for key in gateway.account.keys if key.title.startswith("by hand"))

    def test_stopped_what_was_revoked_is_told_and_the_rest_lives(
        self, rotator: Program, gateway: GatewayServer, theirs: list[AccountKey]
    ) -> None:
        gateway.account.quirks = Quirks(page_size=2)  # between two pages a stop is heeded
        with _held_up(gateway, Phase.AFTER) as (there, go):
            process = rotator.start("prune", *self.ids(theirs), "--yes", "--json")
            assert there.wait(30)
            process.send_signal(signal.SIGTERM)
            go.set()
            out, log = process.communicate()
        assert process.returncode == 1
        first, second = json.loads(out)["keys"]
        assert first["error"]["message"].startswith(
            f"the answer was that key {theirs[0].id} is revoked, and no list"
        )
        assert (second["error"]["message"], second["error"]["cure"]) == (
            "stopped before it began",
            "run this again",
        )
        assert log.count("key.pruned") == 1
        assert [key.live for key in gateway.account.keys if key.title.startswith("by hand")] == [False, True]

    def test_of_two_at_once_both_end_well(
        self, rotator: Program, gateway: GatewayServer, theirs: list[AccountKey]
    ) -> None:
        with _held_up(gateway, Phase.BEFORE) as (there, go):
            first = rotator.start("prune", *self.ids(theirs), "--yes", "--json")
            assert there.wait(30)
            second = rotator.run("prune", *self.ids(theirs), "--yes", "--json")
            go.set()
            out, _ = first.communicate()
        assert (first.returncode, second.code) == (0, 0)
        assert [key["spared"] for key in json.loads(out)["keys"]] == [None, "dead"]
        assert [key["revoked"] for key in second.json["keys"]] == [True, True]


@contextmanager
def _held_up(gateway: GatewayServer, phase: Phase) -> Iterator[tuple[Event, Event]]:
    """The first DELETE sets one event, and waits for the other."""
    there, go = Event(), Event()

    def hook(method: str, _path: str, reached: Phase) -> None:
        if method == "DELETE" and reached is phase and not there.is_set():
            there.set()
            go.wait(30)

    gateway.hook = hook
    try:
        yield there, go
    finally:
        go.set()
        gateway.hook = None
