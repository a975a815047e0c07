"""Random histories of a gateway, a Vault and people that mislead, one kind of deception at a time.

All happens in memory, but for the gateway, which is asked over HTTP. The true time is the account's.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rotator.sandbox.ledger import Quirks
from tests.books import Books
from tests.facts import PATH, managed
from tests.memory_store import MemoryStore
from tests.promises import Promises
from tests.witness import Told, tell
from tests.world import World, new_server

OTHER = "apimall/reporting"
PATHS = st.sampled_from([PATH, OTHER])
MINUTES = st.sampled_from([0, 3, 16, 60 * 12, 60 * 24 + 1, 60 * 24 * 7])
MOST = 3
"""So many live keys has a managed key at most: the current one, one in its grace, and one that is just over it."""


class Tried:
    """What a kind's search has come to, across the examples of one run."""

    def __init__(self) -> None:
        self.examples = 0
        self.found_after: int | None = None
        self.steps: int | None = None
        """How many steps the last history took that failed: passes at its beginning, and rules."""
        self.why = ""

    def failed(self, steps: int, why: str) -> None:
        self.found_after = self.found_after or self.examples
        self.steps, self.why = steps, why

    def __str__(self) -> str:
        if self.found_after is None:
            return f"nothing in {self.examples} examples"
        return f"found by example {self.found_after}, in the end after {self.steps} steps: {self.why}"


def lie(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule that is mostly followed by a pass: a lie that no pass meets tells nothing."""

    def decorate(tells: Callable[..., None]) -> Any:
        @functools.wraps(tells)
        def then_pass(self: "Lying", then: int | None, forced: bool, **values: Any) -> None:
            tells(self, **values)
            if then is not None:
                Lying.a_pass(self, then, forced=forced)

        return rule(then=st.none() | MINUTES, forced=st.booleans(), **drawn)(then_pass)  # type: ignore[call-overload]

    return decorate


class Lying(RuleBasedStateMachine):
    """Two managed keys and a store in memory, under what is always there: time, passes, force."""

    tried: ClassVar[Tried]
    seed: ClassVar[int] = 0
    """One with which the short run, too, finds what was wrong when the kind was first tried."""
    revoke_adopted: ClassVar[bool] = False
    heals: ClassVar[bool] = True
    """Whether the lie ends, and all must be well then. Else all must be well under it, too."""

    def __init__(self) -> None:
        super().__init__()
        self.tried.examples += 1
        self.steps = 0
        self.has_failed = False
        self.gateway = new_server().start()
        self.memory = MemoryStore()
        one = managed(revoke_adopted=self.revoke_adopted)
        self.world = World(self.gateway, self.memory, (one, replace(one, name="Reporting", path=OTHER)))
        self.world.impatient()
        self.world.concurrency = 1  # the same history is the same again
        self.promises = Promises(self.world, self.memory)
        self.books = Books(self.world)
        self.world.store = self.books.watch(self.promises.watch(self.memory))

    @initialize(passes=st.integers(0, 2))
    def some_passes_were_made(self, passes: int) -> None:
        """With two of them, each managed key has one in its grace."""
        for number in range(passes):
            self.go(forced=number > 0)
        self.steps += passes - 1  # the invariant counts one more

    @rule(minutes=MINUTES, forced=st.booleans())
    def a_pass(self, minutes: int, forced: bool) -> None:
        self.world.advance(minutes=minutes)
        self.go(forced=forced)

    def go(self, world: World | None = None, side: str = "this side", **options: Any) -> Told:
        with self.judging(1), self.promises.at(side):
            try:
                told = tell(world or self.world, partial(World.make_pass, **options))
            except ArithmeticError as error:
                raise AssertionError(f"the pass ended with {error!r}") from None
            assert "unexpected" not in told.text, "something unexpected"
        return told

    # people's hands

    def write_by_hand(self, path: str, data: dict[str, Any]) -> None:
        self.memory.put(path, data)
        self.books.by_hand(path)
        self.promises.note(path, data.get("api_key"), by_hand=True)

    def current(self, path: str) -> Any:
        """The key whose plaintext is in the secret."""
        return self.gateway.account.find(self.world.secret(path).get("api_key", ""))

    # what holds

    @invariant()
    def the_promises_hold(self) -> None:
        self.steps += 1
        with self.judging():
            self.hold()

    def hold(self) -> None:
        self.promises.hold()
        self.books.hold()

    @contextmanager
    def judging(self, under_way: int = 0) -> Iterator[None]:
        """Note what fails, after how many steps."""
        try:
            yield
        except AssertionError as error:
            if not self.has_failed:  # what fails in the end is then no wonder
                self.tried.failed(self.steps + under_way, str(error).partition("\n")[0])
            self.has_failed = True
            raise

    def teardown(self) -> None:
        try:
            if not self.has_failed:
                with self.judging():
                    self.ends_well()
        finally:
            self.gateway.stop()

    def ends_well(self) -> None:
        """A period later each secret holds a key that works, and the others are gone."""
        if self.heals:
            self.heal()
        for days in (0, 0, 1, 7, 1):
            self.world.advance(days, minutes=16)
            self.go()
            self.hold()
        assert all(self.world.works(key.path) for key in self.world.keys), "a key does not work"
        self.none_is_left()

    def none_is_left(self) -> None:
        self.promises.converged()

    def heal(self) -> None:
        self.gateway.faults.clear()
        self.gateway.account.quirks = Quirks()
