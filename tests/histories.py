"""Histories of one managed key and the programs that use it: who is refused, and when the old keys go.

`python -m tests.histories 1000` makes so many random ones, and prints what was seen. `test_histories` tries others.
"""

import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from rotator.errors import RotatorError, Transient
from rotator.passes.result import Outcome
from rotator.rules.bookkeeping import read_block, read_plaintext
from rotator.rules.model import CopyTarget, Receiver
from tests.facts import PATH, managed
from tests.far import NO_ANSWER, FarVault
from tests.memory_store import MemoryStore
from tests.world import World, new_server

GRACE: Final = timedelta(days=1)
LIMIT: Final = timedelta(days=4)
ACK: Final = f"rotator/acks/{PATH}"
GONE: Final = Transient("POST: no answer within 5 s", ambiguous=True)


class Killed(BaseException):
    """The rotator's process is gone."""


@dataclass
class Instance:
    """A process of a consumer: it holds what it has read, and nothing else."""

    plaintext: str
    key_id: int | None


@dataclass
class Fleet:
    """A consumer: some processes, and what brings the key to them."""

    name: str
    store: MemoryStore
    """Where it reads."""
    instances: list[Instance] = field(default_factory=list)
    works: bool = True
    """Whether its agent lives, or its receiver answers."""
    deceived: bool = False
    """Whether its confirmation may say what is not so: somebody else wrote it, or its receiver lies."""

    def read(self) -> Instance | None:
        kept = self.store.versions.get(PATH, [])
        data = json.loads(kept[-1]) if kept and kept[-1] else None
        plaintext = read_plaintext(data, "api_key")
        return Instance(plaintext, read_block(data, "rotation").key_id) if plaintext else None

    def reloads(self, some: slice = slice(None)) -> None:
        held = self.read()
        if held and self.works:
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
        self.memory, self.far = MemoryStore(), FarVault()
        key = replace(
            managed(),
            consumers=("web", "batch", "eu"),
            receivers=(Receiver("batch", "https://batch", "webhook.secret", env="NONE"),),
            copies={"eu": CopyTarget("eu", PATH)},
            grace_period=GRACE,
            grace_limit=LIMIT,
        )
        self.world = World(self._server, self.memory, (key,), vaults={"eu": self.far}, tell=self._is_told)
        self.memory.clock = self.far.clock = self._vault_now
        self._writes = 0
        self.lies = False
        """Whether the receiver of `batch` answers 2xx and does nothing."""
        self.web, self.batch, self.eu = (
            Fleet("web", self.memory),
            Fleet("batch", self.memory),
            Fleet("eu", self.far),
        )
        self.fleets = (self.web, self.batch, self.eu)
        self.left: dict[int, datetime] = {}
        """When each key went out of the secret, in truth."""
        self.noticed: dict[int, datetime] = {}
        """When a pass first wrote that down."""
        self._current: int | None = None
        self._put_back_dead: set[str] = set()
        self.passes()
        for fleet in self.fleets:
            fleet.starts(2)

    def close(self) -> None:
        self._server.__exit__(None, None, None)

    @property
    def now(self) -> datetime:
        return self._server.account.clock.now()

    def _vault_now(self) -> datetime:
        """No two versions are written at the same moment."""
        self._writes += 1
        return self.now + timedelta(microseconds=self._writes)

    @property
    def living(self) -> set[int]:
        return {key.id for key in self.world.live}

    def does(self, event: str) -> None:
        """Let something happen, let all processes call, and hold what was seen against what is promised."""
        self.seen[event] += 1
        EVENTS[event](self)
        self._watch()
        self.eu.reloads()  # its programs ask their Vault before each call
        for fleet in self.fleets:
            for instance in fleet.instances:
                self.seen["calls"] += 1
                if self._server.account.authenticates(instance.plaintext) is None:
                    self._judge(fleet, instance)

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
        for live in self.world.live:
            if live.id in self.left:
                assert self.now <= self.noticed[live.id] + LIMIT, f"key {live.id} should be gone"

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

    def _judge(self, fleet: Fleet, instance: Instance) -> None:
        """A refusal may come after the limit, after a false confirmation, and of a key that was put back dead."""
        left = self.left.get(instance.key_id or 0)
        if instance.plaintext in self._put_back_dead:
            self.seen["401 of a dead key that a person put back"] += 1
        elif left and self.now >= left + LIMIT:
            self.seen["401 beyond the limit"] += 1
        elif fleet.deceived:
            self.seen["401 after a false confirmation"] += 1
        else:
            self.seen["401 of a truthful consumer"] += 1
            raise AssertionError(f"{fleet.name} was refused with key {instance.key_id}")

    def _is_told(self, _receiver: Receiver, _id: str, _body: bytes) -> None:
        if not self.batch.works:
            raise GONE
        self.seen["told"] += 1
        if self.lies:
            self.batch.deceived = {self._held()} != {one.key_id for one in self.batch.instances}
        else:
            self.batch.reloads()
            self.batch.deceived = False

    def confirms(self, *, lost: bool = False) -> None:
        key_id = self.web.knows()
        if key_id and not lost:
            self.memory.put(f"{ACK}/web", {"key_id": key_id})
            self.web.deceived &= key_id not in self.living

    def is_forged(self, fleet: Fleet) -> None:
        """Somebody confirms the current key, whatever the consumer uses."""
        self.memory.put(f"{ACK}/{fleet.name}", {"key_id": self._held()})
        fleet.deceived = {self._held()} != {instance.key_id for instance in fleet.instances}

    def restores(self, store: MemoryStore, back: int) -> None:
        """A person puts an older version on top, as it was."""
        kept = store.versions[PATH]
        data = kept[max(0, len(kept) - 1 - back)]
        if not data:
            return
        store.put(PATH, json.loads(data))
        if store is self.memory:
            self.noticed.clear()  # any key may have been in use again: the grace of all begins anew
        plaintext = str(json.loads(data)["api_key"])
        if self._server.account.authenticates(plaintext) is None:
            self._put_back_dead.add(plaintext)

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


