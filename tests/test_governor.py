"""What a governor learns of limits that nobody told it, in simulated time; and that it hands out turns fairly."""

import heapq
import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count

import pytest

from rotator.clients.governor import HURRY, Governor, waited
from rotator.clients.pace import LONGEST_RETRY_AFTER, Pace, Turn
from rotator.passes.stopping import NotReached, Stopped, Stopping
from tests.logs import captured

THREADS = 8


@dataclass
class Limit:
    """A server's limit. `says` whether a refusal says when to come again, in whole seconds, as servers do."""

    says: bool = True

    def admit(self, now: float) -> bool:
        raise NotImplementedError

    def retry_after(self, now: float) -> float | None:
        return 1.0 if self.says else None


@dataclass
class Window(Limit):
    """So many calls in each window, which begins with its first call."""

    calls: int = 20
    seconds: float = 1.0
    _ends: float = -1.0
    _left: int = 0

    def admit(self, now: float) -> bool:
        if now >= self._ends:
            self._ends, self._left = now + self.seconds, self.calls
        self._left -= 1
        return self._left >= 0

    def retry_after(self, now: float) -> float | None:
        return math.ceil(self._ends - now) if self.says else None


@dataclass
class Bucket(Limit):
    rate: float = 20.0
    size: float = 20.0
    _tokens: float | None = None
    _at: float = 0.0

    def admit(self, now: float) -> bool:
        before = self.size if self._tokens is None else self._tokens
        self._tokens, self._at = min(self.size, before + (now - self._at) * self.rate), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass
class Seen:
    admitted: int = 0
    refused: int = 0
    first_over: float = 0.0
    """When the first process was done."""
    by_then: int = 0
    """Admitted until then."""
    over: float = 0.0

    @property
    def share_refused(self) -> float:
        return self.refused / (self.admitted + self.refused)

    @property
    def rate(self) -> float:
        return self.by_then / self.first_over


