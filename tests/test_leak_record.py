"""The incident record says of no key that it is dead while it lives, nor that it lives once it is dead."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status, data_with
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.long import Figure
from tests.program import BACKEND, KEYS, LEAK, REPORTING, Program, secret
from tests.stage import LEAST, STOPPED_AT, settle, staged, terminate

CONTAIN = (*LEAK, "--yes")


def once_created(gateway: GatewayServer, do: Callable[[], object]) -> None:
    """Let this happen as soon as the new key is made."""

    def after(method: str, path: str, phase: Phase) -> None:
        if (method, path, phase) == ("POST", "/keys", Phase.AFTER):
            gateway.hook = None
            do()

    gateway.hook = after


class TestNotOver:
    def test_a_leaked_key_that_the_list_omits_may_live(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        gateway.account.quirks = Quirks(omitted=frozenset({leaked}))
        done = rotator.run(*CONTAIN)
        assert (done.code, f"! alive: {leaked}" in done.out) == (1, True)
        assert f"key {leaked}: used elsewhere, or missing from the gateway's list" in done.out

    def test_a_leaked_key_that_fits_no_listed_one(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str, leaked: int
    ) -> None:
        data = {"data": {"api_key": secret(vault_server, mount, BACKEND)["api_key"]}}
        vault_server.api("POST", f"{mount}/data/{BACKEND}", data)
        gateway.faults.add(Fault("GET /keys", data_with(key_preview="sk-..."), at=Phase.AFTER, times=ALWAYS))
        done = rotator.run(*CONTAIN, "--json")
        assert (done.code, done.json["over"], done.json["keys"][0]["unknown"]) == (1, False, True)

    def test_the_gateway_fails_once_the_new_key_is_published(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        refuse = Fault("GET /keys", Status(403), times=ALWAYS)
        once_created(gateway, lambda: gateway.faults.add(refuse))
        done = rotator.run(*CONTAIN)
        assert done.code == 1
        assert f"replaced key {leaked}" in done.out
        assert "✗ the account: GET /keys: 403" in done.out
        assert "the next pass tries again, because they have no grace left" in done.out

    def test_somebody_else_wrote_another_key_first(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str, leaked: int
    ) -> None:
        def rival() -> None:
            theirs = {"api_key": gateway.account.create("by hand").plaintext}
            data = {**secret(vault_server, mount, BACKEND), **theirs}
            vault_server.api("POST", f"{mount}/data/{BACKEND}", {"data": data})

        once_created(gateway, rival)
        done = rotator.run(*CONTAIN)
        assert done.code == 1
        assert ": run this again" in done.out
        assert "no grace left" not in done.out
        assert rotator.run(*CONTAIN).code == 1  # theirs is not ours to revoke
        assert not gateway.account.keys[leaked - 1].live

    def test_what_both_passes_met_is_told_once_with_one_cure(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        gateway.faults.add(Fault(f"DELETE /keys/{leaked}", Status(403), times=ALWAYS))
        done = rotator.run(*CONTAIN)
        said = " ".join(done.out.split())
        (told,) = [part for part in said.split("✗ ") if "DELETE /keys" in part and "cure: " in part]
        assert "cure: ask the gateway's support why it refuses this one" in told
        assert "then: the next pass tries again, because they have no grace left" in told

    def test_a_key_that_was_only_adopted_replaces_none(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        by_hand = gateway.account.create("by hand")
        vault_server.api("POST", f"{mount}/data/{BACKEND}", {"data": {"api_key": by_hand.plaintext}})
        gateway.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=ALWAYS))
        for _ in range(2):  # three orphans, and no more are made
            done = rotator.run(*CONTAIN)
        assert done.code == 1
        assert "✗ not replaced" in done.out


class TestOver:
    def test_a_key_that_was_revoked_by_hand_before(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        gateway.account.revoke(leaked)
        done = rotator.run(*CONTAIN)
        assert (done.code, "alive" in done.out) == (0, False)

    def test_a_key_that_somebody_revoked_meanwhile(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        once_created(gateway, lambda: gateway.account.revoke(leaked))
        done = rotator.run(*CONTAIN)
        assert (done.code, "alive" in done.out) == (0, False)

    def test_a_key_in_two_secrets_that_are_both_contained(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str, leaked: int
    ) -> None:
        rotator.config["keys"][1] = {**KEYS[1], "field": "api_key"}
        shared = {"data": secret(vault_server, mount, BACKEND)}
        vault_server.api("POST", f"{mount}/data/{REPORTING}", shared)
        rotator.run("--once")
        done = rotator.run(*CONTAIN, "--key", "Reporting")
        assert not gateway.account.keys[leaked - 1].live
        assert f"alive: {leaked}" not in done.out

    def test_a_failure_that_the_second_pass_made_good(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        rotator.run("--rotate-now", "--key", "Production backend")
        gateway.account.clock.advance(timedelta(days=1, minutes=1))  # the first one's grace is over
        gateway.faults.add(Fault("DELETE /keys/*", Status(400), times=1))
        done = rotator.run(*CONTAIN)
        assert (done.code, "✗" in done.out, "DELETE  400" in done.out) == (0, False, True)


class TestThePrompt:
    @pytest.mark.parametrize("answer", ["\x03", "\x04"], ids=["Ctrl-C", "the input ends"])
    def test_left_unanswered_nothing_is_changed(
        self, rotator: Program, gateway: GatewayServer, leaked: int, answer: str
    ) -> None:
        asked = rotator.on_a_terminal(*LEAK, answer=answer)
        assert (asked.code, "nothing was changed" in asked.out) == (2, True)
        assert len(gateway.account.keys) == 3

    def test_it_says_what_goes_wherever_the_record_goes(self, rotator: Program, leaked: int) -> None:
        asked = rotator.on_a_terminal(*LEAK, "--json", answer="n\n")
        assert f"key {leaked} will be revoked without grace" in asked.out


def test_stopped_at_every_boundary(vault_server: VaultServer, tmp_path: Path, figure: Figure) -> None:
    """Only a leak that is contained is a success."""
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            stage.world.make_pass()
            stage.promises.leak("apimall/backend")
            leaked = stage.world.live[0].id
            code = stage.cross(at, STOPPED_AT, terminate, "--rotate-now --revoke-old-now --yes --key Backend")
            contained = all(key.id != leaked for key in stage.world.live)
            assert contained or code != 0
            stage.promises.hold()
            settle(stage.world, stage.promises)
            if code is None:
                assert len(stage.crossed) == at >= LEAST
                figure(f"leak: stopped at {at} boundaries")
                break


def test_a_rollback_stopped_at_every_boundary(
    vault_server: VaultServer, tmp_path: Path, figure: Figure
) -> None:
    """Only what was rolled back is a success."""
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            stage.world.make_pass()
            previous = stage.world.rotation()["key_id"]
            stage.world.advance(7)
            stage.world.make_pass()
            code = stage.cross(at, STOPPED_AT, terminate, "rollback --key Backend")
            assert stage.world.rotation()["key_id"] == previous or code != 0
            stage.promises.hold()
            if code is None:
                assert len(stage.crossed) == at >= LEAST
                figure(f"rollback: stopped at {at} boundaries")
                break
