"""The same of the real program over a real Vault-API server: exit codes, what is printed, a person's commands.

All clocks run here, as they do: the gateway's, this host's, and what passes between two answers.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import RotatorError
from rotator.sandbox.dates import Dated
from rotator.sandbox.disguises import previews
from rotator.sandbox.faults import Fault, Phase
from rotator.sandbox.ledger import AccountKey, Clock, Quirks
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH
from tests.stage import Stage, staged
from tests.vaults import new_kv
from tests.world import STATE

LOST = ("vault kv undelete", "rotator installation renew")
COPIED = ("rotator installation move", "rotator installation renew")


@dataclass
class Site:
    """One side: a config over a mount of the one Vault server, by one of its addresses."""

    stage: Stage
    vault: VaultServer
    mount: str
    address: str
    grace: str = "1h"

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code, and all that was printed."""
        policy = {"rotation_period": "7d", "grace_period": self.grace, "allow_short": True}
        keys = [{"name": "Backend", "path": PATH, **policy}]
        self.stage.configure(vault={"address": self.address, "mount": self.mount}, keys=keys)
        before = len(self._printed())
        code = self.stage.start(*arguments).wait()
        return code, self._printed()[before:]

    def begin(self) -> None:
        """Make the first key."""
        code, text = self.run("--once")
        assert code == 0, text

    def _printed(self) -> str:
        return "".join(
            file.read_text() for file in sorted(self.stage.directory.glob("std*")) if file.exists()
        )

    def copied(self) -> "Site":
        """All versions of all secrets in a mount of their own, as a restored snapshot has them."""
        copy = new_kv(self.vault)
        for path in self._paths(""):
            metadata = self.vault.api("GET", f"{self.mount}/metadata/{path}")["data"]
            for number in range(1, metadata["current_version"] + 1):
                data = self.vault.api("GET", f"{self.mount}/data/{path}?version={number}")["data"]["data"]
                self.vault.api("POST", f"{copy}/data/{path}", {"data": data})
        return Site(self.stage, self.vault, copy, self.address, self.grace)

    def _paths(self, folder: str) -> Iterator[str]:
        for name in self.vault.api("LIST", f"{self.mount}/metadata/{folder}")["data"]["keys"]:
            if name.endswith("/"):
                yield from self._paths(folder + name)
            else:
                yield folder + name

    def secret(self, path: str = PATH) -> dict[str, Any]:
        try:
            return dict(self.vault.api("GET", f"{self.mount}/data/{path}")["data"]["data"])
        except RotatorError:
            return {}

    @property
    def current(self) -> AccountKey:
        key = self.stage.world.server.account.find(self.secret()["api_key"])
        assert key
        return key


@pytest.fixture
def site(vault_server: VaultServer, tmp_path: Path) -> Iterator[Site]:
    with staged(vault_server, tmp_path / "stage", Clock()) as stage:
        yield Site(stage, vault_server, stage.mount, stage.proxy.address)


def names(text: str, *words: str) -> bool:
    return all(word.lower() in text.lower() for word in words)


