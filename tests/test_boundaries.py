"""Whatever the instruction at which the process dies, later passes put everything right.

The boundaries are recorded from the run itself: each request to either side, before and after its effect. A request
that is added tomorrow is covered tomorrow.
"""

import itertools
import signal
from pathlib import Path

import pytest

from rotator.sandbox.vault import VaultServer
from tests.long import Figure
from tests.scenes import SCENES, Scene, due_with_a_revocation, lost_race, rotated
from tests.stage import KILLED_AT, LEAST, STOPPED_AT, Stage, kill, settle, staged, terminate

NEVER = 1_000_000


def stop_at(stage: Stage, at: int, scene: Scene, mode: str) -> int | None:
    """Ask to stop at a boundary of the scene. What was created is stored or, where another was first, revoked."""
    scene(stage.world, stage.promises)
    made = len(stage.world.server.account.keys)
    code = stage.cross(at, STOPPED_AT, terminate, mode)
    stage.promises.hold()
    created = stage.world.server.account.keys[made:]
    published = {stage.world.secret(key.path).get("api_key") for key in stage.world.keys}
    lost = [key for key in created if key.plaintext not in published]
    assert not lost or scene is lost_race
    assert not any(key.live for key in lost)
    return code


@pytest.mark.parametrize(
    ("mode", "scene"), [*(("--once", scene) for scene in SCENES), ("rollback --key Backend", rotated)]
)
def test_killed_at_every_boundary(
    mode: str, scene: Scene, vault_server: VaultServer, tmp_path: Path, figure: Figure
) -> None:
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            scene(stage.world, stage.promises)
            code = stage.cross(at, KILLED_AT, kill, mode)
            stage.promises.hold()
            settle(stage.world, stage.promises)
            if code is None:  # it ended before it got so far: there are no more
                assert len(stage.crossed) == at >= LEAST
                figure(f"{scene.__name__}: killed at {at} boundaries")
                break
            assert code == -signal.SIGKILL


@pytest.mark.parametrize("scene", SCENES)
def test_asked_to_stop_at_every_boundary(
    scene: Scene, vault_server: VaultServer, tmp_path: Path, figure: Figure
) -> None:
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            code = stop_at(stage, at, scene, "--once")
            if code is None:
                assert len(stage.crossed) == at >= LEAST
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
    assert boundaries >= LEAST
    for at in range(boundaries):
        with staged(vault_server, tmp_path / str(at)) as stage:
            assert stop_at(stage, at, due_with_a_revocation, "") == 0
    figure(f"long-running: asked to stop at {boundaries} boundaries")
