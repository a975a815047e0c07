"""A secret id that comes response-wrapped, against a real server."""

from pathlib import Path

import pytest

from rotator.clients.vault.client import Vault
from rotator.clients.vault.login import Wrapped
from rotator.credentials import login_of
from rotator.errors import Rejected
from rotator.sandbox.faults import Cut, Fault, Phase
from rotator.sandbox.vault import VaultServer
from tests.logins import Role, auth, file_reader, reads
from tests.proxy import Proxy
from tests.vaults import connect_to


@pytest.fixture
def role(vault_server: VaultServer) -> Role:
    return Role(vault_server)


@pytest.fixture
def file(role: Role, tmp_path: Path) -> Path:
    path = tmp_path / "wrapped"
    path.write_text(role.wrapped().reveal())
    return path


def client(role: Role, file: Path, address: str = "") -> Vault:
    login = role.login(Wrapped(file_reader(file), role.path + "/secret-id"))
    return connect_to(address or role.server.address, login)


def test_it_is_unwrapped_once_and_kept(role: Role, file: Path) -> None:
    """Also for the client that a reload of the config makes."""
    for _ in range(2):
        vault = client(role, file)
        for _ in range(2):
            assert reads(vault)
            role.revoke_all()


def test_one_that_was_used_may_have_been_stolen(role: Role, file: Path) -> None:
    role.server.api("POST", "sys/wrapping/unwrap", token=file.read_text())
    with pytest.raises(Rejected, match="somebody else may hold the secret id") as raised:
        client(role, file).read("app/x")
    assert "is not valid: it was used before, has expired, or never was a token;" in str(raised.value)
    assert f"`vault write {role.path}/secret-id-accessor/destroy" in str(raised.value)


def test_a_new_one_is_taken_when_it_is_there(role: Role, file: Path) -> None:
    vault = client(role, file)
    assert reads(vault)
    role.revoke_all()
    for accessor in role.accessors():
        role.server.api("POST", f"{role.path}/secret-id-accessor/destroy", {"secret_id_accessor": accessor})
    file.write_text(role.wrapped().reveal())
    assert reads(vault)


def test_what_was_wrapped_elsewhere_is_not_unwrapped(role: Role, file: Path) -> None:
    other = Role(role.server)
    file.write_text(other.wrapped().reveal())
    with pytest.raises(Rejected, match=r"was not made at .*_wrapping_path \(check that path\)"):
        client(role, file).read("app/x")
    assert reads(client(other, file))  # it was left as it is


def test_one_that_was_lost_on_its_way_was_not_stolen(role: Role, file: Path) -> None:
    with Proxy(role.server.address) as proxy:
        proxy.faults.add(Fault("POST */sys/wrapping/unwrap", Cut(), at=Phase.AFTER))
        with pytest.raises(Rejected, match="was cut while it was unwrapped") as raised:
            client(role, file, proxy.address).read("app/x")
    assert f"issue a new wrapped one at {role.path}/secret-id" in str(raised.value)


def test_the_config_asks_for_the_path(role: Role, file: Path, tmp_path: Path) -> None:
    environ = {"VAULT_ROLE_ID": role.role_id.reveal()}
    text = (
        f"{{method: approle, mount: {role.mount}, secret_id: {{file: '{file}'}}, "
        f"secret_id_response_wrapping_path: {role.path}/secret-id}}"
    )
    assert reads(connect_to(role.server.address, login_of(auth(tmp_path, text, environ), environ)))
