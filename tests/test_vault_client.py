"""The Vault client against a real server, and against answers that no Vault gives."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest

from rotator.clients.vault.answers import VaultAnswer
from rotator.clients.vault.client import CAPABILITIES_BATCH, MAX_ANSWER_BYTES, Vault
from rotator.errors import BrokenContract, Rejected, RotatorError, Transient
from rotator.passes.preflight import NEEDED
from rotator.redaction import Secret
from rotator.rules.model import Version
from rotator.sandbox.replies import Reply
from rotator.sandbox.vault import VaultServer
from tests.logs import captured
from tests.needs import NAMESPACES, Needs
from tests.proxy import Proxy
from tests.serving import Answering, cut, reply, serving, truncated
from tests.vaults import LEAST, connect, connect_to, new_kv, new_token


class TestAgainstARealServer:
    def test_the_least_policy_is_enough(self, vault_server: VaultServer) -> None:
        vault = connect(vault_server, new_token(vault_server))
        vault.check_mount()
        assert vault.missing_capabilities({"app/a": NEEDED, "app/b": NEEDED}) == {}
        version = vault.read("app/least").number
        assert vault.write("app/least", {"a": 1}, cas=version) == version + 1

    @pytest.mark.parametrize(
        ("lost", "missing"),
        [
            ('"create", "read", "update"', "create, read, update on secret/data/app/x"),
            ('"create", ', "create on secret/data/app/x"),
            (', "update"', "update on secret/data/app/x"),
        ],
    )
    def test_what_the_token_lacks_is_named(self, vault_server: VaultServer, lost: str, missing: str) -> None:
        vault = connect(vault_server, new_token(vault_server, LEAST.replace(lost, "", 1)))
        assert vault.missing_capabilities({"app/x": NEEDED}) == {"app/x": missing}

    def test_a_deny_wins(self, vault_server: VaultServer) -> None:
        policy = LEAST + 'path "secret/data/app/x" { capabilities = ["deny"] }'
        assert "app/x" in connect(vault_server, new_token(vault_server, policy)).missing_capabilities(
            {"app/x": NEEDED}
        )

    def test_thousands_of_paths_are_asked_for_in_batches(self, vault_server: VaultServer) -> None:
        paths = [*(f"app/{n}" for n in range(4 * CAPABILITIES_BATCH)), "elsewhere/x"]
        vault = connect(vault_server, new_token(vault_server))
        missing = vault.missing_capabilities(dict.fromkeys(paths, NEEDED))
        assert list(missing) == ["elsewhere/x"]

    def test_a_folder_is_listed(self, vault_server: VaultServer) -> None:
        vault = connect(vault_server, mount=new_kv(vault_server))
        assert list(vault.list("")) == []
        for path in ("a", "b c/é$%7B", "b c/d/e"):
            vault.write(path, {}, cas=0)
        assert (vault.list(""), vault.list("b c/")) == (["a", "b c/"], ["d/", "é$%7B"])
        assert (vault.list("b c"), list(vault.list("nowhere/"))) == (["d/", "é$%7B"], [])

    def test_a_folder_that_may_not_be_listed(self, vault_server: VaultServer) -> None:
        with pytest.raises(Rejected) as raised:
            connect(vault_server, new_token(vault_server)).list("app/")
        assert raised.value.status == 403
        assert "that its policy grants list on this path" in str(raised.value)

    def test_a_read_that_goes_well_is_no_line_at_info(self, vault_server: VaultServer) -> None:
        """Each pass makes one for each managed key. Whatever is written, or refused, is told."""
        with captured(level="info") as out:
            vault = connect(vault_server, new_token(vault_server))
            vault.read("app/none")
            assert out.getvalue() == ""
            number = vault.read("app/told").number
            vault.write("app/told", {"a": 1}, cas=number)
            with pytest.raises(Rejected):
                vault.read("elsewhere/x")
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [(line["method"], line["status"]) for line in lines] == [("POST", 200), ("GET", 403)]

    def test_the_ttl_of_a_token(self, vault_server: VaultServer) -> None:
        ttl = connect(vault_server, new_token(vault_server, ttl="1h")).token_ttl()
        assert ttl is not None
        assert timedelta(minutes=59) < ttl <= timedelta(hours=1)

    def test_it_may_be_below_a_path_of_a_reverse_proxy(self, vault_server: VaultServer) -> None:
        asked: list[str] = []

        class BelowAPath(Proxy):
            def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
                asked.append(path)
                return super()._forward(method, path.removeprefix("/team/vault"), headers, body)

        with BelowAPath(vault_server.address) as proxy:
            vault = connect_to(f"{proxy.address}/team/vault", new_token(vault_server))
            vault.check_mount()
            version = vault.read("app/below").number
            assert vault.write("app/below", {"a": 1}, cas=version) == version + 1
            assert not vault.health().sealed
        assert all(path.startswith("/team/vault/v1/") for path in asked)

    @pytest.mark.parametrize("value", ["s.0000000000000000000000", "nonsense", ""])
    def test_a_token_that_is_none(self, vault_server: VaultServer, value: str) -> None:
        vault = connect(vault_server, Secret(value))
        with pytest.raises(Rejected, match=r"does not accept the token in VAULT_TOKEN") as raised:
            vault.read("app/x")
        assert raised.value.status == 403

    def test_nothing_is_taken_from_the_environment(
        self, vault_server: VaultServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VAULT_TOKEN", vault_server.token.reveal())
        with pytest.raises(Rejected):
            connect(vault_server, Secret("")).read("app/x")

    def test_a_mount_that_does_not_exist(self, vault_server: VaultServer) -> None:
        vault = connect(vault_server, mount="nowhere")
        with pytest.raises(Rejected, match=r"no handler for route.*vault.mount"):
            vault.read("app/x")

    def test_a_kv_v1_mount(self, vault_server: VaultServer) -> None:
        vault_server.api("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        vault = connect(vault_server, mount="old")
        assert vault.read("app/x") == Version(0, None)
        with pytest.raises(Rejected, match=r"not a KV version 2.*enable-versioning old/"):
            vault.check_mount()
        vault_server.api("POST", "old/data/app/x", {"data": {"a": 1}})
        with pytest.raises(BrokenContract, match=r"data\.metadata\.version is not a count") as raised:
            vault.read("app/x")
        assert raised.value.request_id
        assert raised.value.request_id not in raised.value.message, "which would be news in each pass"

    def test_a_mount_of_another_kind(self, vault_server: VaultServer) -> None:
        vault_server.api("POST", "sys/mounts/keys", {"type": "transit"})
        with pytest.raises(Rejected, match="not a KV version 2") as raised:
            connect(vault_server, mount="keys").check_mount()
        assert "enable-versioning" not in str(raised.value.cure)

    @pytest.mark.parametrize("path", ["secret/data", "secret/team", "secret/metadata/a"])
    def test_a_path_in_a_mount_is_none(self, vault_server: VaultServer, path: str) -> None:
        with pytest.raises(Rejected, match=rf"{path}/ is not a mount but a path in the mount secret/"):
            connect(vault_server, mount=path).check_mount()

    def test_a_nested_mount(self, vault_server: VaultServer) -> None:
        vault_server.api("POST", "sys/mounts/team/kv", {"type": "kv", "options": {"version": "2"}})
        vault = connect(vault_server, mount="team/kv")
        vault.check_mount()
        assert vault.write("deep/er", {"a": 1}, cas=0) == 1
        assert vault.read("deep/er") == Version(1, {"a": 1})

    def test_a_namespace_is_sent(self, vault_server: VaultServer, needs: Needs) -> None:
        needs(NAMESPACES)
        vault_server.api("PUT", "sys/namespaces/division", {})
        vault = connect_to(vault_server.address, vault_server.token, "kv", namespace="division")
        vault_server.api("POST", "division/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        vault.write("x", {"a": 1}, cas=0)
        assert vault_server.api("GET", "division/kv/data/x")["data"]["data"] == {"a": 1}

    def test_a_namespace_that_is_not_there_is_no_empty_secret(
        self, vault_server: VaultServer, needs: Needs
    ) -> None:
        needs(NAMESPACES)
        vault = connect_to(vault_server.address, vault_server.token, "kv", namespace="nowhere")
        with pytest.raises(Rejected, match=r"namespace not found.*vault.namespace"):
            vault.read("x")

    @pytest.mark.parametrize("name", ["read", "patch"])
    def test_what_a_person_lacks_for_custom_metadata_is_named(
        self, vault_server: VaultServer, name: str
    ) -> None:
        lines = {
            "read": 'path "secret/metadata/app/*" { capabilities = ["patch"] }',
            "patch": 'path "secret/metadata/app/*" { capabilities = ["read"] }',
        }
        vault = connect(vault_server, new_token(vault_server, lines[name]))
        call: Callable[[], object] = partial(vault.read_custom, "app/x")
        if name == "patch":
            call = partial(vault.write_custom, "app/x", {"owner": "x"})
        with pytest.raises(Rejected) as raised:
            call()
        assert f"its policy grants {name} on this path" in str(raised.value)

    def test_a_version_does_not_print(self) -> None:
        assert repr(Version(3, {"api_key": "sk-plain"})) == "Version(3, data)"
        assert repr(Version(3, None)) == "Version(3, no data)"


@contextmanager
def answering(how: Answering) -> Iterator[Vault]:
    """A client of a server that answers each request as `how` does."""
    with serving(how) as address:
        yield connect_to(address, Secret("t" * 20), timeout=1.0)


class TestAgainstAnswersThatNoVaultGives:
    @pytest.mark.parametrize(
        ("custom", "expected"),
        [
            (None, {}),
            ([], {}),
            ("x", {}),
            ({"rotator-hold": 5, "owner": None}, {"rotator-hold": "5", "owner": "None"}),
        ],
    )
    def test_odd_custom_metadata_costs_no_secret(self, custom: object, expected: dict[str, str]) -> None:
        metadata = {"version": 3, "custom_metadata": custom}
        with answering(reply(200, {"data": {"data": {"a": 1}, "metadata": metadata}})) as vault:
            assert vault.read("x") == Version(3, {"a": 1})
            assert vault.read("x").custom == expected

    def test_a_server_that_has_no_patch_is_too_old(self) -> None:
        answer = VaultAnswer("PATCH /v1/secret/metadata/x", 405, {}, b'{"errors": ["unsupported operation"]}')
        with pytest.raises(Rejected) as raised:
            answer.raise_for_refusal()
        assert raised.value.cure
        assert "since 1.9" in raised.value.cure

    @pytest.mark.parametrize(
        "how",
        [
            reply(200, raw=b"<html>"),
            reply(200, raw=b""),
            reply(200, []),
            reply(200, {"data": None}),
            reply(200, {"data": {"data": {}, "metadata": {"version": "1"}}}),
            reply(200, {"data": {"data": {}, "metadata": {"version": True}}}),
            reply(200, {"data": {"data": {}, "metadata": {"version": -1}}}),
            reply(200, {"data": {"data": [], "metadata": {"version": 1}}}),
            reply(200, raw=b"[" * 100_000),
            reply(200, raw='{"data": {}}'.encode("utf-16")),
            reply(404, raw=b"<html>not here"),
            reply(200, raw=b" " * (MAX_ANSWER_BYTES + 1)),
        ],
    )
    def test_they_are_named_as_such(self, how: Answering) -> None:
        with answering(how) as vault, pytest.raises(BrokenContract, match="GET /v1/secret/data/x: "):
            vault.read("x")

    @pytest.mark.parametrize(
        ("status", "ambiguous"),
        [(307, False), (412, False), (429, False), (472, False), (500, True), (503, True)],
    )
    def test_what_may_be_tried_again(self, status: int, ambiguous: bool) -> None:
        with answering(reply(status, {"errors": ["why"]})) as vault, pytest.raises(Transient) as raised:
            vault.write("x", {}, cas=0)
        assert raised.value.ambiguous is ambiguous
        assert raised.value.status == status

    @pytest.mark.parametrize("status", [401, 409, 410, 423, 451])
    def test_what_vault_never_refuses_with_is_somebody_else_s_and_tried_again(self, status: int) -> None:
        with answering(reply(status, {"errors": ["no"]})) as vault, pytest.raises(Transient) as raised:
            vault.write("x", {}, cas=0)
        assert raised.value.ambiguous
        assert "a proxy or a firewall between here and Vault" in str(raised.value.cure)

    @pytest.mark.parametrize(
        "said",
        [
            "path is being migrated",
            "namespace is locked",
            "API access to this namespace has been locked by an administrator",
        ],
    )
    @pytest.mark.parametrize("status", [400, 403])
    def test_what_passes_is_tried_again(self, status: int, said: str) -> None:
        with answering(reply(status, {"errors": [said]})) as vault, pytest.raises(Transient) as raised:
            vault.write("x", {}, cas=0)
        assert not raised.value.ambiguous

    @pytest.mark.parametrize("number", [0, 1, 3, 7])
    def test_a_write_becomes_the_next_version_and_no_other(self, number: int) -> None:
        how = reply(200, {"data": {"version": number}})
        with (
            answering(how) as vault,
            pytest.raises(BrokenContract, match=f"version {number} follows version 1"),
        ):
            vault.write("x", {}, cas=1)

    def test_it_may_say_when_to_come_again(self) -> None:
        how = reply(429, {"errors": []}, headers={"Retry-After": "9"})
        with answering(how) as vault, pytest.raises(Transient) as raised:
            vault.write("x", {}, cas=0)
        assert raised.value.retry_after == 9

    def test_a_sealed_vault_is_named(self) -> None:
        with (
            answering(reply(503, {"errors": ["Vault is sealed"]})) as vault,
            pytest.raises(Transient) as raised,
        ):
            vault.read("x")
        assert "find out whether Vault is sealed" in str(raised.value)

    def test_a_redirect_is_not_followed(self) -> None:
        with answering(reply(307)) as vault, pytest.raises(Transient, match="does not follow the redirect"):
            vault.read("x")

    def test_a_cut_connection_is_ambiguous(self) -> None:
        with answering(cut) as vault, pytest.raises(Transient) as raised:
            vault.write("x", {}, cas=0)
        assert raised.value.ambiguous

    def test_a_truncated_body_is_ambiguous(self) -> None:
        with answering(truncated) as vault, pytest.raises(Transient) as raised:
            vault.write("x", {}, cas=0)
        assert raised.value.ambiguous

    def test_a_refused_connection_is_not_ambiguous(self) -> None:
        with answering(reply(200)) as vault:
            pass
        with pytest.raises(Transient, match="Connection refused") as raised:
            vault.write("x", {}, cas=0)
        assert not raised.value.ambiguous

    def test_words_of_vault_are_redacted(self) -> None:
        secret = Secret("hvs." + "q" * 30)
        answer = VaultAnswer(
            "GET x", 403, {}, json.dumps({"errors": [f"bad token {secret.reveal()}\n"]}).encode()
        )
        with pytest.raises(RotatorError) as raised:
            answer.raise_for_refusal()
        assert "q" * 10 not in str(raised.value)
