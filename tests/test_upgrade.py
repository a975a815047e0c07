"""What version 0.1.0 leaves behind converges under the present release, and the two do no harm side by side.

Each state is made by the old release itself. After every pass of either: the current key works, no key was revoked
in its grace, a person's keys and fields are as they were, and each other live key is named in the result.
"""

import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from rotator.errors import Rejected
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.vault import VaultServer
from tests import old_release
from tests.facts import PATH, managed
from tests.long import LONG, Figure, examples
from tests.processes import Process
from tests.stage import BEARER, staged_as
from tests.upgrade import NEIGHBOURS, OLD, PRESENT, RELEASES, Crossing, Release

SECOND = "apimall/second"
STORE = "POST /v1/*/data/" + PATH
LEAK = ("--rotate-now", "--revoke-old-now", "--yes", "--key", "Backend")

State = Callable[[Crossing], None]


def first(stage: Crossing) -> None:
    stage.run(OLD, "--once")


def superseded(stage: Crossing) -> None:
    first(stage)
    stage.world.advance(7)
    stage.run(OLD, "--once")


def mid_grace(stage: Crossing) -> None:
    superseded(stage)
    stage.world.advance(0.5)
    stage.run(OLD, "--once")


def grace_over(stage: Crossing) -> None:
    """A whole weekend without a pass."""
    superseded(stage)
    stage.world.advance(3)


def several_superseded(stage: Crossing) -> None:
    superseded(stage)
    for _ in range(3):
        stage.world.advance(0.1)
        stage.run(OLD, "--rotate-now")


def nothing_but_an_identity(stage: Crossing) -> None:
    stage.killed(OLD, "POST /v1/*/data/rotator/installation")


def adopted(stage: Crossing) -> None:
    by_hand = stage.promises.by_hand("made by hand")
    stage.world.store.write(PATH, {**NEIGHBOURS, "api_key": by_hand.plaintext}, cas=1)
    stage.run(OLD, "--once")


def adopted_and_superseded(stage: Crossing) -> None:
    adopted(stage)
    stage.world.advance(7)
    stage.run(OLD, "--once")


def adopted_to_be_revoked(stage: Crossing) -> None:
    """The operator gave it up, so that it is no longer somebody else's."""
    stage.fields["defaults"] = {"revoke_adopted": True}
    by_hand = stage.world.server.account.create("made by hand")
    stage.world.store.write(PATH, {**NEIGHBOURS, "api_key": by_hand.plaintext}, cas=1)
    stage.run(OLD, "--once")
    stage.world.advance(7)
    stage.run(OLD, "--once")


def put_over_ours(stage: Crossing) -> None:
    superseded(stage)
    by_hand = stage.promises.by_hand("made by hand")
    number = stage.world.store.read(PATH).number
    stage.world.store.write(PATH, {**stage.world.secret(), "api_key": by_hand.plaintext}, cas=number)


def young_orphan(stage: Crossing) -> None:
    first(stage)
    stage.world.advance(7)
    stage.killed(OLD, "POST /keys")


def old_orphan(stage: Crossing) -> None:
    young_orphan(stage)
    stage.world.advance(0, minutes=16)


def orphan_of_the_first_rotation(stage: Crossing) -> None:
    stage.killed(OLD, "POST /keys")


def orphan_beside_a_rotation(stage: Crossing) -> None:
    """The answer to a create was lost; the next attempt was stored."""
    first(stage)
    stage.world.advance(7)
    stage.world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER))
    stage.run(OLD, "--once")


def three_orphans(stage: Crossing) -> None:
    for _ in range(3):
        stage.killed(OLD, "POST /keys", "--rotate-now")


def stored_and_killed(stage: Crossing) -> None:
    first(stage)
    stage.world.advance(7)
    stage.killed(OLD, STORE, nth=2)  # after the claim


def claimed_and_killed(stage: Crossing) -> None:
    first(stage)
    stage.world.advance(7)
    stage.killed(OLD, STORE)


def fenced_and_killed(stage: Crossing) -> None:
    """The block says that the key has no grace; it lives."""
    superseded(stage)
    stage.world.advance(1, minutes=1)
    stage.killed(OLD, "DELETE /keys/*", phase=Phase.BEFORE)


