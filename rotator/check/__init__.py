"""What must hold before a pass can go well: each check looks, says what it saw, and names the cure.

Nothing is written to either side. What a login makes at Vault, a token, is revoked in the end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rotator.check import metrics, settings
from rotator.check.copies import CopyChecks
from rotator.check.findings import Check, Finding, Found, State, run_all
from rotator.check.gateway import GatewayChecks
from rotator.check.vault import VaultChecks
from rotator.config import Config

__all__ = ["Finding", "Found", "State", "checking"]


@contextmanager
def checking(config: Config, environ: Mapping[str, str]) -> Iterator[Iterator[Found]]:
    """Hand out the findings, each when it is there."""
    vault = VaultChecks(config, environ)
    gateway = GatewayChecks(config, environ, lambda: vault.vault)
    copies = [CopyChecks(config, environ, name, lambda: vault.vault) for name in config.vaults]
    file = config.metrics.textfile
    checks = (
        Check("config", lambda: settings.config(config)),
        # Vault first, for the bearer may be in it.
        *vault.checks(),
        *(check for further in copies for check in further.checks()),
        *gateway.checks(),
        Check("titles", lambda: settings.longest_title(config.titles, config.managed)),
        Check("grace periods", lambda: settings.grace_periods(config.managed)),
        Check("schedule", lambda: settings.schedule(config.schedule, config.managed)),
        *([Check("metrics", lambda: metrics.textfile(file))] if file else []),
    )
    try:
        yield run_all(checks)
    finally:
        for server in (vault, *copies):
            server.close()
