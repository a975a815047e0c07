"""Whatever the instruction at which the process dies, later passes put everything right.

The boundaries are recorded from the run itself: each request to either side, before and after its effect. A request
that is added tomorrow is covered tomorrow.
"""

import itertools
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rotator.bookkeeping import Rotation
from rotator.sandbox.faults import Fault, Phase, Reply, Status
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH, managed
from tests.long import LONG
from tests.processes import Process
from tests.stage import BEARER, Stage, settle, staged


def kill(process: Process) -> None:
    process.kill()
    raise ConnectionResetError  # what was not forwarded yet never will be


def terminate(process: Process) -> None:
    process.send(signal.SIGTERM)


def missing(stage: Stage) -> None:
    """Nothing is there yet, not even an identity."""


def due(stage: Stage) -> None:
    stage.world.make_pass()
    stage.world.advance(7)


def due_with_a_revocation(stage: Stage) -> None:
    due(stage)
    stage.world.make_pass()
    stage.world.advance(7)


def sweep(stage: Stage) -> None:
    stage.world.make_pass()
    stage.world.advance(1)
    stage.world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=2))
    stage.world.make_pass(forced=True)
    stage.world.advance(1, minutes=16)


def adoption(stage: Stage) -> None:
    by_hand = stage.promises.by_hand("made by hand")
    stage.world.store.write(PATH, {"api_key": by_hand.plaintext, "note": "keep me"}, cas=0)


def record(stage: Stage) -> None:
    """Somebody wrote a secret, with its bookkeeping, over ours."""
    stage.world.make_pass()
    by_hand = stage.promises.by_hand("made by hand")
    rotation = Rotation(by_hand.id, by_hand.title, by_hand.created_at, by_hand.created_at, {})
    stage.world.store.write(PATH, rotation.merged_into({"api_key": by_hand.plaintext}), cas=1)


def lost_race(stage: Stage) -> None:
    """Somebody puts another key into the secret between our create and our store."""
    due(stage)
    secret = {**stage.world.secret(), "api_key": stage.promises.by_hand("by hand").plaintext}

    def rival(reply: Reply | None) -> Reply | None:
        stage.world.store.write(PATH, secret, cas=1)
        return reply

    stage.world.server.faults.add(Fault("POST /keys", rival, at=Phase.AFTER))


def bearer(stage: Stage) -> None:
    stage.world.keys = (managed(), replace(managed(), name="Rotator", path=BEARER))
    stage.world.bearer_path = BEARER
    due_with_a_revocation(stage)


# Dead after one request or dead before the next one is the same to the world, as is asked to stop between the two.
# The long run does not take that for granted.
KILLED_AT = {Phase.BEFORE, Phase.AFTER} if LONG else {Phase.AFTER}
STOPPED_AT = {Phase.BEFORE, Phase.AFTER} if LONG else {Phase.BEFORE}

SCENES = [missing, due, due_with_a_revocation, sweep, adoption, record, lost_race, bearer]


@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_every_boundary(
    scene: Callable[[Stage], None], vault_server: VaultServer, tmp_path: Path
) -> None:
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            scene(stage)
            code = stage.cross(at, KILLED_AT, kill)
            stage.promises.hold()
            settle(stage.world, stage.promises)
            if code is None:  # it ended before it got so far: there are no more
                assert len(stage.crossed) == at >= 4
                print(f"{scene.__name__}: killed at {at} boundaries")
                break
            assert code == -signal.SIGKILL


@pytest.mark.parametrize("scene", SCENES)
def test_asked_to_stop_at_every_boundary(
    scene: Callable[[Stage], None], vault_server: VaultServer, tmp_path: Path
) -> None:
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            scene(stage)
            made = len(stage.world.server.account.ledger)
            code = stage.cross(at, STOPPED_AT, terminate)
            stage.promises.hold()
            created = stage.world.server.account.ledger[made:]
            published = {stage.world.secret(key.path).get("api_key") for key in stage.world.keys}
            # What was created was stored too, or revoked because somebody else was first.
            assert all(key.plaintext in published or not key.live for key in created)
            if code is None:
                print(f"{scene.__name__}: asked to stop at {at} boundaries")
                break
            assert code == 0