def revoked_and_killed(stage: Crossing) -> None:
    superseded(stage)
    stage.world.advance(1, minutes=1)
    stage.killed(OLD, "DELETE /keys/*")


def leaked(stage: Crossing) -> None:
    superseded(stage)
    stage.promises.leak(PATH)
    stage.run(OLD, *LEAK)


def leaked_and_killed(stage: Crossing) -> None:
    superseded(stage)
    stage.promises.leak(PATH)
    stage.killed(OLD, "DELETE /keys/*", *LEAK, phase=Phase.BEFORE)


def leaked_and_delete_failed(stage: Crossing) -> None:
    superseded(stage)
    stage.promises.leak(PATH)
    stage.world.server.faults.add(Fault("DELETE *", Status(409), times=ALWAYS))
    stage.run(OLD, *LEAK, code=1)
    stage.world.server.faults.clear()


def rolled_back(stage: Crossing) -> None:
    superseded(stage)
    stage.run(OLD, "rollback", "--key", "Backend")


def restored_by_hand(stage: Crossing) -> None:
    """An older version was put back, which no pass of the old release has seen."""
    superseded(stage)
    stage.world.advance(0.3)
    older = next(
        data
        for number in range(stage.world.store.read(PATH).number - 1, 0, -1)
        if (data := stage.world.store.read(PATH, number).data or {}).get("api_key")
        not in (None, stage.world.secret()["api_key"])
    )
    stage.world.store.write(PATH, older, cas=stage.world.store.read(PATH).number)


def deleted_by_hand(stage: Crossing) -> None:
    """A person deleted the version that held the current key: what it held can no longer be proved."""
    superseded(stage)
    address = f"{stage.proxy.address}/v1/{stage.mount}/data/{PATH}"
    headers = {"X-Vault-Token": stage.environ["VAULT_TOKEN"]}
    with urlopen(Request(address, method="DELETE", headers=headers)):
        stage.promises.note(PATH, None)
    stage.bare = True
    stage.unprovable = True


def bearer(stage: Crossing) -> None:
    _two(stage, "Rotator", BEARER)
    stage.world.bearer_path = BEARER
    superseded(stage)


def bearer_leaked(stage: Crossing) -> None:
    bearer(stage)
    stage.promises.leak(BEARER)
    stage.killed(OLD, "DELETE /keys/*", *LEAK[:-1], "Rotator", phase=Phase.BEFORE)


def two_keys(stage: Crossing) -> None:
    _two(stage, "Second", SECOND)
    superseded(stage)


def shared(stage: Crossing) -> None:
    """A key of ours stands in two secrets; one of them was rotated."""
    _two(stage, "Second", SECOND)
    stage.run(OLD, "--once", "--key", "Backend")
    stage.world.store.write(SECOND, stage.world.secret(), cas=1)
    stage.run(OLD, "--once")
    stage.run(OLD, "--rotate-now", "--key", "Backend")


def strangers(stage: Crossing) -> None:
    """Keys of other installations and entries stand beside ours; they are not ours to touch."""
    superseded(stage)
    ours = stage.world.rotation()["title"]
    stage.promises.by_hand(ours.replace("Backend", "Retired"))
    stage.promises.by_hand(ours[:31] + "abcdef" + ours[37:])
    stage.promises.by_hand("Backend")
    stage.run(OLD, "--once")


def _two(stage: Crossing, name: str, path: str) -> None:
    stage.world.keys = (managed(), replace(managed(), name=name, path=path))
    stage.world.store.write(path, NEIGHBOURS, cas=0)


STATES: list[State] = [
    first,
    superseded,
    mid_grace,
    grace_over,
    several_superseded,
    nothing_but_an_identity,
    adopted,
    adopted_and_superseded,
    adopted_to_be_revoked,
    put_over_ours,
    young_orphan,
    old_orphan,
    orphan_of_the_first_rotation,
    orphan_beside_a_rotation,
    three_orphans,
    stored_and_killed,
    claimed_and_killed,
    fenced_and_killed,
    revoked_and_killed,
    leaked,
    leaked_and_killed,
    leaked_and_delete_failed,
    rolled_back,
    restored_by_hand,
    deleted_by_hand,
    bearer,
    bearer_leaked,
    two_keys,
    shared,
    strangers,
]
LEAKS = {leaked, leaked_and_killed, leaked_and_delete_failed}
BARE = {orphan_of_the_first_rotation, nothing_but_an_identity}
"""Nothing at all is at the path: a secret that a person prepared is not there."""


