"""`rotator status`: what it says of everything, what it needs for it, and its exit code."""

import io
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from rotator.errors import Rejected
from rotator.passes.observe import look as look_at
from rotator.redaction import redact_values
from rotator.rules.cadence import CronSchedule
from rotator.rules.model import Version
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from rotator.show.severity import KeyState
from rotator.show.status import AccountStatus as Seen
from rotator.show.status import render
from tests.facts import PATH, managed
from tests.program import Program
from tests.stores import StoreWrapper
from tests.vaults import new_token
from tests.world import STATE, World

MINUTE = timedelta(minutes=1)


def look(world: World, **options: object) -> Seen:
    with world.account(**options) as account:  # type: ignore[arg-type]
        return Seen.of(*look_at(account))


def words(seen: Seen) -> str:
    return render(seen, Console(file=io.StringIO(), width=80, highlight=False, markup=False))


def due(world: World) -> None:
    world.advance(7)


def overdue(world: World) -> None:
    world.advance(7, minutes=60)


def gone(world: World) -> None:
    world.memory.delete(PATH)


def revoked(world: World) -> None:
    world.advance(0, minutes=3)
    world.server.account.revoke(2)


def revoked_and_held(world: World) -> None:
    """Its rotation failed, and left a young orphan."""
    revoked(world)
    world.server.faults.add(Fault("POST /keys", Status(400), at=Phase.AFTER))
    world.make_pass()


def missing_and_held(world: World) -> None:
    world.memory.put(PATH, {})
    revoked_and_held(world)


def closed(world: World) -> None:
    """Its window is over, and nobody rotated it meanwhile."""
    world.keys = (managed(CronSchedule("0 12 * * *", window=timedelta(minutes=30))),)
    world.advance(0, minutes=60 * 12 + 45)


def long_closed(world: World) -> None:
    closed(world)
    world.advance(0, minutes=15)


def unread(world: World) -> None:
    class Unread(StoreWrapper):
        def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
            if path == PATH:
                raise Rejected("GET: 403", request_id="req_1", cure="look at the policy")
            return super().read(path, version, once=once)

    world.store = Unread(world.store)


@pytest.mark.parametrize(
    ("befalls", "state", "well"),
    [
        (lambda _world: None, KeyState.OK, True),
        (due, KeyState.DUE, True),
        (overdue, KeyState.OVERDUE, False),
        (gone, KeyState.MISSING, False),
        (revoked, KeyState.REVOKED, False),
        (revoked_and_held, KeyState.REVOKED, False),
        (missing_and_held, KeyState.MISSING, False),
        (closed, KeyState.HELD, True),
        (long_closed, KeyState.OVERDUE, False),
        (unread, KeyState.FAILED, False),
    ],
)
def test_a_state_in_a_word(
    world: World, befalls: Callable[[World], None], state: KeyState, well: bool
) -> None:
    world.make_pass()
    befalls(world)
    seen = look(world)
    assert (seen.keys[0].state, seen.well) == (state, well)
    assert f" {'refused' if state is KeyState.REVOKED else state}" in words(seen)


@pytest.mark.parametrize("befalls", [overdue, gone, revoked])
def test_what_a_pass_mends_names_the_pass(world: World, befalls: Callable[[World], None]) -> None:
    world.make_pass()
    assert "cure" not in words(look(world))
    befalls(world)
    assert (
        "cure: the next pass does it, or says why it cannot; to make a pass now:\n        rotator --once\n"
        in words(look(world))
    )


@pytest.mark.parametrize("befalls", [revoked_and_held, missing_and_held, closed])
def test_what_is_held_back_names_what_tells_why(world: World, befalls: Callable[[World], None]) -> None:
    world.make_pass()
    befalls(world)
    assert "rotator explain NAME" in words(look(world))
    assert "cure: the next pass" not in words(look(world))


def test_what_it_says_of_a_key_that_could_not_be_read(world: World) -> None:
    world.make_pass()
    unread(world)
    text = words(look(world))
    assert "GET: 403 (request_id req_1)" in text
    assert "cure: look at the policy" in text