class TestACopy:
    def test_it_does_nothing_and_says_what_it_may_be(self, site: Site) -> None:
        site.begin()
        copy = site.copied()
        assert site.run("--rotate-now")[0] == 0
        current, ledger = site.current, site.stage.world.server.account.keys
        before = copy.secret()
        for mode in ("--once", "--dry-run", "--rotate-now"):
            code, text = copy.run(mode)
            assert site.stage.world.server.account.keys == ledger
            assert copy.secret() == before
            assert code == 3
            assert names(text, *COPIED)
        assert site.run("--once")[0] == 0
        assert site.current == current

    def test_check_says_so(self, site: Site) -> None:
        site.begin()
        code, text = site.copied().run("check")
        assert code in (1, 3)
        assert names(text, *COPIED)

    def test_the_original_that_moved(self, site: Site) -> None:
        site.begin()
        moved = site.copied()
        current, identity = moved.current, moved.secret(STATE)["installation"]
        assert moved.run("installation", "move", "--yes")[0] == 0
        assert moved.run("--once")[0] == 0
        assert moved.secret(STATE)["installation"] == identity
        assert moved.run("--rotate-now")[0] == 0
        assert moved.secret()["rotation"]["superseded"].keys() == {str(current.id)}

    def test_a_copy_that_becomes_itself(self, site: Site) -> None:
        site.begin()
        copy = site.copied()
        identity, theirs = site.secret(STATE)["installation"], site.current
        assert copy.run("installation", "renew", "--yes")[0] == 0
        assert copy.secret(STATE)["installation"] != identity
        assert site.secret(STATE)["installation"] == identity
        assert copy.run("--rotate-now")[0] == 0
        assert copy.current != theirs
        assert site.run("--once")[0] == 0
        assert site.current == theirs
        assert site.stage.world.server.account.authenticates(theirs.plaintext)

    def test_a_second_address_is_one_command(self, site: Site) -> None:
        site.begin()
        second = Site(site.stage, site.vault, site.mount, site.vault.address)
        ledger = site.stage.world.server.account.keys
        code, text = second.run("--rotate-now")
        assert site.stage.world.server.account.keys == ledger
        assert code == 3
        assert names(text, "rotator installation add-address")
        assert second.run("installation", "add-address", "--yes")[0] == 0
        assert [each.run("--once")[0] for each in (site, second, site)] == [0, 0, 0]


class TestALostIdentity:
    def test_nothing_is_done_until_a_person_says_what(self, site: Site) -> None:
        site.begin()
        identity, ledger = site.secret(STATE), site.stage.world.server.account.keys
        site.vault.api("DELETE", f"{site.mount}/data/{STATE}")
        for mode in ("--once", "--rotate-now", "check"):
            code, text = site.run(mode)
            assert site.stage.world.server.account.keys == ledger
            assert not site.secret(STATE)
            assert code == 3 or (mode, code) == ("check", 1)
            assert names(text, *LOST)
        site.vault.api("PUT", f"{site.mount}/undelete/{STATE}", {"versions": [1]})
        assert site.run("--once")[0] == 0
        assert site.secret(STATE) == identity

    def test_a_mount_with_delete_version_after(self, site: Site) -> None:
        site.vault.api("POST", f"{site.mount}/metadata/{STATE}", {"delete_version_after": "1s"})
        site.begin()
        site.stage.until(lambda: not site.secret(STATE))
        made = len(site.stage.world.server.account.keys)
        code, text = site.run("--rotate-now")
        assert len(site.stage.world.server.account.keys) == made
        assert code == 3
        assert names(text, *LOST)

    def test_a_new_one_is_a_person_s_will(self, site: Site) -> None:
        site.begin()
        identity, current = site.secret(STATE)["installation"], site.current
        site.vault.api("DELETE", f"{site.mount}/data/{STATE}")
        assert site.run("installation", "renew", "--yes")[0] == 0
        assert site.secret(STATE)["installation"] != identity
        assert site.run("--once")[0] == 0
        assert site.stage.world.server.account.authenticates(current.plaintext)


def test_one_date_two_days_ahead(site: Site) -> None:
    site.begin()
    old = site.current
    site.run("--rotate-now")
    block = site.secret()
    site.stage.world.server.faults.add(Fault("GET /keys", Dated("+2d"), at=Phase.AFTER))
    code, text = site.run("--once")
    assert site.stage.world.server.account.authenticates(old.plaintext)
    assert site.secret() == block
    assert code == 1
    assert names(text, "clock")
    assert site.run("--once")[0] == 0


def test_the_bearer_by_variable_is_a_managed_key(site: Site) -> None:
    site.grace = "1s"
    site.begin()
    bearer = site.current
    site.stage.environ["APIMALL_API_KEY"] = bearer.plaintext
    site.stage.world.server.account.quirks = Quirks(previews=previews("weak"), revokes_itself=True)
    assert site.run("--rotate-now")[0] == 0
    over = time.monotonic() + 3
    site.stage.until(lambda: time.monotonic() > over)
    for _ in range(2):
        code, text = site.run("--once")
        assert site.stage.world.server.account.authenticates(bearer.plaintext)
        assert code in (0, 1)
        assert names(text, "bearer")
