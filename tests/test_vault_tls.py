"""A real server that keeps its data on disk and speaks TLS: who trusts whom, and what a rotation lives through."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rotator.clients.exchange import Trust
from rotator.clients.vault.client import Vault
from rotator.errors import Rejected, RotatorError
from rotator.passes.result import Outcome
from rotator.passes.stopping import Stopping
from rotator.sandbox.faults import Fault, Phase
from rotator.sandbox.replies import Reply
from tests.certificates import Authority
from tests.logins import Role
from tests.long import LONG
from tests.raft import TlsVault
from tests.vaults import connect_to, new_kv
from tests.world import World, new_server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that the server does not know."""
    return Authority(tmp_path_factory.mktemp("theirs"), "another-ca")


@pytest.fixture(scope="module")
def lasting() -> Iterator[ThreadPoolExecutor]:
    """A thread that does not end: a server ends with the thread that started it."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def server(authority: Authority, lasting: ThreadPoolExecutor) -> Iterator[TlsVault]:
    memory = Path("/dev/shm")  # each write is synced to its disk
    with TlsVault(authority, memory if memory.is_dir() else None) as vault:
        yield vault


@pytest.fixture(scope="module")
def mount(server: TlsVault) -> str:
    return new_kv(server)


@pytest.fixture(scope="module")
def ours(authority: Authority) -> tuple[str, str]:
    cert, key = authority.issue("rotator")
    return str(cert), str(key)


class TestTrust:
    def read(self, server: TlsVault, mount: str, trust: Trust, host: str = "127.0.0.1") -> None:
        address = server.address.replace("127.0.0.1", host)
        connect_to(address, server.token, mount, trust=trust).read("x")

    def test_an_own_ca_and_a_client_certificate(
        self, server: TlsVault, mount: str, authority: Authority, ours: tuple[str, str]
    ) -> None:
        self.read(server, mount, Trust(str(authority.cert), client_cert=ours))
        self.read(server, mount, Trust(skip_verify=True, client_cert=ours))

    def test_a_ca_that_we_do_not_trust(
        self, server: TlsVault, mount: str, stranger: Authority, ours: tuple[str, str]
    ) -> None:
        for ca_cert in (str(stranger.cert), None):
            with pytest.raises(Rejected, match="the server's certificate is not trusted") as raised:
                self.read(server, mount, Trust(ca_cert, client_cert=ours))
            assert "which CAs are trusted" in str(raised.value)

    def test_a_wrong_name(
        self, server: TlsVault, mount: str, authority: Authority, ours: tuple[str, str]
    ) -> None:
        with pytest.raises(Rejected, match=r"not trusted: Hostname mismatch.*check the host name"):
            self.read(server, mount, Trust(str(authority.cert), client_cert=ours), "localhost")

    @pytest.mark.parametrize("given", ["none", "of another CA"])
    def test_the_server_does_not_trust_us(
        self, server: TlsVault, mount: str, authority: Authority, stranger: Authority, given: str
    ) -> None:
        cert, key = map(str, stranger.issue("rotator"))
        trust = Trust(str(authority.cert), client_cert=(cert, key) if given != "none" else None)
        with pytest.raises(Rejected, match="the server wants a client certificate that it trusts") as raised:
            self.read(server, mount, trust)
        assert "client_cert" in str(raised.value)


class Wakes(Stopping):
    """Between two attempts, somebody brings the server back."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake: Callable[[], None] | None = wake

    def sleep(self, seconds: float) -> None:
        if self._wake:
            wake, self._wake = self._wake, None
            wake()
        super().sleep(seconds)


def seal(server: TlsVault, role: Role) -> None:
    server.seal()


def restart(server: TlsVault, role: Role) -> None:
    server.restart()


def restart_without_the_token(server: TlsVault, role: Role) -> None:
    role.revoke_all()
    server.restart()


def step_down(server: TlsVault, role: Role) -> None:
    server.api("PUT", "sys/step-down")


class TestBetweenCreateAndStore:
    @pytest.fixture
    def role(self, server: TlsVault) -> Role:
        return Role(server)

    @pytest.fixture
    def store(self, server: TlsVault, role: Role, authority: Authority, ours: tuple[str, str]) -> Vault:
        trust = Trust(str(authority.cert), client_cert=ours)
        return connect_to(server.address, role.login(), new_kv(server), trust=trust)

    @pytest.mark.parametrize(
        "how",
        [
            seal,
            restart,
            restart_without_the_token,
            pytest.param(step_down, marks=pytest.mark.skipif(not LONG, reason="the server takes 10 s")),
        ],
    )
    def test_the_key_is_stored_once_vault_is_back(
        self,
        server: TlsVault,
        role: Role,
        store: Vault,
        lasting: ThreadPoolExecutor,
        how: Callable[[TlsVault, Role], None],
    ) -> None:
        with new_server() as gateway:
            world = World(gateway, store, stopping=Wakes(server.unseal))

            def strike(_: Reply | None) -> None:
                lasting.submit(how, server, role).result()
                with pytest.raises(RotatorError):
                    server.api("GET", "sys/health")

            gateway.faults.add(Fault("POST /keys", strike, at=Phase.AFTER))
            result = world.one()
            assert result.outcome is Outcome.DONE
            assert world.works()
            assert world.posts() == 1