def test_what_programs_feel_comes_first_with_its_path(world: World) -> None:
    """Ahead of the rows of those that are well, and of orphans and other keys."""
    world.keys = tuple(replace(managed(), name=name, path=f"apimall/{name.lower()}") for name in "ABC")
    world.make_pass()
    world.make_pass(forced=True)
    last = next(key.id for key in reversed(world.live) if key.title.startswith("C "))
    world.advance(0, minutes=3)
    world.server.account.revoke(last)
    lines = words(look(world)).splitlines()
    assert lines[0] == "programs are refused now: apimall/c"
    assert lines[1].startswith(
        f"C: programs that read apimall/c are refused: key {last} is listed as revoked"
    )
    table = next(at for at, line in enumerate(lines) if line.startswith("managed key"))
    assert [line.split()[0] for line in lines[table + 1 : table + 4]] == ["C", "A", "B"]
    assert "with the next pass" in lines[table + 1]
    assert lines.index("other keys") > table
    assert look(world).to_json()["severity"] == "refused"


def test_an_orphan_that_a_failed_rotation_left_is_no_other_replicas(world: World) -> None:
    world.make_pass()
    revoked_and_held(world)
    assert "younger than 2m: a rotation that failed left it behind" in words(look(world)).replace("\n", " ")


class TestRevocations:
    def test_a_superseded_key_says_when_it_goes(self, world: World) -> None:
        world.make_pass()
        world.make_pass(forced=True)
        seen = look(world)
        assert seen.well
        assert "Backend: 2 is superseded, goes in 1d (2026-11-02 00:00 UTC)" in words(seen)

    @pytest.mark.parametrize(("minutes", "well"), [(60 * 24 + 59, True), (60 * 25, False)])
    def test_it_is_overdue_when_the_passes_had_an_hour(self, world: World, minutes: int, well: bool) -> None:
        world.make_pass()
        world.make_pass(forced=True)
        world.advance(0, minutes=minutes)
        seen = look(world)
        assert seen.well == well
        assert ("Backend: 2 is superseded, overdue for" in words(seen)) == (not well)
        assert ("rotator --once" in words(seen)) == (not well)
        assert ("! key 2 of Backend should have been revoked 1h ago\n" in words(seen)) == (not well)
        assert ("; 1 revocation overdue" in words(seen)) == (not well)

    def test_one_whose_grace_was_ended_is_named_so(self, world: World) -> None:
        world.make_pass()
        world.make_pass(forced=True, without_grace=True)
        assert "key 2 of Backend should be revoked: its revocation has begun" in words(look(world))


class TestKeysOfOthers:
    def test_each_kind_is_listed_apart(self, world: World) -> None:
        account = world.server.account
        world.keys = (managed(), replace(managed(), name="Reporting", path="apimall/reporting"))
        world.make_pass()
        world.keys = world.keys[:1]
        account.create("Backend [2026-11-01T00:00:00Z abcdef-00000000]")
        account.create("made by hand")
        text = words(look(world)).split("\n\n")
        foreign, leftover, unmanaged = (
            next(part for part in text if part.startswith(heading))
            for heading in (
                "unmanaged keys that another installation made",
                "unmanaged keys that this installation made for a name",
                "unmanaged keys that a person or another program made",
            )
        )
        assert "4 “Backend [" in foreign
        assert "3 “Reporting [" in leftover or "2 “Reporting [" in leftover
        assert "1 “bootstrap”, the bearer" in unmanaged
        assert "5 “made by hand”" in unmanaged

    def test_a_key_that_a_secret_holds_or_held_is_not_nobodys(self, world: World) -> None:
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        assert [key.id for key in look(world).seen.unmanaged] == [1]
        world.make_pass()
        world.make_pass(forced=True)
        world.advance(2)
        seen = look(world)
        assert [key.id for key in seen.seen.unmanaged] == [1]
        assert "2 is superseded, stays: it was made by hand, or under" in words(seen)

    def test_no_key_that_a_secret_holds_or_names_is_to_be_revoked_by_hand(self, world: World) -> None:
        """An entry was given another name, and its secret has a key of the old one; then both live on."""
        world.make_pass()
        world.keys = (replace(managed(), name="Prod backend"),)
        assert not world.make_pass().foreign
        assert not look(world).seen.leftovers
        world.make_pass(forced=True)
        world.advance(2)
        assert [key.id for key in world.live] == [2, 3]
        assert not world.make_pass().foreign
        assert not look(world).seen.leftovers
        world.keys = (replace(managed(), name="Elsewhere", path="apimall/elsewhere"),)
        assert [key.id for key in look(world).seen.leftovers] == [2, 3]

    def test_nor_is_one_of_another_installation(self, world: World) -> None:
        """As after `rotator installation renew`: what the secrets hold goes on to be used."""
        world.make_pass()
        world.memory.put(STATE, {"installation": "abcdef"})
        assert not look(world).seen.foreign
        world.memory.delete(PATH)
        assert [key.id for key in look(world).seen.foreign] == [2]

    def test_a_title_is_shown_without_what_a_terminal_would_obey(self, world: World) -> None:
        """Nor does a character that takes no room hide a plaintext from the redaction."""
        plaintext = f"sk-{'0a1b2c3d4e' * 4}"
        world.server.account.create(
            f"\x1b[2Jfor\r\nthe \u202eshop\u2066 {plaintext[:12]}\u200b{plaintext[12:]}"
        )
        seen = look(world)
        assert "2 “[2Jforthe shop [redacted]”" in words(seen)
        assert redact_values(seen.to_json())["unmanaged"][1]["title"] == "[2Jforthe shop [redacted]"

    def test_a_long_list_is_cut(self, world: World) -> None:
        for number in range(30):
            world.server.account.create(f"key {number}")
        seen = look(world)
        assert "and 11 more" in words(seen)
        assert len(seen.to_json()["unmanaged"]) == 31


