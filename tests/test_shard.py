"""Shares of an account: every managed key in exactly one of them, and in the same one for ever."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.rules.shard import MAX_COUNT, Shard, parse_shard
from rotator.sandbox.faults import Phase
from rotator.sandbox.vault import VaultServer
from tests.facts import managed
from tests.processes import Process
from tests.program import Program
from tests.stage import BEARER, Stage, settle, staged
from tests.world import World

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABC019 ._/-", min_size=1, max_size=64)


@given(NAMES, st.integers(1, 200))
def test_every_key_is_in_exactly_one(name: str, count: int) -> None:
    assert sum(Shard(index, count).holds(name) for index in range(count)) == 1


def test_a_key_stays_where_it_is() -> None:
    """Another way to share them would move keys from pod to pod in the middle of a rollout."""
    where = [next(index for index in range(4) if Shard(index, 4).holds(name)) for name in "abcdefgh"]
    assert where == [2, 2, 2, 1, 2, 2, 1, 3]


def test_shares_are_about_equal() -> None:
    counts = [sum(Shard(index, 4).holds(f"Service {n}") for n in range(1000)) for index in range(4)]
    assert all(200 < count < 300 for count in counts)


@pytest.mark.parametrize("text", ["0/1", "3/4", f"0/{MAX_COUNT}"])
def test_what_is_written_reads_back(text: str) -> None:
    assert str(parse_shard(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "/", "1/", "/4", "4/4", "0/0", "-1/4", "1/2/3", "a/4", "²/4", " 1/4", "0/10001"),
        pytest.param("0/" + "9" * 5000, id="more digits than Python reads"),
    ],
)
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 0/4"):
        parse_shard(text)


def test_each_pass_acts_on_its_share_and_on_nothing_else(world: World) -> None:
    world.keys = tuple(replace(managed(), name=f"Service {n}", path=f"apimall/{n}") for n in range(12))
    world.bearer_path = "apimall/3"
    seen: list[str] = []
    for index in range(3):
        world.shard = Shard(index, 3)
        result = world.make_pass()
        assert result.converged
        assert result.rotated == len(result.keys)
        seen += [key.key.name for key in result.keys]
        assert len(world.server.account.keys) == 1 + len(seen)
    assert sorted(seen) == sorted(key.name for key in world.keys)


def test_a_share_of_nothing_acts_on_nothing(world: World) -> None:
    world.shard = next(shard for shard in (Shard(0, 2), Shard(1, 2)) if not shard.holds("Backend"))
    result = world.make_pass(forced=True)
    assert (result.keys, result.converged) == ((), True)
    assert len(world.server.account.keys) == 1


class TestTheProgram:
    def test_a_key_that_was_asked_for_and_is_of_another_shard_is_named(self, rotator: Program) -> None:
        rotator.config["keys"] = [{"name": "Backend", "path": "app/backend"}]
        without = next(shard for shard in all_of(2) if not shard.holds("Backend"))
        run = rotator.run("--rotate-now", "--key", "Backend", "--shard", str(without))
        assert run.code == 0
        [told] = [event for event in run.events if event["level"] == "warning"]
        assert (told["event"], told["key"], told["shard"]) == ("shard.left_out", "Backend", str(without))

    def test_by_option_and_by_the_environment_of_an_indexed_job(self, rotator: Program) -> None:
        rotator.config["keys"] = [{"name": f"K{n}", "path": f"app/{n}"} for n in range(4)]
        made: list[str] = []
        for index, how in enumerate(("option", "environment")):
            if how == "environment":
                rotator.environ |= {"JOB_COMPLETION_INDEX": str(index), "ROTATOR_SHARDS": "2"}
            run = rotator.run("--once", "--json", *(["--shard", f"{index}/2"] if how == "option" else []))
            assert run.code == 0
            made += [key["name"] for key in json.loads(run.out)["keys"]]
        assert sorted(made) == ["K0", "K1", "K2", "K3"]

    @pytest.mark.parametrize(
        ("environ", "says"),
        [
            (
                {"ROTATOR_SHARDS": "4"},
                "ROTATOR_SHARDS without JOB_COMPLETION_INDEX; run it in an Indexed Job",
            ),
            ({"ROTATOR_SHARDS": "4", "JOB_COMPLETION_INDEX": "4"}, "make no shard; the index counts from 0"),
            ({"ROTATOR_SHARDS": "", "JOB_COMPLETION_INDEX": "0"}, "make no shard"),
        ],
    )
    def test_a_wrong_environment(self, rotator: Program, environ: dict[str, str], says: str) -> None:
        rotator.environ |= environ
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 2
        assert says in run.err

    def test_a_wrong_option(self, rotator: Program) -> None:
        run = rotator.run("--once", "--shard", "4/4")
        assert run.code == 2
        assert "--shard is not a shard; write I/N with I from 0 to N-1, such as 0/4" in run.err

    def test_the_sandbox_has_no_shares(self, rotator: Program) -> None:
        run = rotator.run("--shard", "0/2", "sandbox")
        assert (run.code, "do not apply to sandbox" in run.err) == (2, True)

    def test_an_index_alone_is_any_indexed_jobs(self, rotator: Program) -> None:
        rotator.environ["JOB_COMPLETION_INDEX"] = "7"
        assert rotator.run("--once").code == 0


def all_of(count: int) -> list[Shard]:
    return [Shard(index, count) for index in range(count)]


def start(stage: Stage, shards: Iterable[Shard]) -> list[Process]:
    return [stage.start("--once", "--shard", str(shard)) for shard in shards]


def made(stage: Stage, shards: Iterable[Shard]) -> dict[str, int]:
    """Run them all at once; return how many keys were made for each managed key."""
    before = len(stage.world.server.account.keys)
    assert {process.wait() for process in start(stage, shards)} == {0}
    stage.promises.hold()
    return Counter(key.title.partition(" [")[0] for key in stage.world.server.account.keys[before:])


def exchange(world: World, one: str, other: str) -> None:
    """Somebody puts each of two secrets where the other was."""
    first, second = world.store.read(one), world.store.read(other)
    world.store.write(one, second.data or {}, cas=first.number)
    world.store.write(other, first.data or {}, cas=second.number)


def kill_at_a_create(stage: Stage, shards: Iterable[Shard]) -> None:
    """Kill them all when a key was made, and its plaintext not yet stored."""
    processes: list[Process] = []

    def boundary(method: str, _path: str, phase: Phase) -> None:
        if method == "POST" and phase is Phase.AFTER:
            for process in processes:
                with suppress(ProcessLookupError):  # it has ended
                    process.kill()

    stage.world.server.hook = boundary
    processes += start(stage, shards)
    assert -9 in [process.wait() for process in processes]
    stage.world.server.hook = None
    stage.promises.hold()


def test_processes_that_come_and_go(vault_server: VaultServer, tmp_path: Path) -> None:
    """Three, then five without the bearer's, then both at once; killed; and in the end no shards at all."""
    with staged(vault_server, tmp_path / "stage") as stage:
        world = stage.world
        services = (replace(managed(), name=f"Service {n}", path=f"apimall/{n}") for n in range(7))
        world.keys = (*services, replace(managed(), name="Rotator", path=BEARER))
        world.bearer_path = BEARER
        assert made(stage, all_of(3)) == {key.name: 1 for key in world.keys}

        missing = next(shard for shard in all_of(5) if shard.holds("Rotator"))
        others = [shard for shard in all_of(5) if shard != missing]
        paths = {shard: key.path for shard in others for key in world.keys if shard.holds(key.name)}
        exchange(world, *list(paths.values())[:2])  # what each shard made is now the other's to protect
        for _ in range(2):
            assert made(stage, others) == {}
            world.advance(1)

        world.advance(5)
        theirs = {key.name: 1 for key in world.keys if not missing.holds(key.name)}
        assert made(stage, others) == theirs
        kill_at_a_create(stage, [*all_of(3), *all_of(5)])
        world.advance(0, minutes=3)
        left = made(stage, [*all_of(3), *all_of(5)])
        assert left.keys() == {key.name for key in world.keys} - theirs.keys()
        assert max(left.values()) <= 2
        settle(world, stage.promises)
