"""Whatever fails, what is printed and logged says what to do about it, or that it is tried again."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

import rotator.passes.rollback
import rotator.sandbox.vault  # noqa: F401  # so that every kind of failure is there
from rotator.commands.output import Output
from rotator.errors import ConfigError, RotatorError
from rotator.passes.result import Outcome
from rotator.passes.stopping import Stopped
from rotator.printing.log import log_failure
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.show.pass_table import render
from tests.logs import captured
from tests.program import Program
from tests.shown import one, together
from tests.world import World


def kinds(kind: type[RotatorError] = RotatorError) -> Iterator[type[RotatorError]]:
    """Every kind of failure of this program."""
    yield kind
    for child in kind.__subclasses__():
        yield from kinds(child)


def bare(kind: type[RotatorError]) -> RotatorError:
    """A failure without a cure, however its kind is made."""
    error = kind.__new__(kind)
    RotatorError.__init__(error, "it failed", request_id="req_7")
    return error


KINDS = sorted(set(kinds()), key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole", [True, False])
def test_a_pass_says_what_comes_next(kind: type[RotatorError], whole: bool) -> None:
    error = bare(kind)
    result = together(one(1, outcome=Outcome.FAILED, errors=() if whole else (error,)))
    lines = render(replace(result, refused=error if whole else None), Console(width=120)).splitlines()
    [at] = [at for at, line in enumerate(lines) if line.endswith("it failed (request_id req_7)")]
    assert lines[at + 1] == "  retry: the next pass tries again"
    error.cure = "mend it"
    lines = render(replace(result, refused=error if whole else None), Console(width=120)).splitlines()
    assert lines[at + 1] == "  cure: mend it"


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_says_what_comes_next(kind: type[RotatorError]) -> None:
    with captured() as out:
        log_failure("rotation.failed", bare(kind))
    assert json.loads(out.getvalue())["cure"] == "the next pass tries again"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not issubclass(kind, (Stopped, ConfigError))])
@pytest.mark.parametrize(
    ("command", "says"), [("reconcile", "the next pass tries again"), ("status", "run this again")]
)
def test_a_command_that_cannot_go_on_says_what_comes_next(
    kind: type[RotatorError], command: str, says: str
) -> None:
    with captured() as out:
        Output(command=command).complain(bare(kind))
    assert json.loads(out.getvalue())["cure"] == says


@pytest.mark.parametrize("as_log", [True, False])
def test_a_500_of_a_create_names_the_support_and_the_request(
    rotator: Program, gateway: GatewayServer, as_log: bool
) -> None:
    gateway.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
    done = rotator.run("--once")
    said = done.err if as_log else " ".join(done.out.split())
    assert (
        "the next pass tries again; if it lasts, ask the gateway's support, and name the request_id" in said
    )
    assert "req_" in said


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_pass_repeats_is_run_again(kind: type[RotatorError]) -> None:
    for cure, says in (
        (None, "run it again: `rotator x`"),
        ("the next pass tries again; if it lasts, ask", "run it again: `rotator x`; if it lasts, ask"),
        ("mend it", "mend it; then run it again: `rotator x`"),
        ("look; if there is none, run this again", "look; if there is none, run this again"),
    ):
        error = bare(kind)
        error.cure = cure
        again = error.again("rotator x")
        assert (type(again), again.message, again.request_id, again.cure) == (
            kind,
            "it failed",
            "req_7",
            says,
        )
        assert error.cure == cure
        assert again.again("rotator x").cure == says


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_forced_rotation_that_failed_is_not_left_to_the_next_pass(world: World, status: int) -> None:
    """Nothing remembers that it was forced."""
    world.one()
    world.server.faults.add(Fault("POST /keys", Status(status), at=Phase.AFTER, times=ALWAYS))
    said = render(world.make_pass(forced=True), Console(width=120))
    assert "rotator --rotate-now --key 'Backend'\n" in said
    assert "next pass" not in said
    assert "in 7d" in said.splitlines()[1]


def test_one_that_is_due_anyway_the_next_pass_does(world: World) -> None:
    world.one()
    world.advance(8)
    world.server.faults.add(Fault("POST /keys", Status(400), times=ALWAYS))
    said = render(world.make_pass(forced=True), Console(width=120))
    assert "next pass" in said
    assert "--rotate-now" not in said


def test_a_forced_rotation_that_is_held_is_asked_for_again(world: World) -> None:
    world.one()
    world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
    world.make_pass(forced=True)
    said = render(world.make_pass(forced=True), Console(width=120))
    assert "held: backing_off" in said
    assert "then run it again: rotator --rotate-now --key 'Backend' " in " ".join(said.split())


def test_every_kind_was_found() -> None:
    assert len(KINDS) > 12
