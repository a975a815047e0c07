"""Whatever the instruction at which the process dies, later passes put everything right.

The boundaries are recorded from the run itself: each request to either side, before and after its effect. A request
that is added tomorrow is covered tomorrow.
"""

import itertools
import signal
from pathlib import Path

import pytest

from rotator.sandbox.faults import Phase
from rotator.sandbox.vault import VaultServer
from tests.long import LONG, Figure
from tests.processes import Process
from tests.scenes import SCENES, Scene, due_with_a_revocation
from tests.stage import settle, staged


def kill(process: Process) -> None:
    process.kill()
    raise ConnectionResetError  # what was not forwarded yet never will be


def terminate(process: Process) -> None:
    process.send(signal.SIGTERM)


# Dead after one request or dead before the next one is the same to the world, as is asked to stop between the two.
# The long run does not take that for granted.
KILLED_AT = {Phase.BEFORE, Phase.AFTER} if LONG else {Phase.AFTER}
NEVER = 1_000_000
STOPPED_AT = {Phase.BEFORE, Phase.AFTER} if LONG else {Phase.BEFORE}


@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_every_boundary(
    scene: Scene, vault_server: VaultServer, tmp_path: Path, figure: Figure
) -> None:
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            scene(stage.world, stage.promises)
            code = stage.cross(at, KILLED_AT, kill)
            stage.promises.hold()
            settle(stage.world, stage.promises)
            if code is None:  # it ended before it got so far: there are no more
                assert len(stage.crossed) == at >= 4
                figure(f"{scene.__name__}: killed at {at} boundaries")
                break
            assert code == -signal.SIGKILL


@pytest.mark.parametrize("scene", SCENES)
def test_asked_to_stop_at_every_boundary(
    scene: Scene, vault_server: VaultServer, tmp_path: Path, figure: Figure
) -> None:
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            scene(stage.world, stage.promises)
            made = len(stage.world.server.account.ledger)
            code = stage.cross(at, STOPPED_AT, terminate)
            stage.promises.hold()
            created = stage.world.server.account.ledger[made:]
            published = {stage.world.secret(key.path).get("api_key") for key in stage.world.keys}
            # What was created was stored too, or revoked because somebody else was first.
            assert all(key.plaintext in published or not key.live for key in created)
            if code is None:
                figure(f"{scene.__name__}: asked to stop at {at} boundaries")
                break
            assert code == 0


def test_the_long_running_mode_asked_to_stop_at_every_boundary(
    vault_server: VaultServer, tmp_path: Path, figure: Figure
) -> None:
    with staged(vault_server, tmp_path / "recorded") as stage:
        due_with_a_revocation(stage.world, stage.promises)
        assert stage.cross(NEVER, STOPPED_AT, terminate) is None
        boundaries = len(stage.crossed)
    for at in range(boundaries):
        with staged(vault_server, tmp_path / str(at)) as stage:
            due_with_a_revocation(stage.world, stage.promises)
            made = len(stage.world.server.account.ledger)
            assert stage.cross(at, STOPPED_AT, terminate, mode="") == 0
            stage.promises.hold()
            published = stage.world.secret()["api_key"]
            created = stage.world.server.account.ledger[made:]
            assert all(key.plaintext == published or not key.live for key in created)
    figure(f"long-running: asked to stop at {boundaries} boundaries")
