"""`rotator check` and certificates: of a server that only shakes hands, and of a real one that can be sealed."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from rotator.check.findings import Finding, State, run_all
from rotator.check.reach import Target, checks
from rotator.clients.exchange import Trust
from rotator.sandbox.server import GatewayServer
from tests.certificates import LOOPBACK, Authority
from tests.deployed import run
from tests.program import Program, program
from tests.raft import TlsVault
from tests.vaults import new_kv


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def shaking_hands(cert: Path, key: Path) -> Iterator[int]:
    """A TLS server that ends each connection after the handshake; yields its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as one:
                    one.unwrap()

    thread = Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def connect(port: int, trust: Trust, host: str = "127.0.0.1") -> Finding:
    server = Target(
        name="Vault",
        url=f"https://{host}:{port}",
        field="vault.address",
        trust=trust,
        trust_cure="name the CA",
        timeout=timedelta(seconds=5),
    )
    return dict(run_all(checks(server)))["Vault TLS"]


@pytest.fixture
def good(authority: Authority) -> Iterator[int]:
    with shaking_hands(*authority.issue("server", LOOPBACK)) as port:
        yield port


def test_the_certificate_s_end_is_said(authority: Authority, good: int) -> None:
    found = connect(good, Trust(str(authority.cert)))
    assert found.state is State.OK
    end = datetime.now(UTC) + timedelta(hours=1)
    assert f"TLSv1.3; the certificate ends {end:%Y-%m-%d}" in found.seen


@pytest.mark.parametrize(
    ("left", "state"), [(timedelta(minutes=5), State.NOTE), (timedelta(minutes=10), State.OK)]
)
def test_one_that_ends_soon(authority: Authority, left: timedelta, state: State) -> None:
    """It began an hour ago; a tenth of its life is the line."""
    with shaking_hands(*authority.issue("server", LOOPBACK, left=left)) as port:
        found = connect(port, Trust(str(authority.cert)))
    assert found.state is state


def test_one_that_has_expired(authority: Authority) -> None:
    with shaking_hands(*authority.issue("server", LOOPBACK, left=timedelta(minutes=-5))) as port:
        found = connect(port, Trust(str(authority.cert)))
    assert found.state is State.BAD
    assert found.seen == "the certificate is not trusted: certificate has expired"
    assert "renew the server's certificate; if it is still valid, set this machine's clock" in str(found.cure)
    with shaking_hands(*authority.issue("renewed", LOOPBACK)) as port:
        assert connect(port, Trust(str(authority.cert))).state is State.OK


def test_one_of_another_name(authority: Authority, good: int) -> None:
    found = connect(good, Trust(str(authority.cert)), "localhost")
    assert found.state is State.BAD
    assert "Hostname mismatch" in found.seen
    assert found.cure == "write the host name of the certificate in vault.address"
    assert connect(good, Trust(str(authority.cert)), "127.0.0.1").state is State.OK


def test_one_of_a_ca_that_is_not_trusted(tmp_path: Path, authority: Authority, good: int) -> None:
    for ca_cert in (str(Authority(tmp_path, "another-ca").cert), None):
        found = connect(good, Trust(ca_cert))
        assert (found.state, found.cure) == (State.BAD, "name the CA")
    assert connect(good, Trust(str(authority.cert))).state is State.OK


def test_any_certificate_is_trusted(authority: Authority, good: int) -> None:
    found = connect(good, Trust(skip_verify=True))
    assert found.state is State.NOTE
    assert "remove vault.tls_skip_verify" in str(found.cure)
    assert connect(good, Trust(str(authority.cert))).state is State.OK


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def server(ours: Authority) -> Iterator[TlsVault]:
    memory = Path("/dev/shm")
    with TlsVault(ours, memory if memory.is_dir() else None) as vault:
        yield vault


class TestARealServer:
    @pytest.fixture
    def rotator(self, tmp_path: Path, gateway: GatewayServer, server: TlsVault, ours: Authority) -> Program:
        subject = program(tmp_path, gateway, server, new_kv(server))
        cert, key = ours.issue("rotator")
        subject.config["vault"] |= {
            "ca_cert": str(ours.cert),
            "client_cert": str(cert),
            "client_key": str(key),
        }
        return subject

    def test_by_our_ca_and_our_certificate(self, rotator: Program) -> None:
        done = run(rotator, "check", "--json")
        assert {finding["state"] for finding in done.json["checks"]} == {"ok"}

    def test_without_our_certificate(self, rotator: Program) -> None:
        ours = {name: rotator.config["vault"].pop(name) for name in ("client_cert", "client_key")}
        done = run(rotator, "check", "--json")
        (found,) = (finding for finding in done.json["checks"] if finding["state"] == "bad")
        assert "wants a client certificate" in found["seen"]
        assert "vault.client_cert and vault.client_key name one" in found["cure"]
        rotator.config["vault"] |= ours
        assert run(rotator, "check", "--json").code == 0

    def test_a_sealed_one(self, rotator: Program, server: TlsVault) -> None:
        server.seal()
        done = run(rotator, "check", "--json")
        server.unseal()
        (found,) = (finding for finding in done.json["checks"] if finding["state"] == "bad")
        assert done.code == 1
        assert found["name"] == "Vault health"
        assert found["seen"].endswith(", sealed")
        assert found["cure"] == "`vault operator unseal`"
        assert run(rotator, "check", "--json").code == 0
