"""What a pass did, as anybody can see it: its exit code, all that it told, and what it left at both sides."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from rotator.errors import RotatorError
from rotator.passes.result import PassResult
from rotator.passes.stopping import Stopping
from tests.facts import PATH
from tests.logs import captured
from tests.world import World

CLAIMS = "rotator/claims/"
"""Where the claims are: beside the identity."""


def fails(reason: str) -> pytest.MarkDecorator:
    """Mark what today's code gets wrong. It must fail by an assertion, not by an error of the test."""
    return pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason)


@dataclass(frozen=True)
class Told:
    """What came of a pass."""

    code: int
    """As `--once` would exit."""
    text: str
    """The result as JSON, its log, and the error that ended it."""

    def names(self, *words: str) -> bool:
        return all(word.lower() in self.text.lower() for word in words)


def tell(world: World, does: Callable[[World], object] = World.make_pass) -> Told:
    """Make a pass, or what else `does`, and return what it told."""
    with captured() as log:
        try:
            result = does(world)
        except RotatorError as error:
            return Told(3, f"{error}\n{log.getvalue()}")
    if not isinstance(result, PassResult):
        return Told(0, log.getvalue())
    refused = result.refused is not None and not result.changed
    said = json.dumps(result.to_json(), ensure_ascii=False)
    return Told(3 if refused else 1 if result.failed else 0, f"{said}\n{log.getvalue()}")


def a_copy_of(world: World) -> World:
    """The world of a rotator over a copy of this Vault, with the same config."""
    return replace(world, store=world.memory.copied(), log=[], stopping=Stopping())


def traces(world: World) -> object:
    """All that a pass could change: the gateway's keys, and every version in Vault."""
    return world.server.account.keys, json.dumps(world.memory.versions)


def is_live(world: World, id_: int | None) -> bool:
    assert id_
    return any(key.id == id_ and key.live for key in world.server.account.keys)


def rotated(world: World, path: str = PATH) -> tuple[int, int]:
    """Make a key and replace it; return the superseded one's id, and the current one's."""
    world.make_pass()
    old = world.rotation(path)["key_id"]
    world.make_pass(forced=True)
    return old, world.rotation(path)["key_id"]


def edit(world: World, path: str = PATH, **block: Any) -> None:
    """A person's hand: change fields of the block, or drop those that are given as None."""
    secret = world.secret(path)
    changed = {**secret["rotation"], **block}
    kept = {name: value for name, value in changed.items() if value is not None}
    world.memory.put(path, {**secret, "rotation": kept})
