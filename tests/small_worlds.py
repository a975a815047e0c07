"""Every interleaving of a few rotators' requests, with a crash at every point and a lie of one witness.

A rotator is a function of the answers that it was given: run again with the same ones, it comes to the same next
request. So its state is its tape of answers, and the world's is what the gateway and Vault hold. Both are values;
a request is carried out on a copy of the world, nothing runs in threads, and what was seen before is not gone into
again. States are visited in the order of how much has happened, so the first way to a fault is a shortest one.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from functools import partial
from typing import Any, Self

import pytest

from rotator.clients.exchange import Request, Response
from rotator.clients.gateway.clock import GatewayClock, LocalClock
from rotator.clients.retry import Policy
from rotator.errors import RotatorError, Transient
from rotator.redaction import Secret
from rotator.rules.freeze import FIELD, read_freeze, write_freeze
from rotator.rules.model import Version
from rotator.sandbox import contract
from rotator.sandbox.disguises import TextOf
from rotator.sandbox.ledger import AccountKey, Clock, Ledger
from rotator.sandbox.server import GatewayServer
from tests.facts import DAY, PATH
from tests.memory_store import MemoryStore
from tests.promises import Freeze, Promises, Publication
from tests.world import GatedGateway, World

LATER = (3, 15, 24 * 60, 24 * 60)
"""Minutes between the passes that come after all."""


class Twice(Policy):
    """Two attempts at anything, and no waiting: how often something is tried must not depend on real time."""

    def __init__(self) -> None:
        super().__init__(attempts=2, deadline=1e9, first_wait=0, longest_wait=0, longest_retry_after=0)

    def until(self, deadline: timedelta, *, patience: timedelta = timedelta()) -> "Twice":
        return self


class Dice:
    """Chance that can be thrown again."""

    def __init__(self) -> None:
        self._random = random.Random(0)

    def seed(self, seed: str) -> None:
        self._random.seed(seed)
        random.seed(seed)

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Let everything in this process that asks for chance ask these dice, and no pass have threads."""
        state = random.getstate()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(random, "_urandom", self._random.randbytes)
            patch.setattr(os, "urandom", self._random.randbytes)
            patch.setattr("rotator.passes.each.ThreadPoolExecutor", InTurn)
            try:
                yield
            finally:
                random.setstate(state)


