"""README's five minutes: its commands are typed here, in their order, against a sandbox gateway and a Vault."""

import re

import pytest

from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import VENV
from tests.program import ROOT
from tests.test_operations_run import typed
from tests.test_vault_setup import Administrator

SECTION = (ROOT / "README.md").read_text().partition("## Five minutes")[2].partition("\n## ")[0]
INSTALL, SERVER, TOKEN, CONFIG, FIRST, ROTATE, RUN = (
    re.sub("^   ", "", block, flags=re.M)
    for block in re.findall(r"^   ```\n(.*?)^   ```$", SECTION, re.M | re.S)
)
SLEEP = "sleep() { until rotator --dry-run | grep -q '1 would be revoked'; do :; done; }"
"""Until the grace period is over, which is a second here."""


def test_they_lead_from_nothing_to_a_rotation_and_a_revocation(
    gateway: GatewayServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("five-minutes")
    (home / "deploy").symlink_to(ROOT / "deploy")
    (home / "bearer").write_text(f"{gateway.account.bootstrap.plaintext}\n")
    with VaultServer() as vault:
        Administrator(vault, home)
        token = TOKEN.replace("VAULT_TOKEN=root", 'VAULT_TOKEN="$ROOT"')
        token = token.replace("http://127.0.0.1:8200", vault.address)
        path = f'PATH="$PATH:{VENV}"'
        done = typed(
            *(path, token, CONFIG, "exec < bearer", FIRST, SLEEP, ROTATE),
            directory=home,
            ROOT=vault.token.reveal(),
            ROTATOR_GATEWAY__URL=gateway.url,
            ROTATOR_KEYS__0__GRACE_PERIOD="1s",
            no_proxy="127.0.0.1",
        )
    assert done.returncode == 0
    first, second = gateway.account.keys[1:]
    assert (first.live, second.live) == (False, True)
    read = first.plaintext in done.stdout
    assert read
    assert "1 rotated, 0 revoked" in done.stdout
    assert "0 rotated, 1 revoked" in done.stdout


def test_the_rest_is_for_a_terminal_of_its_own() -> None:
    """The installation is tested with the release; a server and the long-running mode do not end."""
    assert (INSTALL.splitlines()[0], RUN) == ("make wheel", "rotator run\n")
    assert SERVER == "vault server -dev -dev-root-token-id=root\n"
