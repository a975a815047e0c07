"""What must hold before a pass can go well: each check looks, says what it saw, and names the cure.

Nothing is written to either side. What a login makes at Vault, a token, is revoked in the end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rotator.check import rules
from rotator.check.findings import Finding, Found, State, Step, look
from rotator.check.gateway import GatewayChecks
from rotator.check.vault import VaultChecks
from rotator.config import Config

__all__ = ["Finding", "Found", "State", "checking"]


@contextmanager
def checking(config: Config, environ: Mapping[str, str]) -> Iterator[Iterator[Found]]:
    """Hand out the findings, each when it is there."""
    vault = VaultChecks(config, environ)
    gateway = GatewayChecks(config, environ, lambda: vault.vault)
    steps = (
        Step("config", lambda: rules.config(config)),
        # Vault first, for the bearer may be in it.
        *vault.steps(),
        *gateway.steps(),
        Step("titles", lambda: rules.longest_title(config.titles, config.managed)),
        Step("grace periods", lambda: rules.grace_periods(config.managed)),
        Step("schedule", lambda: rules.schedule(config.schedule, config.managed)),
    )
    try:
        yield look(steps)
    finally:
        vault.close()
