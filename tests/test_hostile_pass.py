"""Whole passes in which any answer of either side may be broken: they end, named, and no promise is broken."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rotator.errors import RotatorError
from rotator.passes.result import PassResult
from rotator.sandbox.faults import ALWAYS, GARBAGE, Body, Cut, Fault, Phase, Status, Truncate, data_with
from rotator.sandbox.replies import Breakage, Reply
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH
from tests.hostile import SECRET
from tests.leaks import leaks
from tests.logs import captured
from tests.long import examples
from tests.promises import Promises
from tests.proxy import Proxy
from tests.vaults import connect_to
from tests.world import STATE, World, new_server

Twist = Callable[[Reply], Reply | None]
ODD: list[Any] = [None, True, -1, 0, 2, 2**63, 10**30, "", "x", SECRET, "\ud800" * 12, [], {}, [[]], 1e300]
TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-11-01T00:00:00"]
FIELDS = ["id", "title", "status", "created_at", "key_preview", "api_key"]


def honest(reply: Reply) -> Reply:
    return reply


HONEST = st.just(honest)
GATEWAY: st.SearchStrategy[Any] = st.one_of(
    *[HONEST] * 3,
    st.sampled_from(list(GARBAGE.values())),
    st.sampled_from([400, 401, 403, 404, 405, 409, 429, 500, 503, 599]).map(Status),
    st.builds(Status, st.just(429), st.sampled_from(["0", "1e308", "-1", "Fri, 31 Dec 9999 23:59:59 GMT"])),
    st.builds(Cut),
    st.integers(0, 60).map(Truncate),
    st.binary(max_size=30).map(Body),
    st.builds(
        lambda name, value: data_with(**{name: value}), st.sampled_from(FIELDS), st.sampled_from(ODD + TIMES)
    ),
)
"""What becomes of an honest answer, after its effect. None of these says that a key works which does not."""
VAULT: st.SearchStrategy[Any] = st.one_of(
    *[HONEST] * 3, st.integers(0, 2**32).map(lambda seed: partial(broken, seed))
)
BUSY = [307, 412, 429, 472, 500, 503, 600]
BODIES = [b"", b"<html>", b"null", b"[" * 100_000, b'{"data": 1e400}', b"\xff\xfe{\0}\0"]


def broken(seed: int, reply: Reply) -> Reply:
    """Break an answer of Vault. Its data stays, and no write is refused: nobody could tell."""
    dice = random.Random(seed)
    match dice.randrange(5):
        case 0:
            return replace(reply, status=dice.choice(BUSY), body=json.dumps({"errors": ["why"]}).encode())
        case 1:
            return replace(reply, body=dice.choice(BODIES))
        case 2:
            return replace(reply, sent=dice.randrange(len(reply.body) + 1))
        case 3:
            return replace(reply, broken=dice.choice(list(Breakage)))
        case _:
            return replace(reply, body=json.dumps(_mutated(json.loads(reply.body or b"{}"), dice)).encode())


def _mutated(envelope: Any, dice: random.Random) -> Any:
    part = envelope
    while isinstance(part.get("data"), dict) and "metadata" not in part and dice.randrange(3):
        part = part["data"]
    part = part.get("metadata", part)
    names = [name for name in part if name != "data"]
    part[dice.choice(names or ["x"])] = dice.choice(ODD)
    return envelope


def twisted(twists: list[Twist]) -> Callable[[Reply | None], Reply | None]:
    left, lock = iter(twists), Lock()

    def next_one(reply: Reply | None) -> Reply | None:
        with lock:
            twist = next(left, None)
        return twist(reply) if twist and reply else reply

    return next_one


def attempts(world: World, store: Any) -> Iterator[PassResult | RotatorError]:
    for days in (0, 7, 1, 0.1):
        world.advance(days)
        try:
            yield world.make_pass(store=store)
        except RotatorError as error:
            yield error


def play(vault_server: VaultServer, gateway: list[Twist], vault: list[Twist]) -> None:
    """Make a few passes in which the answers are twisted in turn, and then honest; hold the promises."""
    for path in (PATH, STATE):
        vault_server.api("DELETE", f"secret/metadata/{path}")
    with new_server() as server, Proxy(vault_server.address) as proxy, captured() as log:
        world = World(server, connect_to(vault_server.address, vault_server.token))
        world.impatient()
        promises = Promises(world, world.store)
        proxy.watch = promises.seen
        for faults, twists in ((server.faults, gateway), (proxy.faults, vault)):
            faults.add(Fault("* *", twisted(twists), at=Phase.AFTER, times=ALWAYS))
        hostile = connect_to(proxy.address, vault_server.token)
        results = list(attempts(world, hostile))
        promises.hold()
        emitted = log.getvalue() + "".join(map(str, results))
        ledger = [key.plaintext for key in server.account.keys]
        assert leaks(emitted, ledger) == []
        assert "unexpected" not in emitted
        assert world.secret().get("api_key") in {None, *ledger}


@settings(max_examples=examples(20), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(gateway=st.lists(GATEWAY, max_size=40), vault=st.lists(VAULT, max_size=60))
@example(gateway=[honest, data_with(api_key="sk-" + "f" * 48)], vault=[])
def test_any_answers_break_no_promise(
    vault_server: VaultServer, gateway: list[Twist], vault: list[Twist]
) -> None:
    play(vault_server, gateway, vault)


@pytest.mark.parametrize("after", range(14))
def test_vault_answers_nonsense_from_some_answer_on(vault_server: VaultServer, after: int) -> None:
    play(vault_server, [], [honest] * after + [lambda reply: replace(reply, body=b"<html>")] * 12)