def _sets(fleet: str, *, works: bool, lies: bool = False) -> Callable[[History], None]:
    def happen(history: History) -> None:
        getattr(history, fleet).works = works
        history.lies = lies

    return happen


def _far(down: Exception | None) -> Callable[[History], None]:
    return lambda history: setattr(history.far, "down", down)


EVENTS: Final[dict[str, Callable[[History], None]]] = {
    "ten minutes": lambda it: it.world.advance(minutes=10),
    "a night": lambda it: it.world.advance(minutes=60 * 9),
    "a day": lambda it: it.world.advance(1, minutes=1),
    "a week": lambda it: it.world.advance(7),
    "a pass": lambda it: it.passes(),
    "a forced rotation": lambda it: it.passes(forced=True),
    "one process reloads": lambda it: it.web.reloads(slice(1)),
    "all processes reload": lambda it: it.web.reloads(),
    "it confirms": lambda it: it.confirms(),
    "a confirmation is lost": lambda it: it.confirms(lost=True),
    "a confirmation is forged": lambda it: it.is_forged(it.web),
    "another's is forged": lambda it: it.is_forged(it.batch),
    "the agent dies": _sets("web", works=False),
    "the agent is back": _sets("web", works=True),
    "the receiver is gone": _sets("batch", works=False),
    "the receiver lies": _sets("batch", works=True, lies=True),
    "the receiver is back": _sets("batch", works=True),
    "the copy's Vault is down": _far(NO_ANSWER),
    "the copy's Vault is back": _far(None),
    "an older copy is restored": lambda it: it.restores(it.far, 1) if it.far.versions.get(PATH) else None,
    "the copy is deleted": lambda it: it.far.delete(PATH) if it.far.versions.get(PATH) else None,
    "the copy is gone": lambda it: it.far.versions.clear(),
    "it is scaled to nought": lambda it: it.web.instances.clear(),
    "it is scaled up": lambda it: it.web.starts(2),
    "a rollback": lambda it: it.rolls_back(),
    "the last version is restored": lambda it: it.restores(it.memory, 1),
    "an older version is restored": lambda it: it.restores(it.memory, 3),
    "the rotator is killed early": lambda it: it.is_killed(4),
    "the rotator is killed late": lambda it: it.is_killed(9, forced=True),
    "the rotator is killed at the end": lambda it: it.is_killed(16, forced=True),
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


def chosen(dice: random.Random) -> Sequence[str]:
    """Make up a history."""
    return dice.choices([*EVENTS, *USUAL * 2], k=dice.randint(10, 60))


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    dice = random.Random(20)
    total = sum((live(chosen(dice)) for _ in range(int(sys.argv[1]))), Counter[str]())
    for what, times in sorted(total.items()):
        print(f"{what:<45} {times:>8,}")


if __name__ == "__main__":
    main()