class TestTheCommand:
    def test_it_writes_nothing_and_needs_only_to_read(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        assert rotator.run("status").code == 1
        rotator.run("--once")
        token = new_token(
            vault_server,
            f'path "{mount}/data/*" {{ capabilities = ["read"] }}',
            no_default_policy=True,
        ).reveal()
        seen = rotator.run("status", "--log-format", "json", environ={"VAULT_TOKEN": token})
        assert seen.code == 0
        methods = {event["method"] for event in seen.events if event["event"].endswith(".request")}
        assert methods == {"GET"}
        assert len(gateway.account.keys) == 3

    def test_for_programs(self, rotator: Program) -> None:
        rotator.run("--once")
        seen = rotator.run("status", "--json", "--key", "Reporting")
        assert (seen.code, seen.json["well"]) == (0, True)
        assert [(key["name"], key["state"]) for key in seen.json["keys"]] == [("Reporting", "ok")]
        assert seen.json["unmanaged"] == [{"key_id": 1, "title": "bootstrap"}]
        assert seen.json["bearer"] == [1]

    def test_what_cannot_be_reached(self, rotator: Program, gateway: GatewayServer) -> None:
        gateway.faults.add(Fault("GET /keys", Status(401), times=ALWAYS))
        seen = rotator.run("status", "--json")
        assert seen.code == 3
        assert seen.json["error"]["request_id"]

    @pytest.mark.parametrize("option", ["--once", "--key"])
    def test_options_of_a_pass_do_not_go_before_it(self, rotator: Program, option: str) -> None:
        options = [option, "Reporting"] if option == "--key" else [option]
        seen = rotator.run(*options, "status")
        assert (seen.code, "do not apply to status" in seen.err) == (2, True)

    def test_it_can_be_watched(self, rotator: Program) -> None:
        """One object a line, until Ctrl-C; its exit code is that of the last look."""
        rotator.run("--once")
        with watching(rotator, "--json") as (process, lines):
            assert [next(lines)[:45] for _ in range(2)] == [
                '{"schema": 1, "kind": "status", "well": true,'
            ] * 2
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0

    def test_a_failure_while_it_is_watched_does_not_end_it(
        self, rotator: Program, gateway: GatewayServer
    ) -> None:
        gateway.faults.add(Fault("GET /keys", Status(401), times=2))
        with watching(rotator) as (process, lines):
            assert any("401" in line for line in lines)
            assert any("managed key" in line for line in lines)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 1


@contextmanager
def watching(rotator: Program, *options: str) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """Watch each second; hand out the process and the lines that it prints."""
    process = rotator.start("status", "--watch", "1", *options)
    assert process.stdout
    try:
        yield process, iter(process.stdout.readline, "")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_colour_where_none_is_wanted(rotator: Program, environ: dict[str, str], coloured: bool) -> None:
    shown = rotator.on_a_terminal("status", environ={"TERM": "xterm-256color", **environ})
    assert "missing" in shown.out
    assert bool(re.search(r"\x1b\[(?:[0-9]+;)*[349][0-9]", shown.out)) is coloured