def begin(stage: Crossing, state: State) -> None:
    stage.bare = state in BARE
    if not stage.bare:
        stage.until(lambda: _written(stage))
    state(stage)
    stage.check(set())


def _written(stage: Crossing) -> bool:
    """A mount that was just made is not ready for a moment."""
    with suppress(Rejected):
        return stage.world.store.write(PATH, NEIGHBOURS, cas=0) == 1
    return False


def go_on(stage: Crossing, release: Release, minutes: tuple[float, ...], code: int | None = 0) -> None:
    """Make a pass after each of these waits. With `code` None one may say that it holds back."""
    for wait in minutes:
        stage.world.advance(0, minutes=wait)
        stage.make_pass(release, code=code)


DAY = 24 * 60
ALL_GRACES_OVER = (3, 15, DAY / 2, DAY / 2, DAY)
A_ROTATION = (7 * DAY, DAY + 1, 1)


def all_is_over(stage: Crossing) -> None:
    """What was published is revoked; what may stay is named in each result, as `make_pass` sees to."""
    assert stage.unprovable or stage.left_of_published == set()
    for key in stage.world.keys:
        assert stage.world.works(key.path)
    assert {key.id for key in stage.world.live} >= {id_ for id_ in stage.promises.others if id_ > 1}


def test_it_is_the_old_release() -> None:
    assert old_release.call("-m", "rotator", "--version") == "rotator, version 0.1.0\n"
    where = old_release.call(
        "-c", "import rotator, rotator.act; print(rotator.__file__, rotator.act.__file__)"
    )
    here = Path(__file__).parent.parent
    assert all(not Path(file).is_relative_to(here) for file in where.split())
    assert len(where.split()) == 2


@pytest.mark.parametrize("state", STATES)
def test_what_the_old_release_leaves_converges(
    state: State, vault_server: VaultServer, tmp_path: Path
) -> None:
    with staged_as(Crossing, vault_server, tmp_path / "stage") as stage:
        begin(stage, state)
        exposed = stage.left_of_published if state in LEAKS else set()
        stage.make_pass(PRESENT, code=None)
        assert not exposed & stage.left, "a leaked key has no grace"
        go_on(stage, PRESENT, ALL_GRACES_OVER, code=None)
        all_is_over(stage)
        go_on(stage, PRESENT, A_ROTATION)
        all_is_over(stage)


BACK = STATES if LONG else [adopted_to_be_revoked, old_orphan, bearer]


@pytest.mark.parametrize("state", BACK)
def test_there_and_back(state: State, vault_server: VaultServer, tmp_path: Path) -> None:
    """The present release is tried, given up, and taken again."""
    with staged_as(Crossing, vault_server, tmp_path / "stage") as stage:
        begin(stage, state)
        go_on(stage, PRESENT, (0, 7 * DAY, 20))
        go_on(stage, OLD, (3, 17, DAY, *A_ROTATION))
        go_on(stage, PRESENT, (0, *A_ROTATION, *A_ROTATION))
        all_is_over(stage)


@pytest.mark.parametrize("seed", range(examples(3, 60)))
def test_in_turns(seed: int, vault_server: VaultServer, tmp_path: Path, figure: Figure) -> None:
    """A rollout in which anybody makes the next pass, whenever; some die in it."""
    chance = random.Random(seed)
    with staged_as(Crossing, vault_server, tmp_path / "stage") as stage:
        if chance.random() < 0.5:
            _two(stage, *chance.choice([("Second", SECOND), ("Rotator", BEARER)]))
            stage.world.bearer_path = BEARER if stage.world.keys[1].path == BEARER else None
        begin(stage, first)
        for _ in range(12):
            stage.world.advance(0, minutes=chance.choice([0, 1, 3, 16, DAY / 2, DAY, 3 * DAY, 7 * DAY]))
            release = chance.choice(RELEASES)
            match chance.randrange(8):
                case 0:
                    stage.make_pass(release, "--rotate-now")
                case 1:
                    stage.run(release, "rollback", "--key", "Backend", code=None)
                    stage.check({PATH})
                case 2:
                    stage.release = release
                    stage.cross(chance.randrange(12), {Phase.AFTER}, lambda process: process.kill())
                    stage.world.server.hook = stage.look
                    stage.check({PATH})
                case _:
                    stage.make_pass(release)
        go_on(stage, PRESENT, (16, *A_ROTATION, *A_ROTATION))
        all_is_over(stage)
        figure(
            f"old and new in turns, seed {seed}: {stage.runs} runs, {len(stage.world.server.account.keys)} keys"
        )


