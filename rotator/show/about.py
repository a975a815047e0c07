"""Which program this is, and what it works on: for who has several of them, at three in the morning."""

from dataclasses import dataclass
from typing import Any, Final

from rotator import __version__
from rotator.config import Config


@dataclass(frozen=True)
class About:
    """What a person needs to know which account is looked at. What is not known is empty."""

    version: str = __version__
    config: str = ""
    """The file that was read."""
    account: str | None = None
    """What the config calls it."""
    gateway: str = ""
    vault: str = ""
    mount: str = ""

    @classmethod
    def of(cls, config: Config) -> "About":
        """What a config says."""
        return cls(
            config=config.file,
            account=config.account,
            gateway=config.gateway.url,
            vault=config.vault.address,
            mount=config.vault.mount,
        )

    def to_json(self, installation: str | None) -> dict[str, Any]:
        """`about` in JSON. The installation is known once Vault was asked."""
        return {
            "version": self.version,
            "config": self.config,
            "account": self.account,
            "gateway": self.gateway,
            "vault": self.vault,
            "mount": self.mount,
            "installation": installation,
        }

    def lines(self, installation: str | None) -> tuple[str, ...]:
        """The same in words; none where nothing is known."""
        if not self.config:
            return ()
        account = f"account {self.account}, " if self.account else ""
        return (
            f"rotator {self.version}, config {self.config}",
            f"{account}installation {installation or 'not known yet'}",
            f"gateway {self.gateway}",
            f"Vault {self.vault}, mount {self.mount}/",
        )

    def named(self, installation: str | None = None) -> dict[str, str]:
        """The same for a label, a line of the log or of a page: what is known, as texts."""
        return {name: value for name, value in self.to_json(installation).items() if value}


NOTHING: Final = About()
"""Where no config is known."""