def simulate(  # noqa: C901 - a world in one loop
    limit: Limit, *, processes: int = 1, calls: int = 800, latency: float = 0.04, seed: int = 1
) -> Seen:
    """Let processes of eight threads each make their share of the calls, each repeated until it is admitted."""
    chance = random.Random(seed)
    paces = [Pace(THREADS, chance.random) for _ in range(processes)]
    left = [calls // processes] * processes
    ended: list[float] = [0.0] * processes
    admitted: list[float] = []
    seen, number = Seen(), count()
    queue: list[tuple[float, int, int, Turn | None, bool]] = []
    blocked: list[int] = [0] * processes

    def push(at: float, process: int, turn: Turn | None = None, good: bool = False) -> None:
        heapq.heappush(queue, (at, next(number), process, turn, good))

    for process in range(processes):
        for _ in range(THREADS):
            push(chance.random() * 0.01, process)
    while queue:
        now, _, process, turn, good = heapq.heappop(queue)
        pace = paces[process]
        if turn is None:
            if left[process] <= 0:
                continue
            wait = pace.wait(now)
            if wait == math.inf:
                blocked[process] += 1
            elif wait > 0:
                push(now + wait, process)
            else:
                left[process] -= 1
                push(
                    now + latency * (0.8 + 0.4 * chance.random()), process, pace.begin(now), limit.admit(now)
                )
            continue
        pace.end(now)
        if good:
            pace.good(turn, now)
            admitted.append(now)
            ended[process] = now
        else:
            pace.refused(turn, now, limit.retry_after(now))
            seen.refused += 1
            left[process] += 1
        for _ in range(1 + blocked[process]):
            push(now, process)
        blocked[process] = 0
    seen.admitted, seen.over, seen.first_over = len(admitted), max(ended), min(ended)
    seen.by_then = sum(at <= seen.first_over for at in admitted)
    return seen


@dataclass
class Stern(Bucket):
    """Asks for a minute after each refusal, however short the wait could be."""

    def retry_after(self, now: float) -> float | None:
        return 60.0


SEEDS = range(1, 6)


def mean(of: Callable[[Seen], float], seen: list[Seen]) -> float:
    return sum(map(of, seen)) / len(seen)


@pytest.mark.parametrize(
    ("limit", "rate", "calls"),
    [
        (lambda: Bucket(), 20, 800),
        (lambda: Bucket(size=100), 20, 800),
        (lambda: Bucket(rate=5, size=5), 5, 240),
        (lambda: Bucket(rate=200, size=200), 200, 4000),
        # A window that begins with its first call is never used to its end by calls that keep a distance.
        (lambda: Window(), 20 / 1.05, 800),
        (lambda: Window(says=False), 20 / 1.05, 800),
    ],
    ids=["bucket", "deep bucket", "slow bucket", "fast bucket", "window", "silent window"],
)
def test_an_unknown_limit_is_used_and_seldom_met(limit: Callable[[], Limit], rate: float, calls: int) -> None:
    seen = [simulate(limit(), calls=calls, seed=seed) for seed in SEEDS]
    assert mean(lambda one: one.rate, seen) >= 0.9 * rate
    assert mean(lambda one: one.share_refused, seen) <= 0.06


def test_four_processes_share_a_limit() -> None:
    seen = [simulate(Bucket(), processes=4, seed=seed) for seed in SEEDS]
    assert mean(lambda one: one.rate, seen) >= 0.9 * 20
    assert mean(lambda one: one.share_refused, seen) <= 0.15
    # Nobody starves: the last one is done not long after a fair share would let it.
    assert mean(lambda one: one.over, seen) <= 2.5 * 800 / 20


def test_a_server_that_asks_for_long_waits_is_seldom_asked_too_fast() -> None:
    seen = [simulate(Stern(), calls=500, seed=seed) for seed in SEEDS]
    assert mean(lambda one: one.refused, seen) <= 20


def test_a_limit_that_is_none_costs_no_more_than_the_first_steps() -> None:
    seen = simulate(Bucket(rate=1e6, size=1e6), calls=400)
    assert seen.over <= 400 / THREADS * 0.04 * 1.1 + 4 * 0.05


class TestPace:
    def test_too_many_at_once_is_told_from_too_fast(self) -> None:
        pace = Pace(8, lambda: 0.0)
        now = 0.0
        for _ in range(40):  # two at a time go well, a third one never does
            turns = [pace.begin(now) for _ in range(min(3, pace.width))]
            now += 0.01
            for number, turn in enumerate(turns):
                pace.end(now)
                if number < 2:
                    pace.good(turn, now)
                else:
                    pace.refused(turn, now, 0.0)
            now = max(now, pace.not_before)
        assert pace.width <= 3
        assert pace.rate is None

    def test_time_without_anything_to_call_for_is_none_of_a_rate(self) -> None:
        """A pass asks the gateway for its list, and then Vault for an hour."""
        pace = Pace(8, lambda: 0.0)
        for now in (0.0, *(3600 + n / 20 for n in range(20))):
            turn = pace.begin(now)
            pace.end(now + 0.01)
            pace.good(turn, now + 0.01)
        turn = pace.begin(3601.0)
        pace.end(3601.0)
        pace.refused(turn, 3601.0, 0.1)
        assert pace.rate
        assert 15 < pace.rate < 25

    def test_who_is_told_to_wait_waits(self) -> None:
        pace = Pace(8, lambda: 0.0)
        turn = pace.begin(0.0)
        pace.end(0.0)
        pace.refused(turn, 1.0, 30.0)
        assert pace.wait(1.0) >= 30
        assert pace.wait(31.5) == 0

    def test_a_server_that_asks_for_a_year_is_asked_again(self) -> None:
        pace = Pace(8, lambda: 0.0)
        turn = pace.begin(0.0)
        pace.end(0.0)
        pace.refused(turn, 0.0, 3e7)
        assert pace.wait(0.0) == LONGEST_RETRY_AFTER

    def test_a_server_that_refuses_all_is_asked_ever_more_seldom(self) -> None:
        pace, now, waits = Pace(8, lambda: 0.0), 0.0, []
        for _ in range(12):
            turn = pace.begin(now)
            pace.end(now)
            pace.refused(turn, now, None)
            waits.append(pace.wait(now))
            now += waits[-1]
        assert waits == sorted(waits)
        assert waits[-1] == 20

    @pytest.mark.parametrize("retry_after", [None, 0.0, 1.0, 60.0])
    @pytest.mark.parametrize("before", [0, 1, 500])
    def test_a_server_that_refused_all_for_a_while_is_used_again(
        self, before: int, retry_after: float | None
    ) -> None:
        """For ten minutes nothing is allowed; then there is no limit any more."""
        pace, now, good = Pace(8, lambda: 0.0), 0.0, 0
        for number in range(before):
            turn = pace.begin(now)
            pace.end(now)
            pace.good(turn, now)
            now = number * 0.1
        over = now + 600
        refusals = 0
        while good < 100:
            now += pace.wait(now) + 0.001
            turn = pace.begin(now)
            pace.end(now)
            if now < over:
                pace.refused(turn, now, retry_after)
                refusals += 1
            else:
                pace.good(turn, now)
                good += 1
        assert now < over + 150
        assert refusals < 620

    @pytest.mark.parametrize("gap", [0.5, 10.0])
    def test_calls_that_a_limit_does_not_hold_up_say_nothing_of_how_high_it_is(self, gap: float) -> None:
        """Else the rate grows beyond all bounds overnight, and no refusal brings it down again."""
        pace, now = Pace(8, lambda: 0.0), 0.0
        for number in range(10_000):
            now += pace.wait(now)
            turn = pace.begin(now)
            pace.end(now)
            if number == 30:
                pace.refused(turn, now, 1.0)
            else:
                pace.good(turn, now)
            now += 0.04 if number < 30 else gap
        assert pace.rate
        assert pace.rate < 50

    @pytest.mark.parametrize("days", [0.2, 1, 400])
    def test_it_learns_on_after_years(self, days: float) -> None:
        pace = Pace(8, lambda: 0.0)
        for now in (0.0, 0.1, days * 86_400):
            turn = pace.begin(now)
            pace.end(now)
            if now == 0.1:
                pace.refused(turn, now, 1.0)
            else:
                pace.good(turn, now)
        assert pace.rate
        assert math.isfinite(pace.rate)


class Time:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def refuse(governor: Governor, retry_after: float, method: str = "GET") -> None:
    with governor.turn(method) as told:
        told.status, told.retry_after = HTTPStatus.TOO_MANY_REQUESTS, retry_after


class TestTurns:
    def test_all_threads_heed_what_one_was_told(self) -> None:
        time = Time()
        governor = Governor(8, time.sleep, clock=lambda: time.now)
        before = waited()
        refuse(governor, 30)
        with governor.turn():
            assert 30 <= time.now <= 31
        assert waited() - before == pytest.approx(time.now)

    def test_a_method_that_is_limited_by_itself_holds_up_itself_alone(self) -> None:
        time = Time()
        governor = Governor(8, time.sleep, clock=lambda: time.now)
        for _ in range(10):
            with governor.turn() as told:
                told.status = HTTPStatus.OK
            with captured() as log:
                refuse(governor, 30, "POST")
        assert '"method": "POST"' in log.getvalue()
        now = time.now
        with governor.turn():
            assert time.now == now
        with governor.turn("POST"):
            assert time.now >= now + 30
        assert governor.rate
        assert governor.rate < 1

    def test_who_is_hurried_does_not_wait_long(self) -> None:
        time = Time()
        governor = Governor(8, time.sleep, clock=lambda: time.now, hurried=lambda: True)
        refuse(governor, 300)
        with governor.turn():
            assert time.now <= HURRY + 1

    def test_a_stop_ends_a_wait_and_leaves_no_turn_behind(self) -> None:
        stopping = Stopping()
        governor = Governor(1, stopping.sleep)
        refuse(governor, 300)
        threading.Timer(0.05, stopping.request).start()
        for _ in range(3):
            with pytest.raises(Stopped), governor.turn():
                pass
        assert governor._paces.of("GET").under_way == 0

    def test_the_end_of_the_pass_does_too(self) -> None:
        stopping = Stopping()
        governor = Governor(1, stopping.sleep)
        refuse(governor, 300)
        with stopping.within(0.02), pytest.raises(NotReached), governor.turn():
            pass

    def test_no_more_are_under_way_than_may_be(self) -> None:
        governor, lock = Governor(3, lambda _: None), threading.Lock()
        now, most = 0, 0

        def call() -> None:
            nonlocal now, most
            for _ in range(50):
                with governor.turn() as told:
                    with lock:
                        now += 1
                        most = max(most, now)
                    told.status = 200
                    with lock:
                        now -= 1

        threads = [threading.Thread(target=call) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most <= 3

    def test_an_error_gives_the_turn_back(self) -> None:
        governor = Governor(1, lambda _: None)
        for _ in range(5):
            with pytest.raises(ZeroDivisionError), governor.turn():
                raise ZeroDivisionError
        with governor.turn():
            assert governor._paces.of("GET").under_way == 1