class InTurn:
    """A pool that has no threads: what it is given is done at once."""

    def __init__(self, **_options: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, work: Callable[..., Any], *args: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(work(*args))
        return future


@dataclass(frozen=True)
class Call:
    """One request of a rotator, to either side."""

    name: str
    """`GET /keys`, `read`, …"""
    path: str | None
    """The secret's path."""
    version: int | None
    key: str
    """All of it."""
    do: Callable[[], Any] = field(compare=False, repr=False)
    """Carries it out on the world."""

    @property
    def of_gateway(self) -> bool:
        return "/" in self.name

    def __str__(self) -> str:
        about = " ".join(str(part) for part in (self.path, self.version and f"v{self.version}") if part)
        return f"{self.name} {about}".strip()


@dataclass(frozen=True)
class Told:
    """An answer: a value, or an error that is raised."""

    value: Any
    at: datetime
    """The true time."""
    error: tuple[type[RotatorError], tuple[Any, ...], Mapping[str, Any]] | None = None
    asked: str = ""
    """What was asked, all of it."""

    @property
    def key(self) -> str:
        value = self.value
        if isinstance(value, Version):
            value = (value.number, json.dumps(value.data), value.written_at, value.custom)
        return f"{value!r} {self.at} {self.error!r}"

    def tell(self) -> Any:
        if self.error:
            kind, args, fields = self.error
            raise kind(*args, **fields)
        return self.value


def cut(at: datetime) -> Told:
    """The connection was cut before the answer came."""
    return Told(None, at, (Transient, ("cut",), {"ambiguous": True}))


class Unanswered(BaseException):
    """The tape ends here. No handler of the program catches it."""

    def __init__(self, call: Call) -> None:
        self.call = call


class Port:
    """Where a rotator's requests go: to a tape of what it was told or, without one, to the world."""

    def __init__(self, small: "Small", tape: Sequence[Told] | None = None) -> None:
        self._small, self._tape, self._at = small, tape, 0
        self.now = small.now
        """The true time at the last answer."""

    def ask(self, call: Call) -> Any:
        if self._tape is None:
            told = self._small.perform(call)
        elif self._at < len(self._tape):
            told = self._tape[self._at]
            self._at += 1
            assert told.asked == call.key, f"told the same, it asks another question: {call}"
        else:
            raise Unanswered(call)
        self.now = told.at
        return told.tell()


class TapedGateway(GatedGateway):
    """The program's own client, with a port in place of the network."""

    def close(self) -> None:
        """There are no connections."""

    def __init__(self, small: "Small", *args: Any, **kwargs: Any) -> None:
        self._small, self._port = small, small.port
        port = self._port
        # The time that the test itself takes must not tell two runs apart.
        local = LocalClock(lambda: port.now, lambda: (port.now - DAY).total_seconds())
        super().__init__(
            *args, **{**kwargs, "clock": GatewayClock(small.world.timing.clock_tolerance, local)}
        )
        self._server: Any = self
        self._ready: Response | None = None

    def _send(self, call: Any, bearer: Secret) -> Any:
        self._ready = self._port.ask(self._small.gateway_call(call, bearer.reveal()))
        return super()._send(call, bearer)

    def exchange(self, _request: Request, _headers: Mapping[str, str]) -> Response:
        """In place of the network."""
        assert self._ready
        return self._ready


class TapedStore:
    """Any store's methods, through a port."""

    def __init__(self, small: "Small") -> None:
        self._small, self._port = small, small.port

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self._port.ask(self._small.vault_call(name, args, kwargs))


@dataclass(frozen=True)
class Snapshot:
    """Everything that both sides hold, and what was published when."""

    ledger: tuple[AccountKey, ...]
    versions: tuple[tuple[str, tuple[str | None, ...]], ...]
    written: tuple[tuple[tuple[str, int], datetime], ...]
    published: tuple[tuple[str, tuple[Publication, ...]], ...]
    custom: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    freezes: tuple[Freeze, ...]
    now: datetime


class Small:
    """A world of values: one account, one Vault, and rotators that go from request to request."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.account = Ledger(Clock(DAY, frozen=True))
        self.memory = MemoryStore(clock=self.account.clock.now)
        server = GatewayServer(self.account)  # never started
        self.world = World(
            server, self.memory, policy=Twice(), client=lambda *a, **k: TapedGateway(self, *a, **k)
        )
        self.promises = Promises(self.world, self.memory)
        self.world.store = self.truth = self.promises.watch(self.memory)
        self.port = Port(self)
        self.freezes_until: datetime | None = None
        """When the freeze ends that a person sets; None where nobody does."""
        self.titles: TextOf = str
        """How the list shows titles, at all times."""

    @property
    def now(self) -> datetime:
        return self.account.clock.now()

    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.account.keys,
            tuple((path, tuple(kept)) for path, kept in sorted(self.memory.versions.items())),
            tuple(sorted(self.memory.written.items())),
            tuple((path, tuple(log)) for path, log in sorted(self.promises._published.items())),
            tuple((path, tuple(custom.items())) for path, custom in sorted(self.memory.custom.items())),
            tuple(self.promises._freezes),
            self.now,
        )

    def restore(self, snapshot: Snapshot) -> None:
        self.account._keys = list(snapshot.ledger)
        self.account.settle()  # what hides a new key for a moment was of another time
        self.account.quirks = replace(self.account.quirks, titles=self.titles)
        self.memory.versions = {path: list(kept) for path, kept in snapshot.versions}
        self.memory.written = dict(snapshot.written)
        self.promises._published = {path: list(log) for path, log in snapshot.published}
        self.memory.custom = {path: dict(custom) for path, custom in snapshot.custom}
        self.promises._freezes = list(snapshot.freezes)
        self.account.clock.advance(snapshot.now - self.now)

    def gateway_call(self, request: Request, bearer: str) -> Call:
        key = f"{request} {request.params} {json.dumps(request.body)} {bearer}"
        return Call(str(request), None, None, key, lambda: self._exchange(request, bearer))

    def vault_call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        path = args[0] if args and isinstance(args[0], str) else None
        version = args[1] if name == "read" and len(args) > 1 else None
        if name == "write":
            version = kwargs["cas"] + 1
        used = getattr(self.truth, name)
        if name == "write_custom" and (value := args[1].get(FIELD)):
            return Call(name, path, None, f"{name} {args!r}", partial(self._frozen, str(path), value))
        return Call(name, path, version, f"{name} {args!r} {kwargs!r}", lambda: used(*args, **kwargs))

    def freeze(self) -> None:
        """A person freezes the secret, by one request."""
        assert self.freezes_until
        self.taped().write_custom(PATH, {FIELD: write_freeze(self.freezes_until, "a sale")})

    def unheeded(self, call: Call, last: Told | None) -> str | None:
        """What is wrong with revoking a superseded key after this answer, which must be a read without a freeze."""
        if not call.name.startswith("DELETE /keys/") or last is None or not self.freezes_until:
            return None
        victim = next(key for key in self.account.keys if call.name == f"DELETE /keys/{key.id}")
        seen = last.value
        if victim.plaintext not in self.promises.published:
            return None
        if last.error is None and isinstance(seen, Version) and FIELD not in seen.custom:
            return None
        return "a key is revoked, and it was not looked whether its secret is frozen"

    def perform(self, call: Call) -> Told:
        """Carry out a request."""
        # What is answered twice must be the same answer; what is made must not be made twice.
        self.dice.seed(f"world {len(self.account.keys) if call.name.startswith('POST') else ''}")
        try:
            return Told(call.do(), self.now)
        except RotatorError as error:
            fields = {"ambiguous": error.ambiguous} if isinstance(error, Transient) else {}
            return Told(None, self.now, (type(error), (error.message,), fields))

    def _frozen(self, path: str, value: str) -> None:
        self.truth.write_custom(path, {FIELD: value})
        freeze = read_freeze({FIELD: value})
        assert freeze
        assert freeze.until
        self.promises.freeze(path, freeze.until)

    def _exchange(self, request: Request, bearer: str) -> Response:
        headers = Message()
        headers["Authorization"] = f"Bearer {bearer}"
        headers["Content-Type"] = "application/json"
        query = {name: [str(value)] for name, value in (request.params or {}).items()}
        body = b"" if request.body is None else json.dumps(request.body).encode()
        reply = contract.answer(
            self.account, contract.Request(request.method, request.path, query, headers, body)
        )
        return Response(reply.status, {**reply.headers, "Date": self.date()}, reply.body)

    def date(self, by: timedelta = timedelta()) -> str:
        return format_datetime(self.now + by, usegmt=True)

    def advance(self, days: float = 0, *, minutes: float = 0) -> None:
        self.account.clock.advance(timedelta(days=days, minutes=minutes))

    def taped(self) -> Any:
        """The store behind the port."""
        return TapedStore(self)

    def make_pass(self, **options: Any) -> Any:
        """A rotator's pass through the port; to its end at once where that has no tape."""
        return self.world.make_pass(store=self.taped(), gate=_nothing, **options)

    def roll_back(self) -> Any:
        return self.world.roll_back(store=self.taped(), gate=_nothing)

    def prune(self, id_: int) -> Any:
        return self.world.prune(id_, store=self.taped(), gate=_nothing)

    def straight(self, work: Callable[["Small"], object], seed: str) -> None:
        """Let a rotator work to its end."""
        self.port = Port(self)
        self.dice.seed(seed)
        work(self)

    def until(self, work: Callable[["Small"], object], stop: Callable[[Call], bool], seed: str) -> None:
        """Let a rotator work until a request, and kill it before that."""
        rotator = Rotator(seed, work)
        node = rotator.root
        while call := node.pending(self):
            if stop(call):
                return
            node = node.after(self.perform(call))
        raise AssertionError("it never came to that request")


def _nothing() -> None: ...


@dataclass(frozen=True)
class Rotator:
    name: str
    work: Callable[[Small], object]

    @property
    def root(self) -> "Node":
        return Node(self, ())


class Node:
    """A rotator that was told so much."""

    def __init__(self, rotator: Rotator, tape: tuple[Told, ...]) -> None:
        self._rotator, self._tape = rotator, tape
        self._children: dict[str, Node] = {}
        self._pending: Call | None = None
        self._ran = False

    @property
    def last(self) -> Told | None:
        """The answer that it was given last."""
        return self._tape[-1] if self._tape else None

    def after(self, told: Told) -> "Node":
        """What it is once its next request was answered."""
        child = self._children.get(key := told.key)
        if child is None:
            assert self._pending
            told = replace(told, asked=self._pending.key)
            child = self._children[key] = Node(self._rotator, (*self._tape, told))
        return child

    def pending(self, small: Small) -> Call | None:
        """Its next request; None when it has come to its end."""
        if not self._ran:
            self._ran = True
            small.port = Port(small, self._tape)
            small.dice.seed(self._rotator.name)
            try:
                self._rotator.work(small)
            except Unanswered as end:
                self._pending = end.call
            except RotatorError:
                pass
            small.world.log.clear()
        return self._pending

    def nodes(self) -> int:
        return 1 + sum(child.nodes() for child in self._children.values())


@dataclass(frozen=True)
class Lie:
    """One way in which one answer can be untrue."""

    name: str
    tell: Callable[[Small, Call], Told]


Lies = Callable[[Small, Call], Iterable[Lie]]
"""The ways in which the answer to this call could be untrue."""


@dataclass(frozen=True)
class _State:
    world: int
    nodes: tuple[Node, ...]
    alive: tuple[bool, ...]
    crashes: int
    lies: int
    pauses: int


@dataclass
class Explored:
    states: int = 0
    interleavings: int = 0
    worlds: int = 0
    crashes: int = 0
    lies: int = 0
    tapes: int = 0
    made: int = 0
    """The most keys that were made in one interleaving."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """By what was broken: a shortest way to it."""

    @property
    def counts(self) -> dict[str, int]:
        return {
            "small worlds: states": self.states,
            "small worlds: interleavings": self.interleavings,
            "small worlds: crashes": self.crashes,
            "small worlds: lies": self.lies,
        }

    def __str__(self) -> str:
        return (
            f"{self.states} states, {self.interleavings} interleavings, {self.worlds} worlds, {self.tapes} tapes, "
            f"{self.crashes} crashes, {self.lies} lies, at most {self.made} keys made"
        )

    def told(self) -> str:
        return "\n".join(
            f"{fault}\n" + "\n".join(f"  {number:2} {step}" for number, step in enumerate(way, 1))
            for fault, way in sorted(self.faults.items(), key=lambda item: len(item[1]))
        )


class Explorer:
    """Visits all states that a few rotators can come to from the world as it is."""

    def __init__(
        self,
        small: Small,
        rotators: Sequence[Rotator],
        *,
        crashes: int = 0,
        lies: Lies | None = None,
        liars: Sequence[int] = (0, 1),
        pauses: Sequence[float] = (),
    ) -> None:
        """`liars`: whose answers may be untrue. `pauses`: minutes that may pass, once, while all stand still."""
        self._small, self._rotators = small, rotators
        self._lies, self._liars, self._pauses = lies, liars, pauses
        self._worlds: list[Snapshot] = []
        self._numbers: dict[Snapshot, int] = {}
        self._broken: dict[int, str | None] = {}
        self._settled: dict[tuple[int, int], str | None] = {}
        self._before = len(small.account.keys)
        self._worked = self._works()
        roots = tuple(rotator.root for rotator in rotators)
        self._roots = roots
        alive = (True,) * len(rotators)
        self._start = _State(self._number(), roots, alive, crashes, int(lies is not None), int(bool(pauses)))
        self._came: dict[_State, tuple[_State, str]] = {}
        self.found = Explored()

    def run(self) -> Explored:
        layer = Counter({self._start: 1})
        while layer:
            following: Counter[_State] = Counter()
            for state, ways in layer.items():
                self.found.states += 1
                if self._is_broken(state):
                    continue
                ended = True
                for then, step in self._steps(state):
                    ended = False
                    following[then] += ways
                    self._came.setdefault(then, (state, step))
                if ended:
                    self.found.interleavings += ways
                    self._end(state)
            layer = following
        self.found.worlds = len(self._worlds)
        self.found.tapes = sum(root.nodes() for root in self._roots)
        return self.found

    def _steps(self, state: _State) -> Iterator[tuple[_State, str]]:
        stand = False
        for number, node in enumerate(state.nodes):
            call = node.pending(self._small) if state.alive[number] else None
            if call is None:
                continue
            stand = True
            name = self._rotators[number].name
            self._small.restore(self._worlds[state.world])
            if fault := self._small.unheeded(call, node.last):
                self._note(fault, state)
            told = self._small.perform(call)
            yield self._moved(state, number, told), f"{name}: {call}"
            if state.lies and self._lies and number in self._liars:
                self._small.restore(self._worlds[state.world])
                for lie in list(self._lies(self._small, call)):
                    self._small.restore(self._worlds[state.world])
                    told = lie.tell(self._small, call)
                    self.found.lies += 1
                    yield self._moved(state, number, told, lies=0), f"{name}: {call}, untrue: {lie.name}"
            if state.crashes:
                self.found.crashes += 1
                alive = tuple(lives and at != number for at, lives in enumerate(state.alive))
                dead = _State(state.world, state.nodes, alive, state.crashes - 1, state.lies, state.pauses)
                yield dead, f"{name} is killed before: {call}"
        if stand and state.pauses:
            for minutes in self._pauses:
                self._small.restore(self._worlds[state.world])
                self._small.advance(minutes=minutes)
                yield (
                    _State(self._number(), state.nodes, state.alive, state.crashes, state.lies, 0),
                    f"{minutes} minutes pass",
                )

    def _moved(self, state: _State, number: int, told: Told, *, lies: int | None = None) -> _State:
        nodes = list(state.nodes)
        nodes[number] = nodes[number].after(told)
        lies = state.lies if lies is None else lies
        return _State(self._number(), tuple(nodes), state.alive, state.crashes, lies, state.pauses)

    def _number(self) -> int:
        snapshot = self._small.snapshot()
        number = self._numbers.setdefault(snapshot, len(self._worlds))
        if number == len(self._worlds):
            self._worlds.append(snapshot)
        return number

    def _works(self) -> bool:
        plaintext = (self._small.memory.read(PATH).data or {}).get("api_key")
        return self._small.account.authenticates(plaintext or "") is not None

    def _is_broken(self, state: _State) -> bool:
        if state.world not in self._broken:
            self._small.restore(self._worlds[state.world])
            self._broken[state.world] = self._look()
        if fault := self._broken[state.world]:
            self._note(fault, state)
        return bool(fault)

    def _look(self) -> str | None:
        try:
            self._small.promises.hold()
        except AssertionError as broken:
            return _first_line(broken)
        return "the current key does not work" if self._worked and not self._works() else None

    def _end(self, state: _State) -> None:
        snapshot = self._worlds[state.world]
        self.found.made = max(self.found.made, len(snapshot.ledger) - self._before)
        if fault := self._settle(state.world, 0):
            self._note(f"{fault} (in the end)", state)

    def _settle(self, number: int, passes: int) -> str | None:
        """Let later passes come; say what is wrong with what becomes of this world."""
        if (number, passes) not in self._settled:
            self._small.restore(self._worlds[number])
            self._settled[number, passes] = self._later(passes)
        return self._settled[number, passes]

    def _later(self, passes: int) -> str | None:
        small = self._small
        small.advance(minutes=LATER[passes])
        small.straight(lambda small: small.make_pass(), f"later {passes}")
        last = small.world.log.pop()
        if fault := small.promises.heeded(last) or self._look():
            return fault
        if passes + 1 < len(LATER):
            return self._settle(self._number(), passes + 1)
        try:
            small.promises.converged()
        except AssertionError as broken:
            return _first_line(broken)
        return None if last.converged else "the last pass did not converge"

    def _note(self, fault: str, state: _State) -> None:
        if fault in self.found.faults:
            return
        way: list[str] = []
        while state in self._came:
            state, step = self._came[state]
            way.insert(0, step)
        self.found.faults[fault] = way


def _first_line(broken: AssertionError) -> str:
    return str(broken).splitlines()[0] if str(broken) else "a promise"
