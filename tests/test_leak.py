"""A key has leaked: it is replaced, and what it replaced is revoked without grace."""

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.shard import Shard
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH, as_written, managed
from tests.long import Figure
from tests.program import BACKEND, LEAK, Finished, Program, secret
from tests.stage import KILLED_AT, LEAST, kill, settle, staged
from tests.world import World


class TestTheTwoPasses:
    def test_the_old_keys_are_dead_and_the_new_one_works(self, world: World) -> None:
        world.one()
        world.one(forced=True)
        result = world.contain()
        assert sorted(done.key_id for done in result.keys[0].revoked) == [2, 3]
        assert [key.id for key in world.live] == [4]
        assert world.works()

    def test_a_pass_of_anybody_does_what_is_left(self, world: World) -> None:
        world.one()
        world.make_pass(forced=True, without_grace=True)
        assert list(as_written(world.secret()).superseded.values()) == [WITHOUT_GRACE]  # type: ignore[union-attr]
        world.keys = (managed(grace=managed().cadence.shortest),)  # a longer grace keeps nothing alive
        assert [done.key_id for done in world.one().revoked] == [2]

    def test_the_graces_of_other_keys_stand(self, world: World) -> None:
        world.keys = (managed(), replace(managed(), name="Reporting", path="apimall/reporting"))
        world.make_pass()
        world.make_pass(forced=True)
        world.contain()
        assert world.rotation("apimall/reporting")["superseded"]
        assert len(world.live) == 3

    def test_an_old_key_that_the_list_omits_for_a_while_goes_when_it_is_back(self, world: World) -> None:
        world.one()
        world.one(forced=True)
        world.make_pass(forced=True, without_grace=True)
        world.server.account.quirks = Quirks(omitted=frozenset({3}))
        assert [done.key_id for done in world.one().revoked] == [2]
        world.server.account.quirks = Quirks()
        assert [done.key_id for done in world.one().revoked] == [3]

    def test_where_no_new_key_can_be_made_nothing_is_revoked(self, world: World) -> None:
        world.one()
        world.server.faults.add(Fault("POST /keys", Status(400), times=ALWAYS))
        world.contain()
        assert [key.id for key in world.live] == [2]
        assert world.works()

    def test_an_adopted_key_stays_unless_the_config_gives_it_up(self, world: World) -> None:
        by_hand = world.server.account.create("by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext})
        world.contain()
        assert by_hand.id in {key.id for key in world.live}
        world.keys = (managed(revoke_adopted=True),)
        world.one()
        assert by_hand.id not in {key.id for key in world.live}

    def test_the_bearer_itself(self, world: World) -> None:
        world.keys = (replace(managed(), name="Rotator", path="apimall/rotator"), managed())
        world.bearer_path = "apimall/rotator"
        world.make_pass()
        leaked = world.rotation("apimall/rotator")["key_id"]
        result = world.contain("Rotator")
        assert [done.key_id for done in result.keys[0].revoked] == [leaked]
        assert world.works("apimall/rotator")
        assert world.make_pass().converged


def test_killed_at_every_boundary(vault_server: VaultServer, tmp_path: Path, figure: Figure) -> None:
    """Once the new key is published, whichever pass comes next revokes the old one."""
    for at in itertools.count():
        with staged(vault_server, tmp_path / str(at)) as stage:
            stage.world.make_pass()
            stage.promises.leak(PATH)
            leaked = stage.world.rotation()["key_id"]
            code = stage.cross(at, KILLED_AT, kill, "--rotate-now --revoke-old-now --yes --key Backend")
            stage.promises.hold()
            stage.world.make_pass()
            published = stage.world.rotation()["key_id"] != leaked
            assert published != any(key.id == leaked for key in stage.world.live)
            settle(stage.world, stage.promises)
            if code is None:
                assert published
                assert len(stage.crossed) == at >= LEAST
                figure(f"leak: killed at {at} boundaries")
                break


class TestTheCommand:
    def test_the_record_says_what_happened(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str, leaked: int
    ) -> None:
        done = rotator.run(*LEAK, "--yes")
        assert done.code == 0
        new = secret(vault_server, mount, BACKEND)["rotation"]["key_id"]
        assert f"gateway {gateway.url}" in done.out
        assert f"Vault {vault_server.address}, mount {mount}/" in done.out
        assert f"replaced key {leaked} by key {new}" in done.out
        assert f"revoked {leaked}" in done.out
        deleted = next(
            event for event in done.events if event.get("method") == "DELETE" and event.get("request_id")
        )
        assert deleted["request_id"] in done.out
        assert not next(key for key in gateway.account.keys if key.id == leaked).live

    def test_for_programs(self, rotator: Program, leaked: int) -> None:
        record = rotator.run(*LEAK, "--yes", "--json").json
        (key,) = record["keys"]
        assert record["over"]
        assert (key["replaced"], key["revoked"], key["alive"]) == (leaked, [leaked], [])
        assert [(step["method"], step["path"]) for step in record["requests"]][-1] == (
            "DELETE",
            f"/keys/{leaked}",
        )
        assert all(step["request_id"] for step in record["requests"])
        assert len(record["run_ids"]) == 2

    def test_a_revocation_that_failed_is_not_over(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        gateway.faults.add(Fault("DELETE /keys/*", Status(403), times=ALWAYS))
        done = rotator.run(*LEAK, "--yes")
        assert done.code == 1
        assert f"alive: {leaked}" in done.out
        assert "the next pass tries again, because they have no grace left" in done.out

    def test_a_leaked_key_that_lives_is_late_from_the_first_moment(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        gateway.faults.add(Fault("DELETE /keys/*", Status(403), times=ALWAYS))
        rotator.run(*LEAK, "--yes")
        seen = rotator.run("status")
        assert (seen.code, f"! key {leaked} of Production backend should be revoked" in seen.out) == (1, True)
        told = rotator.run("status", "--json").json
        assert (told["severity"], told["keys"][0]["superseded"][0]["overdue"]) == ("late", True)

    def test_a_rotation_that_failed_revokes_nothing(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        gateway.faults.add(Fault("POST /keys", Status(400), times=ALWAYS))
        done = rotator.run(*LEAK, "--yes")
        assert done.code == 1
        assert "the exposed keys still work" in done.out
        assert all(key.live for key in gateway.account.keys)

    @pytest.mark.parametrize("due", [False, True])
    @pytest.mark.parametrize("status", [400, 500])
    def test_one_that_failed_is_run_again_for_no_pass_ends_the_grace(
        self, rotator: Program, gateway: GatewayServer, leaked: int, status: int, *, due: bool
    ) -> None:
        gateway.account.clock.advance(timedelta(days=60 * due))
        gateway.faults.add(Fault("POST /keys", Status(status), at=Phase.AFTER, times=ALWAYS))
        done = rotator.run(*LEAK, "--yes")
        assert (done.code, "the exposed keys still work" in done.out) == (1, True)
        assert "run this again" not in done.out
        assert "rotator --rotate-now --revoke-old-now --key 'Production backend'" in done.out
        assert "the next pass" not in done.out

    def test_a_dry_run_says_which_keys_would_go(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        done = rotator.run(*LEAK, "--dry-run")
        assert (
            done.code,
            f"key {leaked} would be replaced; key {leaked} would be revoked without grace" in done.out,
        ) == (
            0,
            True,
        )
        assert done.out.endswith("\nnothing was changed\n")
        assert rotator.run(*LEAK, "--dry-run", "--json").json["keys"][0]["going"] == [leaked]
        assert len(gateway.account.keys) == 3

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (LEAK, "there is no terminal to ask on; add --yes"),
            (("--revoke-old-now", "--key", "Reporting"), "--revoke-old-now needs --rotate-now and --key"),
            (("--rotate-now", "--revoke-old-now", "--yes"), "needs --rotate-now and --key"),
            (("--once", "--revoke-old-now", "--key", "Reporting"), "needs --rotate-now and --key"),
            (("--rotate-now", "--yes"), "--yes needs --revoke-old-now"),
            ((*LEAK, "--yes", "--shard", "0/2"), "leave out --shard"),
        ],
    )
    def test_refused(
        self, rotator: Program, gateway: GatewayServer, options: tuple[str, ...], says: str
    ) -> None:
        done = rotator.run(*options)
        assert (done.code, says in done.err) == (2, True)
        assert len(gateway.account.keys) == 1

    def test_in_an_indexed_job_the_pods_together_end_well(
        self, rotator: Program, gateway: GatewayServer, leaked: int
    ) -> None:
        """The command is the same in each pod; the one whose shard holds the key contains the leak."""
        ended: dict[bool, Finished] = {}
        for index in range(2):
            pod = {"JOB_COMPLETION_INDEX": str(index), "ROTATOR_SHARDS": "2"}
            ended[Shard(index, 2).holds("Production backend")] = rotator.run(*LEAK, "--yes", environ=pod)
        assert {done.code for done in ended.values()} == {0}
        assert f"revoked {leaked}" in ended[True].out
        assert ended[False].out.endswith("/2 has none of these keys; another pod of the job handles them\n")
        [told] = [event for event in ended[False].events if event["level"] == "warning"]
        assert (told["event"], told["key"]) == ("shard.left_out", "Production backend")
        assert not next(key for key in gateway.account.keys if key.id == leaked).live

    @pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2)])
    def test_on_a_terminal_it_asks(
        self, rotator: Program, gateway: GatewayServer, leaked: int, answer: str, code: int
    ) -> None:
        asked = rotator.on_a_terminal(*LEAK, answer=answer)
        assert asked.code == code
        assert "Replace and revoke now?" in asked.out
        live = {key.id for key in gateway.account.keys if key.live}
        assert (leaked in live) == (code == 2)
