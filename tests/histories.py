"""Histories of one managed key and the programs that use it: who is refused, and when the old keys go.

`python -m tests.histories 1000` makes so many random ones, and prints what was seen. `test_histories` tries others.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from rotator.errors import RotatorError
from rotator.passes.result import Outcome
from rotator.rules.bookkeeping import read_block, read_plaintext
from tests.facts import PATH, managed
from tests.memory_store import MemoryStore
from tests.world import World, new_server

GRACE: Final = timedelta(days=1)
LIMIT: Final = timedelta(days=4)


class Killed(BaseException):
    """The rotator's process is gone."""


@dataclass
class Instance:
    """A process of the consumer: it holds what it has read, and nothing else."""

    plaintext: str
    key_id: int | None


@dataclass
class Fleet:
    """A consumer: some processes behind one agent, or behind none."""

    name: str
    store: MemoryStore
    """Where it reads."""
    path: str = PATH
    instances: list[Instance] = field(default_factory=list)
    agent_lives: bool = True
    deceived: bool = False
    """Whether its confirmation may say what is not so, because somebody else wrote it."""

    def read(self) -> Instance | None:
        data = self.store.read(self.path).data
        plaintext = read_plaintext(data, "api_key")
        return Instance(plaintext, read_block(data, "rotation").key_id) if plaintext else None

    def reloads(self, some: slice) -> None:
        held = self.read()
        if held and self.agent_lives:
            for at in range(len(self.instances))[some]:
                self.instances[at] = held

    def starts(self, instances: int) -> None:
        """A process that starts reads Vault by itself."""
        held = self.read()
        self.instances += [held] * instances if held else []

    def knows(self) -> int | None:
        """What it may confirm: the key that all of its processes use; none while they differ."""
        held = {instance.key_id for instance in self.instances}
        return held.pop() if len(held) == 1 else None


class History:
    """What happened so far. Every event is followed by a call of each process, with the key that it holds."""

    def __init__(self) -> None:
        self._server = new_server()
        self._server.__enter__()
        self.seen: Counter[str] = Counter()
        self.memory = MemoryStore()
        key = replace(managed(), consumers=("web",), grace_period=GRACE, grace_limit=LIMIT)
        self.world = World(self._server, self.memory, (key,))
        self.memory.clock = self._server.account.clock.now
        self.world.make_pass()
        self.fleet = Fleet("web", self.memory)
        self.fleet.starts(2)
        self.left: dict[int, datetime] = {}
        """When each key went out of the secret, in truth."""
        self.noticed: dict[int, datetime] = {}
        """When a pass first saw that."""
        self._current = self._held()

    def close(self) -> None:
        self._server.__exit__(None, None, None)

    @property
    def now(self) -> datetime:
        return self._server.account.clock.now()

    def does(self, event: str) -> None:
        """Let something happen, let all processes call, and hold what was seen against what is promised."""
        self.seen[event] += 1
        EVENTS[event](self)
        self._watch()
        for instance in self.fleet.instances:
            self.seen["calls"] += 1
            if self._server.account.authenticates(instance.plaintext) is None:
                self._judge(instance)

    def passes(self, **options: Any) -> None:
        try:
            result = self.world.make_pass(**options)
        except RotatorError:
            return
        self._watch()
        self.seen["rotations"] += result.rotated
        self.seen["revocations"] += result.revoked
        [key] = result.keys
        if key.failed or key.outcome is Outcome.YIELDED or (key.plan and key.plan.hold):
            return  # it has written nothing down
        for id_ in self.left:
            self.noticed.setdefault(id_, self.now)
        self._no_key_is_older_than_its_limit()

    def _no_key_is_older_than_its_limit(self) -> None:
        for key in self.world.live:
            if key.id in self.left:
                assert self.now <= self.noticed[key.id] + LIMIT, f"key {key.id} should be gone"

    @property
    def living(self) -> set[int]:
        return {key.id for key in self.world.live}

    def _held(self) -> int | None:
        return read_block(self.memory.read(PATH).data, "rotation").key_id

    def _watch(self) -> None:
        held = self._held()
        if held != self._current:
            if self._current:
                self.left[self._current] = self.now
            if held:
                self.left.pop(held, None)
                self.noticed.pop(held, None)
            self._current = held

    def _judge(self, instance: Instance) -> None:
        """A refusal may come after the limit, where somebody else confirmed, and of a key that was read dead."""
        left = self.left.get(instance.key_id or 0)
        if left and self.now >= left + LIMIT:
            self.seen["401 beyond the limit"] += 1
        elif self.fleet.deceived:
            self.seen["401 after a forged confirmation"] += 1
        elif instance.plaintext in self._read_dead:
            self.seen["401 of a dead key that a person put back"] += 1
        else:
            self.seen["401 of a truthful consumer"] += 1
            raise AssertionError(f"key {instance.key_id} was refused: {self.seen}")

    _read_dead: frozenset[str] = frozenset()

    def confirms(self, *, lost: bool = False) -> None:
        key_id = self.fleet.knows()
        if key_id and not lost:
            self.memory.put(f"rotator/acks/{PATH}/web", {"key_id": key_id})
            self.fleet.deceived &= key_id not in self.living

    def is_forged(self) -> None:
        """Somebody confirms the current key, whatever the consumer uses."""
        self.memory.put(f"rotator/acks/{PATH}/web", {"key_id": self._held()})
        self.fleet.deceived = {self._held()} != {instance.key_id for instance in self.fleet.instances}

    def restores(self, back: int) -> None:
        """A person puts an older version on top, as it was."""
        latest = self.memory.read(PATH).number
        data = self.memory.read(PATH, max(1, latest - back)).data
        if data:
            self.memory.put(PATH, dict(data))
            self.noticed.clear()  # any key may have been in use again: the grace of all begins anew
            if self._server.account.authenticates(str(data["api_key"])) is None:
                self._read_dead |= {str(data["api_key"])}

    def rolls_back(self) -> None:
        try:
            self.world.roll_back()
        except RotatorError:
            self.seen["rollbacks refused"] += 1

    def is_killed(self, at: int, **options: Any) -> None:
        """The rotator dies before one of its calls."""
        left = [at]

        def gate() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        try:
            self.passes(gate=gate, **options)
        except Killed:
            self.seen["kills that hit"] += 1