@pytest.mark.parametrize("options", [("--once",), ("--rotate-now",)])
def test_at_once(options: tuple[str, ...], vault_server: VaultServer, tmp_path: Path, figure: Figure) -> None:
    with staged_as(Crossing, vault_server, tmp_path / "stage") as stage:
        begin(stage, lambda _stage: None)
        for wait in (0, 7 * DAY, DAY + 1, 6 * DAY) * examples(1, 10):
            stage.world.advance(0, minutes=wait)
            worked = {PATH} & {path for path, plaintext in stage.promises.current.items() if plaintext}
            running = [stage.begin(release, *options) for release in (*RELEASES, *RELEASES)]
            assert {process.wait() for process in running} <= {0, 1}
            stage.check(worked)
            assert stage.world.works()
        made = len(stage.world.server.account.keys) - 1
        figure(f"two old and two new at once, {options[0]}: {made} keys made")
        go_on(stage, PRESENT, (16, *A_ROTATION, *A_ROTATION))
        all_is_over(stage)


@pytest.mark.parametrize("stands", RELEASES, ids=lambda release: f"{release.name} stands")
def test_one_stands_while_the_other_makes_a_pass(
    stands: Release, vault_server: VaultServer, tmp_path: Path, figure: Figure
) -> None:
    """At each request of a pass that rotates and revokes, in both directions."""
    other = PRESENT if stands is OLD else OLD
    at, step = (0, 1) if LONG else (RELEASES.index(stands), 3)
    while True:
        with staged_as(Crossing, vault_server, tmp_path / str(at)) as stage:
            begin(stage, superseded)
            stage.world.advance(7)
            stage.release = stands
            meanwhile: list[int] = []

            def other_pass(
                _process: Process, stage: Crossing = stage, meanwhile: list[int] = meanwhile
            ) -> None:
                meanwhile.append(stage.begin(other, "--once").wait())

            code = stage.cross(at, {Phase.BEFORE}, other_pass)
            stage.world.server.hook = stage.look
            stage.check({PATH})
            if code is None:
                break
            assert {code, *meanwhile} == {0}
            go_on(stage, PRESENT, (16, DAY + 1, 1))
            all_is_over(stage)
            assert stage.left == set()
        at += step
    figure(f"{stands.name} stands at every {step}. of {at} requests, {other.name} makes a pass")


def test_both_for_a_while(vault_server: VaultServer, tmp_path: Path) -> None:
    """The long-running modes of both, as in a rollout of a deployment."""
    with staged_as(Crossing, vault_server, tmp_path / "stage") as stage:
        begin(stage, first)
        stage.fields["schedule"] = {"every": "1s", "jitter": "0s"}
        running = {release: stage.begin(release) for release in RELEASES}
        for days in (7, 1.1, 6, 1.1):
            passes = {release: _passes(process) for release, process in running.items()}
            stage.world.advance(days)
            for release, process in running.items():
                before = passes[release]
                stage.until(lambda process=process, before=before: _passes(process) > before + 1)  # type: ignore[misc]
            stage.check({PATH})
        for process in running.values():
            process.send(signal.SIGTERM)
        assert [process.wait() for process in running.values()] == [0, 0]
        go_on(stage, PRESENT, (16, DAY + 1, 1))
        all_is_over(stage)
        assert len(stage.world.server.account.keys) <= 6


def _passes(process: Process) -> int:
    log = process.err.read_text() if process.err.exists() else ""
    return log.count('"event": "reconcile.finished"')
