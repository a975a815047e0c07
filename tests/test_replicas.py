"""Eight rotators at once: one current key, the losers revoked, and hardly more keys made than are needed."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from rotator.sandbox.vault import VaultServer
from tests.facts import TIMING
from tests.interleave import interleave
from tests.long import Figure, examples
from tests.memory_store import MemoryStore
from tests.processes import Process
from tests.promises import Promises
from tests.stage import Stage, settle, staged
from tests.world import Gate, World, new_server

REPLICAS = 8


def _one_round(stage: Stage, *options: str) -> tuple[list[int], int]:
    """Start them all at once; return their exit codes, and how many keys they made."""
    made = len(stage.world.server.account.keys)
    processes: list[Process] = [stage.start(*options) for _ in range(REPLICAS)]
    codes = [process.wait() for process in processes]
    stage.promises.hold()
    return codes, len(stage.world.server.account.keys) - made


@pytest.mark.parametrize("options", [("--once",), ("--rotate-now",)])
def test_eight_processes(
    vault_server: VaultServer, tmp_path: Path, options: tuple[str, ...], figure: Figure
) -> None:
    made: dict[str, list[int]] = {"first": [], "later": []}
    for number in range(examples(2, 50)):
        with staged(vault_server, tmp_path / str(number)) as stage:
            rotation = ("first", "later")[number % 2]
            if rotation == "later":
                stage.world.make_pass()
                stage.world.advance(7)
            codes, keys = _one_round(stage, *options)
            made[rotation].append(keys)
            # A forced one that was overtaken by a write that rotated nothing says so.
            assert set(codes) <= ({0} if options == ("--once",) else {0, 1})
            assert stage.world.works()
            current = stage.world.rotation()["key_id"]
            unpublished = {key.id for key in stage.world.live} - {current, *_superseded(stage.world)}
            assert unpublished == set()
            settle(stage.world, stage.promises)
    for rotation, keys_made in made.items():
        mean = sum(keys_made) / len(keys_made)
        figure(f"{options[0]}, {rotation} rotation: {mean:.2f} keys made, at most {max(keys_made)}")


def _superseded(world: World) -> set[int]:
    return {int(id_) for id_ in world.rotation()["superseded"]}


def _replica(world: World, gate: Gate, *, forced: bool) -> None:
    world.make_pass(forced=forced, gate=gate)


def _any_order(chance: random.Random) -> list[int]:
    """Each request is anybody's."""
    return [chance.randrange(REPLICAS) for _ in range(200)]


def _bursts(chance: random.Random) -> list[int]:
    """Each makes a few requests in a row, as a scheduler lets it."""
    turns = ((chance.randrange(REPLICAS), chance.randint(1, 12)) for _ in range(60))
    return [replica for replica, length in turns for _ in range(length)]


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("order", [_any_order, _bursts])
def test_interleaved_request_by_request(
    forced: bool, order: Callable[[random.Random], list[int]], figure: Figure
) -> None:
    runs, made, requests = examples(8, 500), [], 0
    for run in range(runs):
        with new_server() as gateway:
            store = MemoryStore()
            world = World(gateway, store, timing=TIMING)
            promises = Promises(world, store)
            world.store = promises.watch(store)
            world.make_pass()
            world.advance(7)
            before = len(gateway.account.keys)
            works = [partial(_replica, world, forced=forced) for _ in range(REPLICAS)]
            requests += interleave(works, order(random.Random(run)))
            made.append(len(gateway.account.keys) - before)
            assert world.works()
            assert {key.id for key in world.live} == {world.rotation()["key_id"], *_superseded(world)}
            assert not any(key.failed for result in world.log for key in result.keys) or forced
            settle(world, promises)
    assert forced or sum(made) < 2 * runs
    figure(
        f"{order.__name__}, {'forced' if forced else 'due'}: {runs} runs, {requests} requests, "
        f"{sum(made) / runs:.2f} keys made a run, at most {max(made)}"
    )
