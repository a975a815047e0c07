"""One key and its three consumers: an agent that confirms, a receiver that is told, and programs at a copy.

All is real but the gateway's calendar: two servers, `bao agent` by the file in deploy/, signed events over HTTP,
and programs that call the gateway with the key that they hold, all the while.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from rotator.clients.receiver import Receivers
from rotator.clients.webhook_signature import parse_secrets
from rotator.passes.confirm import confirm
from rotator.rules.model import CopyTarget, Receiver
from rotator.sandbox.vault import VaultServer
from tests.calling import Calling
from tests.deployed import DEPLOY, forget, until
from tests.facts import managed
from tests.needs import RENDER_INTERVAL, Needs
from tests.program import BACKEND, secret
from tests.receiver import SECRET
from tests.serving import cut, reply, serving
from tests.test_consumers import agent
from tests.vaults import connect, connect_to, new_token
from tests.world import World, later, new_server

LIMIT = timedelta(days=5)
ACKS = f"rotator/acks/{BACKEND}"


@dataclass
class Batch:
    """A program with a receiver: it reads Vault when it is told to, and holds what it read."""

    vault: VaultServer
    token: str = ""
    held: str = ""
    told: list[int] = field(default_factory=list)
    gone: bool = False

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.gone:
            cut(handler)
            return
        event = Webhook(SECRET).verify(handler.rfile.read(), dict(handler.headers.items()))
        self.told.append(event["data"]["key_id"])
        self.reads()
        reply(204, raw=b"")(handler)

    def reads(self) -> None:
        answer = self.vault.api("GET", f"secret/data/{BACKEND}")
        self.held = answer["data"]["data"]["api_key"]


@dataclass
class Story:
    world: World
    vault: VaultServer
    eu: VaultServer
    batch: Batch
    file: Path
    """What the agent of `web` writes."""

    @property
    def current(self) -> int:
        return int(self.world.rotation(BACKEND)["key_id"])

    def rotates(self) -> int:
        """Return the id of the key that was replaced."""
        old = self.current
        self.world.advance(minutes=10)
        assert self.world.one(forced=True).rotation
        return old

    def web_moves(self) -> None:
        """Wait for the agent, which confirms after it has written the file."""
        until(lambda: (self.world.store.read(f"{ACKS}/web").data or {}).get("key_id") == str(self.current))
        assert self.file.read_text() == self.world.secret(BACKEND)["api_key"]

    def revoked(self, *, days: float = 0) -> list[int]:
        """Make a pass, by default at once."""
        self.world.advance(days, minutes=10)
        result = self.world.one()
        assert not result.failed
        return [gone.key_id for gone in result.revoked]


@pytest.fixture
def eu() -> Iterator[VaultServer]:
    with VaultServer() as server:
        yield server


@pytest.fixture
def story(vault_server: VaultServer, eu: VaultServer, tmp_path: Path, needs: Needs) -> Iterator[Story]:
    needs(RENDER_INTERVAL)
    forget(vault_server)
    forget(eu)
    batch = Batch(vault_server)
    token = new_token(eu, (DEPLOY / "vault/copies.hcl").read_text())
    with new_server(later()) as gateway, serving(batch.answer) as url:
        key = replace(
            managed(),
            name="Production backend",
            path=BACKEND,
            consumers=("web", "batch", "eu"),
            receivers=(Receiver("batch", url, "webhook.secret", env="WEBHOOK_SECRET"),),
            copies={"eu": CopyTarget("eu", BACKEND)},
            grace_limit=LIMIT,
        )
        told = Receivers(lambda _: parse_secrets(SECRET))
        world = World(
            gateway, connect(vault_server), (key,), vaults={"eu": connect(eu, token)}, tell=told.tell
        )
        world.make_pass()
        yield Story(world, vault_server, eu, batch, tmp_path / "api-key")


@contextmanager
def calling(story: Story) -> Iterator[dict[str, Calling]]:
    """Let a program of each consumer call the gateway; a program at the copy asks its Vault before each call."""
    batch = story.batch
    batch.reads()
    keys = {
        "web": lambda: story.file.read_text(),
        "batch": lambda: batch.held,
        "eu": lambda: str(secret(story.eu, "secret", BACKEND)["api_key"]),
    }
    with ExitStack() as stack:
        port = story.world.server.port
        yield {name: stack.enter_context(Calling(key, port)) for name, key in keys.items()}


def test_nobody_s_key_dies_before_everybody_has_moved(story: Story, tmp_path: Path) -> None:
    world = story.world
    with agent(tmp_path, story.vault, confirms=True):
        story.web_moves()
        with calling(story) as programs:
            _all_move(story)
            _the_receiver_is_gone(story)
            _it_is_scaled_to_nought_and_back(story)
            _the_copy_is_out_of_reach(story)
            _a_confirmation_is_lost(story)
            _it_was_another_key_for_a_while(story)
            for program in programs.values():
                until(program.calls_more())
    with calling(story) as late:
        _the_agent_is_dead(story, tmp_path)
        for program in late.values():
            until(program.calls_more())
    statuses = {name: {*program.statuses, *late[name].statuses} for name, program in programs.items()}
    assert statuses == {"web": {200}, "batch": {200}, "eu": {200}}
    assert [key.id for key in world.live] == [story.current]


def _all_move(story: Story) -> None:
    old = story.rotates()
    story.web_moves()
    assert story.batch.told[-1] == story.current
    assert story.revoked(days=1) == [old]


def _the_receiver_is_gone(story: Story) -> None:
    story.batch.gone = True
    old = story.rotates()
    story.web_moves()
    assert story.revoked(days=1) == []
    story.batch.gone = False
    assert story.revoked() == [], "it is told at the end of this pass"
    assert story.batch.told[-1] == story.current
    assert story.revoked() == [old]


def _it_is_scaled_to_nought_and_back(story: Story) -> None:
    batch = story.batch
    batch.held, batch.gone = "", True
    old = story.rotates()
    story.web_moves()
    assert story.revoked(days=1) == []
    batch.reads()
    batch.gone = False
    assert story.revoked() == [], "it is told at the end of this pass"
    assert story.revoked() == [old]


def _the_copy_is_out_of_reach(story: Story) -> None:
    there = story.world.vaults["eu"]
    story.world.vaults["eu"] = connect_to("http://127.0.0.1:9", story.vault.token, timeout=1)
    old = story.rotates()
    story.web_moves()
    assert story.revoked(days=1) == []
    story.world.vaults["eu"] = there
    assert story.revoked() == [], "the copy is written, and its programs have a grace from now on"
    assert story.revoked(days=1) == [old]


def _a_confirmation_is_lost(story: Story) -> None:
    old = story.rotates()
    story.web_moves()
    story.vault.api("DELETE", f"secret/metadata/{ACKS}/web")
    assert story.revoked(days=1) == []
    [key] = story.world.keys
    confirm(story.world.store, key, "web", f"{ACKS}/web", story.current)
    assert story.revoked() == [old]


def _it_was_another_key_for_a_while(story: Story) -> None:
    """By a rollback, and by a person who restores an older version."""
    first = story.rotates()
    story.web_moves()
    newer = story.current
    assert story.world.roll_back("Production backend").current == first
    story.web_moves()
    story.revoked()
    assert story.batch.told[-1] == first
    assert story.revoked(days=1) == [newer]
    old = story.rotates()
    story.web_moves()
    story.world.advance(minutes=20)  # else the newer key at the copy might be another instance's
    newer, latest = story.current, story.world.store.read(BACKEND).number
    before = story.world.store.read(BACKEND, latest - 1).data
    story.world.store.write(BACKEND, before or {}, cas=latest)
    story.web_moves()
    assert story.current == old
    story.revoked()
    assert story.batch.told[-1] == old
    assert story.revoked(days=1) == [newer]


def _the_agent_is_dead(story: Story, directory: Path) -> None:
    """What its program holds lives on until the limit; back in time, it moves."""
    old = story.rotates()
    assert story.revoked(days=2) == []
    with agent(directory, story.vault, confirms=True):
        story.web_moves()
        assert story.revoked() == [old]


def test_a_forged_confirmation_costs_its_consumer_the_rest_and_nobody_else(
    story: Story, tmp_path: Path
) -> None:
    with agent(tmp_path, story.vault, confirms=True):
        story.web_moves()
    with calling(story) as programs:
        old = story.rotates()
        assert story.revoked(days=0.5) == [], "the grace is not over, whatever is said"
        [key] = story.world.keys
        confirm(story.world.store, key, "web", f"{ACKS}/web", story.current)
        assert set(programs["web"].statuses) == {200}
        assert story.revoked(days=0.5) == [old]
        for program in programs.values():
            until(program.calls_more())
    assert 401 in programs["web"].statuses
    assert {*programs["batch"].statuses, *programs["eu"].statuses} == {200}


def test_without_any_word_the_old_key_goes_at_the_limit(story: Story, tmp_path: Path) -> None:
    """The agent is dead for good, the receiver gone and the other Vault out of reach."""
    story.batch.gone = True
    story.world.vaults["eu"] = connect_to("http://127.0.0.1:9", story.vault.token, timeout=1)
    old = story.rotates()
    assert story.revoked(days=4) == []
    assert story.revoked(days=1) == [old]
