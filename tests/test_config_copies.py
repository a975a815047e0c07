"""Further Vaults and copies in the config: what they take from where, and what they never get."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rotator.clients.vault.login import Token
from rotator.config import AppRoleAuth, Config, TokenAuth, load
from rotator.credentials import login_of
from rotator.errors import ConfigError
from rotator.passes.stopping import Stopping
from rotator.redaction import Secret
from rotator.rules.model import CopyTarget
from rotator.wiring import FurtherVaults

ENVIRON = {
    "VAULT_ADDR": "https://main:8200",
    "VAULT_NAMESPACE": "main",
    "VAULT_SKIP_VERIFY": "true",
    "VAULT_TOKEN": "hvs.token-of-main",
    "EU_TOKEN": "hvs.token-of-eu",
    "APIMALL_API_KEY": "sk-of-nobody-at-all",
}
OWN = "{name: eu, address: 'https://eu', auth: {method: token, env: EU_TOKEN}}"


def config(
    tmp_path: Path, further: str, copy: str = "{vault: eu}", environ: Mapping[str, str] | None = None
) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(
        f"vault: {{timeout: 7s}}\nvaults: [{further}]\n"
        f"keys: [{{name: A, path: a, consumers: [{{name: web}}, {{name: shop, copy: {copy}}}]}}]\n"
    )
    return load(path, {**ENVIRON, **(environ or {})})


def test_one_with_an_address_takes_nothing_from_the_main_one(tmp_path: Path) -> None:
    vault = config(tmp_path, OWN).vaults["eu"]
    assert (vault.address, vault.namespace, vault.tls_skip_verify) == ("https://eu", None, False)
    assert vault.timeout.total_seconds() == 10
    assert isinstance(vault.auth, TokenAuth)
    assert vault.auth.token == Secret("hvs.token-of-eu")
    login = login_of(vault.auth, {})
    assert isinstance(login, Token)
    assert (login.where, "put it into EU_TOKEN" in login.cure) == ("EU_TOKEN", True)


@pytest.mark.parametrize("empty", ["", ", auth: ~", ", address: ~, auth: ~"])
def test_one_without_is_in_the_main_one(tmp_path: Path, empty: str) -> None:
    loaded = config(tmp_path, f"{{name: eu, mount: eu{empty}}}")
    vault = loaded.vaults["eu"]
    assert (vault.address, vault.namespace, vault.mount) == ("https://main:8200", "main", "eu")
    assert (vault.tls_skip_verify, vault.timeout.total_seconds()) == (True, 7)
    assert vault.auth is loaded.vault.auth


@pytest.mark.parametrize(("written", "meant"), [("team", "team"), ("~", None)])
def test_it_may_be_in_another_namespace_or_in_none(tmp_path: Path, written: str, meant: str | None) -> None:
    assert config(tmp_path, f"{{name: eu, namespace: {written}}}").vaults["eu"].namespace == meant


def test_it_may_log_in_to_the_main_one_in_its_own_way(tmp_path: Path) -> None:
    environ = {"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}
    vault = config(tmp_path, "{name: eu, mount: eu, auth: {method: approle}}", environ=environ).vaults["eu"]
    assert isinstance(vault.auth, AppRoleAuth)


def test_a_variable_overrides_each_field(tmp_path: Path) -> None:
    environ = {
        "ROTATOR_VAULTS__0__ADDRESS": "https://us",
        "ROTATOR_VAULTS__0__AUTH__ENV": "US_TOKEN",
        "US_TOKEN": "hvs.token-of-us",
        "ROTATOR_KEYS__0__CONSUMERS__1__COPY__PATH": "there",
    }
    loaded = config(tmp_path, OWN, environ=environ)
    auth = loaded.vaults["eu"].auth
    assert loaded.vaults["eu"].address == "https://us"
    assert isinstance(auth, TokenAuth)
    assert auth.token == Secret("hvs.token-of-us")
    assert loaded.managed[0].copies == {"shop": CopyTarget("eu", "there")}


def test_a_copy_is_at_the_path_of_its_entry_and_its_consumer_confirms_nothing(tmp_path: Path) -> None:
    [key] = config(tmp_path, OWN).managed
    assert key.copies == {"shop": CopyTarget("eu", "a")}
    assert (key.consumers, key.confirming) == (("web", "shop"), ("web",))


@pytest.mark.parametrize(
    "same",
    [
        "https://main:8200/",
        "HTTPS://MAIN:8200",
    ],
)
def test_the_same_mount_by_its_address_in_other_letters_is_the_same(tmp_path: Path, same: str) -> None:
    further = f"{{name: eu, address: '{same}', namespace: main, auth: {{env: EU_TOKEN}}}}"
    with pytest.raises(ConfigError, match=r"is the path of keys\[0\] in the same mount"):
        config(tmp_path, further)


@pytest.mark.parametrize(
    "further",
    [
        "{name: eu, address: 'http://eu', auth: {env: EU_TOKEN}}",
        "{name: eu, address: 'https://eu/v1', auth: {env: EU_TOKEN}}",
        "{name: eu, address: 'https://eu', client_cert: /etc/hostname, auth: {env: EU_TOKEN}}",
        "{name: eu, address: 'https://eu', mount: secret/data, auth: {env: EU_TOKEN}}",
        "{name: a/b, address: 'https://eu', auth: {env: EU_TOKEN}}",
        "{name: eu, address: 'https://eu', state_path: a, auth: {env: EU_TOKEN}}",
    ],
)
def test_it_is_checked_as_the_main_one_is(tmp_path: Path, further: str) -> None:
    with pytest.raises(ConfigError, match=r"vaults\[0\]"):
        config(tmp_path, further)


def test_it_is_made_when_it_is_first_asked_for_and_only_once(tmp_path: Path) -> None:
    vaults = FurtherVaults(config(tmp_path, OWN), ENVIRON, Stopping())
    assert vaults("eu") is vaults("eu")
    vaults.close()
