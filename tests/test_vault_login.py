"""Each way to log in, against a real server; and that none of them shows a credential."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.clients.vault.client import Vault
from rotator.clients.vault.login import AppRole, Wrapped
from rotator.credentials import login_of
from rotator.errors import Rejected, RotatorError, Transient
from rotator.redaction import Secret
from rotator.sandbox.vault import VaultServer
from tests.certificates import LOOPBACK, Authority, Signer
from tests.leaks import leaks
from tests.logins import Role, auth, file_reader, mounted, reads
from tests.logs import captured
from tests.needs import NAMESPACES, Needs
from tests.program import program
from tests.token_review import ACCOUNT, ISSUER, NAMESPACE, claims, reviewing
from tests.vaults import connect_to, new_kv, new_token
from tests.world import new_server


class TestTokenFile:
    @pytest.fixture
    def sink(self, tmp_path: Path) -> Path:
        return tmp_path / "token"

    @pytest.fixture
    def vault(self, vault_server: VaultServer, tmp_path: Path, sink: Path) -> Vault:
        login = login_of(auth(tmp_path, f"{{method: token_file, file: '{sink}'}}"), {})
        return connect_to(vault_server.address, login)

    def test_what_is_in_the_file_now_is_used(
        self, vault_server: VaultServer, vault: Vault, sink: Path
    ) -> None:
        for _ in range(2):
            sink.write_text(new_token(vault_server).reveal() + "\n")
            assert reads(vault)
            vault_server.api("POST", "auth/token/revoke", {"token": sink.read_text().strip()})
            with pytest.raises(Rejected, match="does not accept the token in the file"):
                vault.read("app/x")

    def test_the_agent_may_be_late(self, vault_server: VaultServer, vault: Vault, sink: Path) -> None:
        with pytest.raises(Transient, match=f"vault.auth.file {sink}: is missing or empty"):
            vault.read("app/x")
        sink.write_text("")
        with pytest.raises(Transient, match="the program that writes it is running"):
            vault.read("app/x")
        sink.write_text(new_token(vault_server).reveal())
        assert reads(vault)
        sink.write_text("two words")  # the file is asked each time, though the token before still lives
        with pytest.raises(Rejected, match="holds a space"):
            vault.read("app/x")

    @pytest.mark.parametrize(
        ("content", "wrong"), [(b"two words", "holds a space"), (b"\xff\xfe", "is not UTF-8")]
    )
    def test_what_is_no_token(self, vault: Vault, sink: Path, content: bytes, wrong: str) -> None:
        sink.write_bytes(content)
        with pytest.raises(Rejected, match=wrong):
            vault.read("app/x")
        sink.unlink()
        sink.mkdir()
        with pytest.raises(Rejected, match="Is a directory"):
            vault.read("app/x")


class TestAppRole:
    @pytest.fixture
    def role(self, vault_server: VaultServer) -> Role:
        return Role(vault_server)

    @pytest.mark.parametrize("source", ["file", "env"])
    def test_the_secret_id_is_read_at_each_login(self, role: Role, tmp_path: Path, source: str) -> None:
        role.set(secret_id_num_uses=1)
        file, environ = tmp_path / "secret-id", {"VAULT_ROLE_ID": role.role_id.reveal()}
        secret_id = "{env: S}" if source == "env" else f"{{file: '{file}'}}"
        text = f"{{method: approle, mount: {role.mount}, secret_id: {secret_id}}}"

        def put() -> None:
            environ["S"] = role.secret_id().reveal()
            file.write_text(environ["S"])

        put()
        vault = connect_to(role.server.address, login_of(auth(tmp_path, text, environ), environ))
        for _ in range(2):
            assert reads(vault)
            role.revoke_all()
            put()
        assert reads(vault)

    def test_the_role_id_may_stand_in_the_config(self, role: Role, tmp_path: Path) -> None:
        environ = {"VAULT_SECRET_ID": role.secret_id().reveal()}
        text = f"{{method: approle, mount: {role.mount}, role_id: {{value: {role.role_id.reveal()}}}}}"
        loaded = auth(tmp_path, text, environ)
        assert role.role_id.reveal() not in f"{loaded} {loaded.model_dump()}"
        assert reads(connect_to(role.server.address, login_of(loaded, environ)))

    @pytest.mark.parametrize("wrong", ["secret id", "mount"])
    def test_a_login_that_is_refused_names_the_cure(self, role: Role, wrong: str) -> None:
        mount = "nowhere" if wrong == "mount" else role.mount
        login = AppRole(mount, lambda: role.role_id, lambda _: Secret("5" * 36))
        with pytest.raises(Rejected, match=rf"refused the login: POST /v1/auth/{mount}/login: 40") as raised:
            connect_to(role.server.address, login).read("app/x")
        assert "check vault.auth.mount" in str(raised.value)
        assert f"`vault write -f auth/{mount}/role/ROLE/secret-id`" in str(raised.value)

    def test_what_is_no_refusal_of_the_login_keeps_its_cure(self, role: Role) -> None:
        login = AppRole(role.mount, lambda: role.role_id, lambda _: role.secret_id())
        other_scheme = role.server.address.replace("http:", "https:")
        with pytest.raises(Rejected, match="does not speak TLS; check the port and the scheme"):
            connect_to(other_scheme, login).read("app/x")

    def test_a_namespace_that_is_not_there_is_named(self, role: Role, needs: Needs) -> None:
        needs(NAMESPACES)
        login = AppRole(role.mount, lambda: role.role_id, lambda _: role.secret_id())
        with pytest.raises(Rejected, match=r"login: 404 \(namespace not found\); .*unset vault.namespace"):
            connect_to(role.server.address, login, namespace="nowhere").read("app/x")


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


class TestJwt:
    @pytest.fixture
    def mount(self, vault_server: VaultServer, signer: Signer) -> str:
        mount = mounted(vault_server, "jwt")
        vault_server.api("POST", f"auth/{mount}/config", {"jwt_validation_pubkeys": [signer.public_pem]})
        role = {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["vault"],
            "token_policies": [mount],
        }
        vault_server.api("POST", f"auth/{mount}/role/rotator", {**role, "token_ttl": "1h"})
        return mount

    def test_it_is_read_at_each_login(
        self, vault_server: VaultServer, mount: str, signer: Signer, tmp_path: Path
    ) -> None:
        file = tmp_path / "jwt"
        text = f"{{method: jwt, mount: {mount}, role: rotator, jwt: {{file: '{file}'}}}}"
        vault = connect_to(vault_server.address, login_of(auth(tmp_path, text), {}))
        for good in (True, False, True):
            file.write_text(signer.jwt(sub="me", aud="vault", exp=4_000_000_000 if good else 1_000_000_000))
            if good:
                assert reads(vault)
            else:
                with pytest.raises(
                    Rejected, match=rf"refused the login.*`vault read auth/{mount}/role/rotator`"
                ):
                    vault.read("app/x")
            vault_server.api("PUT", f"sys/leases/revoke-prefix/auth/{mount}")

    def test_from_the_environment(
        self, vault_server: VaultServer, mount: str, signer: Signer, tmp_path: Path
    ) -> None:
        environ = {"ID_TOKEN": signer.jwt(sub="me", aud="vault", exp=4_000_000_000)}
        text = f"{{method: jwt, mount: {mount}, role: rotator, jwt: {{env: ID_TOKEN}}}}"
        assert reads(connect_to(vault_server.address, login_of(auth(tmp_path, text, environ), environ)))


class TestKubernetes:
    @pytest.fixture
    def known(self) -> set[str]:
        return set()

    @pytest.fixture
    def mount(
        self, vault_server: VaultServer, tmp_path: Path, known: set[str], signer: Signer
    ) -> Iterator[str]:
        authority, mount = Authority(tmp_path), mounted(vault_server, "kubernetes")
        with reviewing(known, *authority.issue("api-server", LOOPBACK)) as address:
            config = {"kubernetes_host": address, "kubernetes_ca_cert": authority.cert.read_text()}
            own = {
                "token_reviewer_jwt": signer.jwt(sub="vault"),
                "disable_local_ca_jwt": True,
                "issuer": ISSUER,
            }
            vault_server.api("POST", f"auth/{mount}/config", {**config, **own})
            bound = {
                "bound_service_account_names": [ACCOUNT],
                "bound_service_account_namespaces": [NAMESPACE],
                "audience": "vault",
            }
            vault_server.api("POST", f"auth/{mount}/role/rotator", {**bound, "token_policies": [mount]})
            yield mount

    def test_the_token_of_the_service_account_is_rotated(
        self, vault_server: VaultServer, mount: str, known: set[str], signer: Signer, tmp_path: Path
    ) -> None:
        file = tmp_path / "service-account"
        text = f"{{method: kubernetes, mount: {mount}, role: rotator, file: '{file}'}}"
        vault = connect_to(vault_server.address, login_of(auth(tmp_path, text), {}))
        for number in range(2):
            known.clear()
            file.write_text(signer.jwt(**claims(number)))
            known.add(file.read_text())
            assert reads(vault)
            vault_server.api("PUT", f"sys/leases/revoke-prefix/auth/{mount}")
        known.clear()
        with pytest.raises(Rejected, match=f"refused the login.*`vault read auth/{mount}/config`"):
            vault.read("app/x")


@pytest.mark.parametrize("wrapped_at", [None, "secret-id", "elsewhere"])
def test_no_credential_is_shown(vault_server: VaultServer, tmp_path: Path, wrapped_at: str | None) -> None:
    """In a login that works, and in those that fail at each step."""
    role, file, shown = Role(vault_server), tmp_path / "credential", []
    read = file_reader(file)
    login = role.login(Wrapped(read, f"{role.path}/{wrapped_at}") if wrapped_at else lambda _: read())
    credentials = [role.role_id.reveal()]
    with captured(level="debug") as log:
        for make in (role.wrapped if wrapped_at else role.secret_id, lambda: Secret("0" * 36)):
            file.write_text(make().reveal())
            vault = connect_to(vault_server.address, login)
            credentials.append(file.read_text())
            try:
                credentials.append(vault._session.current().reveal())
            except RotatorError as error:
                shown.append(f"{error!r} {error}")
            shown.append(f"{login!r} {vault!r}")
    assert sum("NoToken" in text for text in shown) == (2 if wrapped_at == "elsewhere" else 1)
    assert leaks(log.getvalue() + "".join(shown), credentials) == []


def test_a_whole_run_with_an_app_role(vault_server: VaultServer, tmp_path: Path) -> None:
    role = Role(vault_server)
    with new_server() as gateway:
        rotator = program(tmp_path, gateway, vault_server, new_kv(vault_server))
        del rotator.environ["VAULT_TOKEN"]
        rotator.config["vault"]["auth"] = {"method": "approle", "mount": role.mount}
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 2
        assert "environment VAULT_SECRET_ID: is missing" in run.err
        rotator.environ |= {"VAULT_ROLE_ID": role.role_id.reveal(), "VAULT_SECRET_ID": "5" * 36}
        run = rotator.run("--once", "--log-format", "console")
        assert run.code == 3
        assert "Vault refused the login" in run.err
        assert "response-wrapped, set vault.auth.secret_id_response_wrapping_path" in run.err
        assert len(gateway.account.keys) == 1
        rotator.environ["VAULT_SECRET_ID"] = role.secret_id().reveal()
        run = rotator.run("--once", "--log-level", "debug")
        assert (run.code, role.tokens()) == (0, 0)
        assert leaks(run.out + run.err, [role.role_id.reveal(), rotator.environ["VAULT_SECRET_ID"]]) == []
