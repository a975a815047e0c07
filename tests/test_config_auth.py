"""What a config may say about the login to Vault."""

from pathlib import Path

import pytest

from rotator.config import AppRoleAuth, load
from rotator.errors import ConfigError
from rotator.redaction import Secret
from tests.test_config_environment import FILE, config, faults
from tests.test_config_fields import PASTED


def with_auth(auth: str) -> str:
    return FILE.replace(".com}", f".com, auth: {auth}}}")


@pytest.mark.parametrize(
    ("auth", "place", "cure"),
    [
        ("{method: kubernetes}", "auth.role", "is missing"),
        ("{method: token_file}", "auth.file", "is missing"),
        ("{method: kubernetes, role: a/b}", "auth.role", "letters (a-z, A-Z), digits"),
        ("{method: kubernetes, role: r, rolle: r}", "auth.rolle", "`role`"),
        ("{method: jwt, role: r, jwt: {}}", "auth.jwt", "file, env"),
        ("{method: approle, role_id: {value: 1}, secret_id: {file: /s}}", "auth.role_id.value", "in quotes"),
        (
            "{method: approle, role_id: abc, secret_id: {file: /s}}",
            "auth.role_id",
            "write role_id: {value: …}",
        ),
        (
            "{method: approle, role_id: {value: r, env: R}, secret_id: {file: /s}}",
            "auth.role_id",
            "write one",
        ),
        (
            "{method: approle, role_id: {value: r}, secret_id: {value: s}}",
            "auth.secret_id.value",
            "file, env",
        ),
    ],
)
def test_a_fault_names_its_place_and_its_cure(tmp_path: Path, auth: str, place: str, cure: str) -> None:
    (fault,) = faults(tmp_path, {}, with_auth(auth))
    assert f" vault.{place}: " in fault
    assert cure in fault


@pytest.mark.parametrize(
    "auth",
    [
        f"{{method: approle, role_id: {PASTED}, secret_id: {{value: {PASTED}}}}}",
        f"{{method: approle, role_id: {{value: '{PASTED} '}}, secret_id: {{file: '{PASTED}\\'}}}}",
        f"{{method: jwt, role: '{PASTED}!', jwt: {{{PASTED}: {PASTED}}}}}",
    ],
)
def test_no_fault_repeats_a_value(tmp_path: Path, auth: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(with_auth(auth))
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    assert PASTED not in str(refused.value)


@pytest.mark.parametrize(
    ("auth", "missing"),
    [
        ("{method: approle}", ["VAULT_ROLE_ID", "VAULT_SECRET_ID"]),
        ("{method: approle, role_id: {value: r}, secret_id: {env: S}}", ["S"]),
        ("{method: approle, role_id: {file: /r}, secret_id: {file: /s}}", []),
        ("{method: jwt, role: r, jwt: {env: ID_TOKEN}}", ["ID_TOKEN"]),
        ("{method: kubernetes, role: r}", []),
        ("{method: token_file, file: /t}", []),
    ],
)
def test_a_credential_from_the_environment_must_be_there(
    tmp_path: Path, auth: str, missing: list[str]
) -> None:
    if missing:
        found = faults(tmp_path, {}, with_auth(auth))
        assert [fault.partition(":")[0] for fault in found] == [f"environment {name}" for name in missing]
        assert all("is missing; set it to the " in fault for fault in found)
    assert config(tmp_path, dict.fromkeys(missing, "x"), with_auth(auth)).vault.auth.method in auth


def test_a_role_id_may_come_from_an_override(tmp_path: Path) -> None:
    environ = {
        "ROTATOR_VAULT__AUTH__METHOD": "approle",
        "ROTATOR_VAULT__AUTH__ROLE_ID__VALUE": "123",
        "VAULT_SECRET_ID": "x",
    }
    auth = config(tmp_path, environ).vault.auth
    assert isinstance(auth, AppRoleAuth)
    assert auth.role_id.value == Secret("123")
    assert "123" not in f"{auth} {auth.model_dump()}"


def test_a_method_is_no_part_of_a_variables_name(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, {"ROTATOR_VAULT__AUTH__APPROLE__MOUNT": "x"})
    assert fault.endswith("did you mean ROTATOR_VAULT__AUTH__MOUNT?")
