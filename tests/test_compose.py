"""The compose file: its service is locked down, and what it sets fits the program and the image."""

from pathlib import Path

import yaml

from rotator import __version__
from rotator.config import AppRoleAuth, load
from rotator.rules.times import parse_duration
from tests.deployed import DEPLOY, final_stage, longest_stop

FILE = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
[(NAME, SERVICE)] = FILE["services"].items()


def test_its_container_is_locked_down() -> None:
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert SERVICE["memswap_limit"] == SERVICE["mem_limit"], "else it may swap as much again"


def test_its_image_is_of_this_version() -> None:
    assert SERVICE["image"].partition(":")[2] == __version__


def test_only_this_machine_reaches_its_port() -> None:
    [port] = final_stage()["EXPOSE"]
    assert SERVICE["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_what_it_sets_fits_the_program(tmp_path: Path) -> None:
    path = tmp_path / "rotator.yaml"
    path.write_text(
        "vault: {address: 'https://v.example', auth: {method: approle, role_id: {value: r}}}\n"
        "keys: [{name: Mine, path: a/mine}]\n"
    )
    config = load(path, SERVICE["environment"])
    assert SERVICE["volumes"] == ["./rotator.yaml:/etc/rotator/rotator.yaml:ro"]
    assert SERVICE["secrets"] == list(FILE["secrets"])
    assert isinstance(config.vault.auth, AppRoleAuth)
    files = {config.gateway.api_key.file, config.vault.auth.secret_id.file}
    assert files == {f"/run/secrets/{name}" for name in SERVICE["secrets"]}
    assert parse_duration(SERVICE["stop_grace_period"]) > longest_stop(config.timing)
    assert SERVICE["init"] is True
