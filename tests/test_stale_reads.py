"""A standby serves stale reads for seconds. Every rule stays safe, whichever read is stale, and by how much.

The reads are counted from the run itself, so that one that is added tomorrow is covered tomorrow.
"""

import itertools
from contextlib import suppress

import pytest

from rotator.errors import RotatorError
from rotator.passes.account import Store
from rotator.rules.model import Version
from tests.long import LONG
from tests.memory_store import MemoryStore
from tests.promises import Promises
from tests.scenes import ALL_SCENES, Scene
from tests.stage import settle
from tests.stores import Lagging, StoreWrapper
from tests.world import World, new_server

pytestmark = pytest.mark.usefixtures("searched")
FOR_EVER = 1000


class StaleAt(StoreWrapper):
    """A store of which read number `at` and the `length - 1` after it are `behind` versions behind."""

    def __init__(self, store: Store, at: int, length: int, behind: int) -> None:
        super().__init__(store)
        self._stale = Lagging(store, behind)
        self._from, self._to = at, at + length
        self.reads = 0

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        store = self._stale if self._from <= self.reads < self._to else self._store
        self.reads += 1
        return store.read(path, version, once=once)


CASES = [(False, 1, FOR_EVER), (True, FOR_EVER, 1)]
MORE = itertools.product((False, True), (1, FOR_EVER), (1, FOR_EVER))


@pytest.mark.parametrize(("forced", "length", "behind"), list(MORE) if LONG else CASES)
@pytest.mark.parametrize("scene", ALL_SCENES)
def test_whichever_read_is_stale(scene: Scene, forced: bool, length: int, behind: int) -> None:
    for at in itertools.count():
        with new_server() as gateway:
            memory = MemoryStore()
            world = World(gateway, memory)
            promises = Promises(world, memory)
            world.store = promises.watch(memory)
            scene(world, promises)
            stale = StaleAt(world.store, at, length, behind)
            world.impatient()
            with suppress(RotatorError):
                world.make_pass(store=stale, forced=forced)
            promises.hold()
            settle(world, promises)
            if stale.reads <= at:
                assert at >= 2
                break
