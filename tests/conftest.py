import os
import time
from collections.abc import Iterator

import pytest

from rotator.sandbox.vault import VaultServer
from tests.memory_store import MemoryStore
from tests.world import World, new_server

os.environ["TZ"] = "Asia/Kathmandu"  # what takes the local zone for UTC fails
time.tzset()


@pytest.fixture
def world() -> Iterator[World]:
    with new_server() as server:
        yield World(server, MemoryStore())


@pytest.fixture(scope="session")
def vault_server() -> Iterator[VaultServer]:
    with VaultServer() as server:
        yield server
