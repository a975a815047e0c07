"""Vault's own ways: states that pass, quotas, tokens that are used up, and secrets that hold more than a key."""

import json
import re
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.request import Request, urlopen

import pytest

from rotator.clients.vault.login import AppRole
from rotator.errors import Rejected, Transient
from rotator.passes.result import Outcome
from rotator.redaction import Secret
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH, managed
from tests.needs import QUOTAS, Needs
from tests.serving import reply, serving
from tests.vaults import connect, connect_to, new_kv, new_token
from tests.world import World

RAW = '{"api_key":"%s","price":1.10,"long":%s,"exponent":1E5,"minus":-0.0,"nested":{"b":[1.0,{"c":2.50}]}}'


class TestStatesThatPass:
    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (
                400,
                "Upgrading from non-versioned to versioned data. This backend will be unavailable",
            ),
            (400, "Waiting for the primary to upgrade from non-versioned to versioned data."),
            (404, "the backend is temporarily unavailable"),
            (425, "too early"),
            (429, "request path kv: rate limit quota exceeded"),
        ],
    )
    def test_they_are_waited_for_and_nothing_was_done(self, status: int, said: str) -> None:
        with serving(reply(status, {"errors": [said]})) as url, pytest.raises(Transient) as raised:
            connect_to(url, Secret("s.token")).write("app/a", {"a": 1}, cas=0)
        assert not raised.value.ambiguous

    def test_a_write_that_met_an_upgrade_is_repeated_and_the_plaintext_kept(self, world: World) -> None:
        answers = iter([400, 400])

        class Upgrading:
            def __getattr__(self, name: str) -> Any:
                return getattr(world.memory, name)

            def write(self, path: str, data: Any, *, cas: int) -> int:
                if path == PATH and next(answers, None):
                    raise Transient("400 (Upgrading)", ambiguous=False, status=400)
                return world.memory.write(path, data, cas=cas)

        assert world.one(store=Upgrading()).outcome is Outcome.DONE
        assert world.posts() == 1
        assert world.works()

    @pytest.mark.parametrize("status", [400, 403, 413])
    def test_a_refusal_that_is_not_vaults_own_is_no_refusal(self, status: int) -> None:
        with serving(reply(status, raw=b"<html>blocked</html>")) as url, pytest.raises(Transient) as raised:
            connect_to(url, Secret("s.token")).write("app/a", {"a": 1}, cas=0)
        assert raised.value.ambiguous
        assert "not from Vault" in raised.value.message

    def test_a_mistake_in_the_set_up_is_not_repeated_and_has_a_cure(self) -> None:
        asked: list[str] = []

        def mistaken(handler: BaseHTTPRequestHandler) -> None:
            asked.append(handler.path)
            reply(500, {"errors": ['claim "iss" is invalid']})(handler)

        with serving(mistaken) as url, pytest.raises(Rejected) as raised:
            connect_to(url, Secret("s.token")).read("app/a")
        assert "disable_iss_validation" in str(raised.value.cure)
        assert len(asked) == 1

    def test_an_empty_token_is_refused_as_one(self) -> None:
        with (
            serving(reply(400, {"errors": ["missing client token"]})) as url,
            pytest.raises(Rejected) as raised,
        ):
            connect_to(url, Secret("s.token")).read("app/a")
        assert raised.value.status == 403


def test_a_quota_of_vaults_own_delays_and_fails_no_key(
    vault_server: VaultServer, world: World, needs: Needs
) -> None:
    needs(QUOTAS)
    mount, keys = new_kv(vault_server), 12
    quota = f"sys/quotas/rate-limit/{mount}"
    vault_server.api("POST", quota, {"path": mount, "rate": 30, "interval": "1s"})
    world.store = connect(vault_server, mount=mount)
    world.policy = replace(world.policy, deadline=60, longest_wait=0.2)
    world.keys = tuple(replace(managed(), name=f"K{n}", path=f"k/{n}") for n in range(keys))
    try:
        result = world.make_pass()
    finally:
        vault_server.api("DELETE", quota)
    assert result.converged
    assert result.rotated == keys


class TestTokensOfFewUses:
    def test_one_that_nobody_renews_makes_no_key(self, vault_server: VaultServer, world: World) -> None:
        mount = new_kv(vault_server)
        policy = f'path "{mount}/*" {{ capabilities = ["create", "read", "update"] }}'
        world.store = connect(vault_server, new_token(vault_server, policy, num_uses=40), mount)
        with pytest.raises(Rejected, match="could be used up"):
            world.make_pass()
        assert world.posts() == 0

    def test_one_of_a_login_is_got_anew(self, vault_server: VaultServer, world: World) -> None:
        mount = new_kv(vault_server)
        policy = f'path "{mount}/*" {{ capabilities = ["create", "read", "update"] }}'
        vault_server.api("PUT", f"sys/policies/acl/{mount}", {"policy": policy})
        vault_server.api("POST", f"sys/auth/{mount}", {"type": "approle"})
        vault_server.api("POST", f"auth/{mount}/role/r", {"token_policies": [mount], "token_num_uses": 3})
        role = vault_server.api("GET", f"auth/{mount}/role/r/role-id")["data"]["role_id"]
        secret = vault_server.api("POST", f"auth/{mount}/role/r/secret-id")["data"]["secret_id"]
        login = AppRole(mount, lambda: Secret(role), lambda _client: Secret(secret))
        world.store = connect_to(vault_server.address, login, mount)
        assert world.one().outcome is Outcome.DONE
        assert world.works()