def _agent(lives: bool) -> Callable[[History], None]:
    def happen(history: History) -> None:
        history.fleet.agent_lives = lives

    return happen


EVENTS: Final[dict[str, Callable[[History], None]]] = {
    "ten minutes": lambda it: it.world.advance(minutes=10),
    "a night": lambda it: it.world.advance(minutes=60 * 9),
    "a day": lambda it: it.world.advance(1, minutes=1),
    "a week": lambda it: it.world.advance(7),
    "a pass": lambda it: it.passes(),
    "a forced rotation": lambda it: it.passes(forced=True),
    "one process reloads": lambda it: it.fleet.reloads(slice(1)),
    "all processes reload": lambda it: it.fleet.reloads(slice(None)),
    "it confirms": lambda it: it.confirms(),
    "a confirmation is lost": lambda it: it.confirms(lost=True),
    "a confirmation is forged": lambda it: it.is_forged(),
    "the agent dies": _agent(False),
    "the agent is back": _agent(True),
    "it is scaled to nought": lambda it: it.fleet.instances.clear(),
    "it is scaled up": lambda it: it.fleet.starts(2),
    "a rollback": lambda it: it.rolls_back(),
    "the last version is restored": lambda it: it.restores(1),
    "an older version is restored": lambda it: it.restores(3),
    "the rotator is killed early": lambda it: it.is_killed(4),
    "the rotator is killed late": lambda it: it.is_killed(9, forced=True),
}
USUAL: Final = ("a day", "a pass", "a pass", "all processes reload", "it confirms", "a week")
"""What happens more often, so that keys come and go."""


def live(events: Iterable[str]) -> Counter[str]:
    """Live through a history, and a week of passes after it; return what was seen."""
    history = History()
    try:
        for event in events:
            history.does(event)
        for _ in range(8):
            history.does("a day")
            history.does("a pass")
        return history.seen
    finally:
        history.close()


def main() -> None:
    total, chosen = Counter[str](), random.Random(20)
    for _ in range(int(sys.argv[1])):
        length = chosen.randint(10, 60)
        total += live(chosen.choice([*EVENTS, *USUAL * 2]) for _ in range(length))
    for what, times in sorted(total.items()):
        print(f"{what:<45} {times:>8,}")


if __name__ == "__main__":
    main()
