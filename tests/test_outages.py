"""Vault is out of reach between create and store, for each second up to past `store_deadline`.

However it comes back, a new key is published and works, or it is not published and swept later.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Event, Timer

import pytest

from rotator.passes.result import Outcome
from rotator.sandbox.faults import ALWAYS, Cut, Fault, Phase
from rotator.sandbox.replies import Breakage, Reply
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH, TIMING
from tests.long import Figure, examples
from tests.promises import Promises
from tests.proxy import Proxy
from tests.stage import settle
from tests.traffic import Traffic
from tests.vaults import connect_to, new_kv
from tests.world import World, later, new_server

pytestmark = pytest.mark.usefixtures("searched")
DEADLINE = examples(3, 8)
"""`store_deadline` of these tests, in seconds."""
DATA = f"* */data/{PATH}"


@dataclass
class Out:
    """A world whose rotation meets an outage at its first write."""

    world: World
    proxy: Proxy
    promises: Promises
    traffic: Traffic

    def published(self) -> bool:
        """Whether the newest key ever stood in the secret."""
        newest = self.world.server.account.keys[-1].plaintext
        latest = self.world.store.read(PATH).number
        versions = (self.world.store.read(PATH, number) for number in range(1, latest + 1))
        return newest in [(version.data or {}).get("api_key") for version in versions]


@contextmanager
def out(vault: VaultServer) -> Iterator[Out]:
    mount = new_kv(vault)
    with new_server(later()) as gateway, Proxy(vault.address) as proxy:
        store = connect_to(proxy.address, vault.token, mount, timeout=1.0)
        timing = replace(TIMING, store_deadline=timedelta(seconds=DEADLINE))
        world = World(gateway, store, timing=timing)
        traffic = Traffic()
        promises = Promises(world, connect_to(vault.address, vault.token, mount))
        proxy.watch, proxy.hook = promises.seen, traffic.hook
        yield Out(world, proxy, promises, traffic)
        traffic.release()


def refused(subject: Out) -> None:
    """Connections are reset before anything is forwarded."""
    subject.proxy.faults.add(Fault(DATA, Cut(), times=ALWAYS))


def black_hole(subject: Out) -> None:
    """Requests are swallowed: no answer, and no effect."""

    def swallow(_reply: Reply | None) -> Reply:
        subject.traffic.hold(None)
        return Reply(504, b"", broken=Breakage.CLOSE)

    subject.proxy.faults.add(Fault(DATA, swallow, times=ALWAYS))


def late(subject: Out) -> None:
    """Requests are held up, and land when the outage ends, whoever still waits for them."""
    subject.proxy.faults.add(Fault(DATA, subject.traffic.hold, times=ALWAYS))


def answers_lost(subject: Out) -> None:
    """Each request has its effect, and the connection is cut before the answer."""
    subject.proxy.faults.add(Fault(DATA, Cut(), at=Phase.AFTER, times=ALWAYS))


def _outage(vault: VaultServer, how: str, seconds: float) -> str:
    """Rotate; the outage begins with the new key and ends so many seconds later."""
    with out(vault) as subject:
        world = subject.world
        world.make_pass()
        world.advance(7)
        over = Event()

        def end() -> None:
            subject.proxy.faults.clear()
            subject.traffic.release()
            over.set()

        def begin(_reply: Reply | None) -> None:
            OUTAGES[how](subject)
            Timer(seconds, end).start()

        world.server.faults.add(Fault("POST /keys", begin, at=Phase.AFTER))
        result = world.one()
        assert over.wait(60)
        subject.traffic.release()  # what is still on its way lands now
        subject.promises.hold()
        assert result.outcome in (Outcome.DONE, Outcome.FAILED)
        published = subject.published()
        assert published or result.outcome is Outcome.FAILED
        if published:
            assert world.works()
            assert world.rotation()["key_id"] == 3
        settle(world, subject.promises)
        assert world.server.account.keys[2].live == published
        return "published" if published else "swept"


OUTAGES = {"refused": refused, "black hole": black_hole, "late": late, "answers lost": answers_lost}


@pytest.mark.parametrize("how", OUTAGES)
def test_for_each_second(vault_server: VaultServer, how: str, figure: Figure) -> None:
    seconds = range(DEADLINE + 3)
    with ThreadPoolExecutor(len(seconds)) as pool:
        ends = list(pool.map(lambda outage: _outage(vault_server, how, outage), seconds))
    assert ends[0] == "published"
    figure(f"outage, {how}: second by second {', '.join(ends)}")


def test_a_write_that_lands_days_late_is_kept_out(vault_server: VaultServer) -> None:
    """The sweep has written on top of the version that it was meant for."""
    with out(vault_server) as subject:
        world = subject.world
        world.make_pass()
        world.advance(7)
        subject.proxy.faults.add(Fault(f"POST */data/{PATH}", subject.traffic.hold))
        subject.proxy.faults.add(Fault(DATA, Cut(), times=ALWAYS))
        assert world.one().failed
        subject.proxy.faults.clear()
        world.advance(0, minutes=16)
        world.one()
        world.advance(3)
        world.one()
        subject.traffic.release()
        subject.promises.hold()
        settle(world, subject.promises)