def by_letters(server: VaultServer, path: str, body: bytes | None = None) -> str:
    """Ask the server without a JSON library in between."""
    request = Request(f"{server.address}/v1/{path}", body, {"X-Vault-Token": server.token.reveal()})
    with urlopen(request) as answer:
        return str(answer.read().decode())


def numbers(answer: str) -> list[str]:
    """What stands in the secret's other fields, by the letters of the answer."""
    return [
        re.findall(rf'"{name}":([^,}}\]]+)', answer)[0]
        for name in ("price", "long", "exponent", "minus", "c")
    ]


class TestNeighbours:
    """What else is in a secret is its owner's: kept to the letter, or the write is refused."""

    def test_numbers_are_kept_to_the_letter(self, vault_server: VaultServer, world: World) -> None:
        """As the server tells them; some servers write them otherwise by themselves."""
        mount = new_kv(vault_server)
        world.store = connect(vault_server, mount=mount)
        raw = RAW % (world.server.account.create("made by hand").plaintext, "7" * 300)
        path = f"{mount}/data/{PATH}"
        by_letters(vault_server, path, b'{"data":' + raw.encode() + b"}")
        before = numbers(by_letters(vault_server, path))
        for days in (0, 7):
            world.advance(days)
            assert world.one().outcome is Outcome.DONE
        assert numbers(by_letters(vault_server, path)) == before

    @pytest.mark.parametrize("value", [5, 1.5, True, {"a": "b"}, ["a"]])
    def test_a_field_of_another_type_is_not_written_over(self, world: World, value: object) -> None:
        world.memory.put(PATH, {"api_key": value, "other": "x"})
        for forced in (False, True):
            result = world.one(forced=forced)
            assert result.failed
            assert "the field api_key holds no text" in str(result.errors[0])
        assert world.memory.read(PATH).number == 1
        assert world.posts() == 0

    @pytest.mark.parametrize("theirs", ["30d", {"every": "30d"}, {"key_id": 77, "policy": "yearly"}, [1], 7])
    def test_a_field_that_is_not_our_bookkeeping_is_not_written_over(
        self, world: World, theirs: object
    ) -> None:
        by_hand = world.server.account.create("made by hand")
        world.memory.put(PATH, {"api_key": by_hand.plaintext, "rotation": theirs})
        result = world.one()
        assert result.failed
        assert "bookkeeping" in str(result.errors[0].cure)
        assert world.secret()["rotation"] == theirs
        # The cure, as it is printed.
        world.keys = (replace(managed(revoke_adopted=True), bookkeeping="apimall"),)
        for days in (0, 7, 1, 7, 1):
            world.advance(days, minutes=1)
            assert world.one().outcome is Outcome.DONE
            assert world.works()
            assert world.secret()["rotation"] == theirs
        assert not any(key.id == by_hand.id for key in world.live)
        assert len(world.live) == 1

    def test_a_rollback_and_a_leak_go_by_the_bookkeeping_that_the_config_names(self, world: World) -> None:
        world.keys = (replace(managed(), bookkeeping="apimall"),)
        old = world.one().key_id
        world.advance(7)
        new = world.one().key_id
        assert world.roll_back().current == old
        assert world.secret()["apimall"]["superseded"].keys() == {str(new)}
        world.contain()
        assert [key.id for key in world.live] == [world.secret()["apimall"]["key_id"]]
        assert "rotation" not in world.secret()

    @pytest.mark.parametrize("around", ["{}\n", " {}", "{}\r\n", "\t{} \n", "\ufeff{}", "{}\u200b"])
    def test_white_space_around_a_plaintext_is_named_and_the_key_is_known(
        self, world: World, around: str
    ) -> None:
        world.keys = (managed(revoke_adopted=True),)
        by_hand = world.server.account.create("made by hand")
        world.memory.put(PATH, {"api_key": around.format(by_hand.plaintext)})
        result = world.one()
        assert result.key_id == by_hand.id
        assert any("white space" in warning for warning in result.warnings)
        for days in (7, 1, 1):
            world.advance(days, minutes=1)
            world.one()
        assert world.works()
        assert not any(key.id == by_hand.id for key in world.live)

    def test_what_no_key_can_be_is_named_though_nobody_was_asked(self, world: World) -> None:
        world.memory.put(PATH, {"api_key": "put the key here"})
        result = world.one()
        assert result.plan
        assert result.plan.because
        assert "a space or another character that no key has" in result.plan.because.text
        assert "answered" not in json.dumps(result.to_json())
