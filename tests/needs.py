"""What not every Vault-API server has, and how a test asks for it: the fixture `needs`."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from rotator.errors import RotatorError
from rotator.sandbox.vault import VaultServer


@dataclass(frozen=True)
class Feature:
    """A thing that some servers lack."""

    name: str
    where: str
    """Who has it."""
    there: Callable[[VaultServer], bool]


def _takes(method: str, path: str, body: object = None) -> Callable[[VaultServer], bool]:
    def there(server: VaultServer) -> bool:
        try:
            server.api(method, path, body)
        except RotatorError as error:
            if error.status not in (400, 404, 405):  # how servers say that they know no such path
                raise
            return False
        return True

    return there


def version_of(server: VaultServer) -> str:
    """What the server says of itself."""
    return str(server.api("GET", "sys/health")["version"])


def _since(*wanted: int) -> Callable[[VaultServer], bool]:
    return lambda server: tuple(map(int, re.findall(r"\d+", version_of(server))))[: len(wanted)] >= wanted


NAMESPACES = Feature(
    "namespaces", "OpenBao has since 2.3, and Vault Enterprise", _takes("PUT", "sys/namespaces/asked", {})
)
QUOTAS = Feature("rate-limit quotas", "Vault has since 1.5", _takes("GET", "sys/quotas/config"))
RENDER_INTERVAL = Feature(
    "an interval of the agent's own", "Vault has since 1.8: before, a test would wait minutes", _since(1, 8)
)

Needs = Callable[[Feature], None]
"""Skips the test where the server under test lacks the feature, and says so at the suite's end."""


def needed(server: VaultServer, tell: Callable[[str, object], None]) -> Needs:
    """Return what skips a test against this server; `tell` notes the property `lacks`."""

    def needs(feature: Feature) -> None:
        if not feature.there(server):
            version = version_of(server)
            tell("lacks", (version, feature.name))
            pytest.skip(f"the server, {version}, has no {feature.name}, which {feature.where}")

    return needs


def skipped(lacking: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each server: what it lacks, and how many tests were skipped for it."""
    counts = Counter(map(tuple, lacking))
    return [
        f"skipped with the Vault-API server {version}, for it has none of these: "
        + ", ".join(
            f"{name} ({count} tests)" if count > 1 else f"{name} (1 test)"
            for (of, name), count in sorted(counts.items())
            if of == version
        )
        for version in sorted({version for version, _ in counts})
    ]
