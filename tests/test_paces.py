"""A limit on one method is told from a limit on all calls, in simulated time."""

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, cycle

import pytest

from rotator.clients.pace import Pace, Turn
from rotator.clients.paces import Paces
from tests.test_governor import SEEDS, THREADS, Bucket, Limit, Window

LATENCY = 0.04
Works = Mapping[str, int]
"""How many threads go on with which calls, one after the other: `{"POST GET": 8}`."""
ROTATIONS: Works = {"POST GET": THREADS}


class Never(Limit):
    """Refuses all."""

    def admit(self, _now: float) -> bool:
        return False


class Free(Limit):
    """Refuses none."""

    def admit(self, _now: float) -> bool:
        return True


@dataclass
class Seen:
    paces: list[Paces]
    admitted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def apart(self) -> int:
        """Of how many processes a method has a pace of its own."""
        return sum(len(list(paces)) > 1 for paces in self.paces)


def simulate(
    limit: Callable[[str], Limit], works: Works, *, processes: int = 1, seconds: float = 120, seed: int = 1
) -> Seen:
    """Let the threads of some processes make their calls, each repeated until it is admitted."""
    chance, number = random.Random(seed), count()
    seen = Seen([Paces(THREADS, chance.random) for _ in range(processes)])
    queue: list[tuple[float, int, Paces, Iterator[str], str, tuple[Pace, Turn] | None, bool]] = []

    def push(
        at: float,
        paces: Paces,
        work: Iterator[str],
        method: str,
        call: tuple[Pace, Turn] | None = None,
        good: bool = False,
    ) -> None:
        heapq.heappush(queue, (at, next(number), paces, work, method, call, good))

    for paces in seen.paces:
        for calls, threads in works.items():
            for _ in range(threads):
                each = cycle(calls.split())
                push(chance.random() * 0.01, paces, each, next(each))
    while queue[0][0] < seconds:
        now, _, paces, work, method, call, good = heapq.heappop(queue)
        if call is None:
            pace = paces.of(method)
            wait = pace.wait(now)
            if wait > 0:
                push(now + min(wait, 0.01 if wait == math.inf else wait), paces, work, method)
            else:
                took = LATENCY * (0.8 + 0.4 * chance.random())
                push(now + took, paces, work, method, (pace, pace.begin(now)), limit(method).admit(now))
            continue
        pace, turn = call
        pace.end(now)
        if good:
            paces.good(method, pace, turn, now)
            seen.admitted[method] += 1
            method = next(work)
        else:
            paces.refused(method, pace, turn, now, limit(method).retry_after(now))
            seen.refused[method] += 1
        push(now, paces, work, method)
    return seen


def on_all(limit: Limit) -> Callable[[str], Limit]:
    return lambda _: limit


def on(method: str, limit: Limit) -> Callable[[str], Limit]:
    free = Free()
    return lambda of: limit if of == method else free


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("limit", [lambda: Never(says=False), lambda: Bucket(rate=1, size=1)])
def test_a_limit_on_one_method_does_not_slow_the_others(method: str, limit: Callable[[], Limit]) -> None:
    works = {method: 1, "GET": 3}
    for seed in SEEDS:
        seen = simulate(on(method, limit()), works, seed=seed)
        assert seen.admitted["GET"] >= 0.8 * 3 * (120 - 30) / LATENCY


def test_a_limit_on_one_method_is_used_by_what_needs_it() -> None:
    """A rotation needs a POST and then some reads: with one pace for all it would have a third of that limit."""
    for seed in SEEDS:
        seen = simulate(on("POST", Bucket(rate=1, size=1)), {"POST GET GET": THREADS}, seconds=300, seed=seed)
        assert seen.admitted["POST"] >= 0.65 * 300


@pytest.mark.parametrize("processes", [1, 4, 8])
@pytest.mark.parametrize(
    "limit", [Bucket, Window, lambda: Window(says=False), lambda: Bucket(rate=5, size=5)]
)
def test_a_limit_on_all_is_kept_to_by_one_pace(limit: Callable[[], Limit], processes: int) -> None:
    seen = [simulate(on_all(limit()), ROTATIONS, processes=processes, seed=seed) for seed in SEEDS]
    assert sum(one.apart for one in seen) == 0


def test_calls_of_one_kind_after_those_of_another_are_no_sign_of_a_limit_of_their_own() -> None:
    """A pass rotates, and then revokes."""
    paces, now = Paces(8, lambda: 0.0), 0.0
    for _ in range(3):
        for method, good in [("GET", True)] * 400 + [("DELETE", True), ("DELETE", False)] * 20:
            pace = paces.of(method)
            now += pace.wait(now) + LATENCY
            turn = pace.begin(now)
            pace.end(now)
            if good:
                paces.good(method, pace, turn, now)
            else:
                paces.refused(method, pace, turn, now, 1.0)
    assert not paces.is_limited_by_itself("DELETE")
