"""Proxies and CAs of the environment, with real ones: how they are used, and what is said of those that fail."""

import os
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from rotator.clients.exchange import Request, Response, Server, Trust
from rotator.errors import Rejected, RotatorError, Transient
from rotator.redaction import redact
from tests.certificates import LOOPBACK, Authority
from tests.connect_proxy import ConnectProxy
from tests.deployed import debian_tool

Ask = Callable[[], Response]


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server", LOOPBACK))
    return context


@pytest.fixture(scope="module")
def url(tls: ssl.SSLContext) -> Iterator[str]:
    """A server that speaks TLS and answers every GET."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL"):
            monkeypatch.delenv(name)


def get(url: str, trust: Trust | None = None, seconds: float = 10) -> Response:
    server = Server(url, timeout=timedelta(seconds=seconds), limit=9, cure="check vault.address", trust=trust)
    return server.exchange(Request("GET", "/x"), {})


def refusal(kind: type[RotatorError], ask: Ask) -> RotatorError:
    with pytest.raises(kind) as raised:
        ask()
    assert type(raised.value) is kind
    assert "vault.address" not in str(raised.value)
    return raised.value


class TestARealProxy:
    @pytest.fixture
    def ask(self, url: str, authority: Authority) -> Ask:
        return partial(get, url, Trust(str(authority.cert)))

    def test_it_opens_the_way(self, ask: Ask, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with ConnectProxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://us:p%40ss/word@{proxy.place}")
            assert ask().status == 200
            [head] = proxy.asked
            assert head.startswith(f"CONNECT {url.removeprefix('https://')} HTTP/1.1")
            assert "Proxy-Authorization: Basic dXM6cEBzcy93b3Jk" in head
            assert "dXM6cEBz" not in redact(head)
            monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
            assert ask().status == 200
            assert len(proxy.asked) == 1

    @pytest.mark.parametrize(
        ("status", "kind", "cure"),
        [
            (403, Transient, "let the proxy allow CONNECT to 127.0.0.1:"),
            (405, Transient, "let the proxy allow CONNECT to 127.0.0.1:"),
            (407, Rejected, "correct the user and password in HTTPS_PROXY"),
            (502, Transient, "find out why the proxy cannot reach 127.0.0.1:"),
            (504, Transient, "find out why the proxy cannot reach 127.0.0.1:"),
            (302, Transient, "let the proxy allow CONNECT to 127.0.0.1:"),
        ],
    )
    def test_it_refuses(
        self,
        ask: Ask,
        status: int,
        kind: type[RotatorError],
        cure: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with ConnectProxy(status) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@{proxy.place}")
            error = refusal(kind, ask)
        assert f"GET /x: the proxy http://{proxy.place} (HTTPS_PROXY) answered {status} to CONNECT" in str(
            error
        )
        assert str(error.cure).startswith(cure)
        assert str(error.cure).endswith("or add 127.0.0.1 to NO_PROXY to go without it")
        assert "Words" not in str(error)
        assert "hunter2" not in str(error)
        assert error.status is None, "it is no answer of the server's"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask().status == 200
        assert getattr(error, "ambiguous", False) is False, "the request was never sent"

    def test_it_cannot_be_reached(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        for place, why in (("127.0.0.1:1", "Connection refused"), ("nobody.invalid:1", "")):
            monkeypatch.setenv("all_proxy", place)
            error = refusal(Transient, ask)
            assert f"the proxy http://{place} (all_proxy): {why}" in str(error)
            assert str(error.cure).startswith("check all_proxy, and the network between here and the proxy")
            with monkeypatch.context() as cured:
                cured.setenv("NO_PROXY", "127.0.0.1")
                assert ask().status == 200
            assert getattr(error, "ambiguous", True) is False, "the request was never sent"

    def test_it_never_answers(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with ConnectProxy(None) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.place)
            error = refusal(Transient, partial(get, url, seconds=0.2))
        assert f"the proxy http://{proxy.place} (HTTPS_PROXY): " in str(error)

    def test_it_speaks_no_http(self, ask: Ask, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", url.replace("https:", "http:"))  # it wants TLS
        assert "(HTTPS_PROXY): " in str(refusal(Transient, ask))

    def test_what_fails_beyond_it_is_the_servers(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with ConnectProxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.place)
            error = refusal(Rejected, partial(get, url))
            assert f"{url}: the server's certificate is not trusted" in str(error)
            with pytest.raises(Transient, match=r"through the proxy .*check vault.address"):
                get("https://127.0.0.1:1")

    def test_one_that_speaks_tls_itself(
        self, ask: Ask, tls: ssl.SSLContext, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ConnectProxy(403, tls=tls) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy.place}")
            assert "certificate verify failed" in str(refusal(Transient, ask))
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
            assert "answered 403" in str(refusal(Transient, ask))
            monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
            assert "SSL_CERT_FILE (/nowhere)" in str(refusal(Rejected, ask))

    def test_what_is_wrong_and_not_used_stops_nothing(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "HTTPS_PROXY": "nonsense://x:y:z",
            "ALL_PROXY": "http://[::1",
            "HTTP_PROXY": "socks5://x",
            "NO_PROXY": "localhost,[::1],[,127.0.0.1",
            "SSL_CERT_FILE": "/nowhere",
            "SSL_CERT_DIR": "/nowhere",
        }.items():
            monkeypatch.setenv(name, value)
        assert ask().status == 200
        monkeypatch.delenv("NO_PROXY")
        assert "HTTPS_PROXY is not the URL of a proxy" in str(refusal(Rejected, ask))


class TestCas:
    def test_a_file(self, url: str, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
        monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
        assert get(url).status == get(url.replace("https:", "HTTPS:")).status == 200

    def test_a_directory(
        self, url: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "ca.pem").write_bytes(authority.cert.read_bytes())
        monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere:{tmp_path}")
        error = refusal(Rejected, partial(get, url))
        assert f"SSL_CERT_DIR (/nowhere:{tmp_path}) cannot be loaded: no certificate" in str(error)
        openssl = debian_tool("openssl", "openssl")
        subprocess.run([openssl, "rehash", str(tmp_path)], check=True)
        assert get(url).status == 200

    @pytest.mark.parametrize("wrong", ["nowhere", "no PEM", "a directory"])
    def test_a_file_that_cannot_be_loaded(
        self, url: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "cas.pem"
        if wrong == "no PEM":
            file.write_text("no certificate")
        if wrong == "a directory":
            file.mkdir()
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        error = refusal(Rejected, partial(get, url))
        assert error.message.startswith(f"SSL_CERT_FILE ({file}) cannot be loaded: ")
        assert error.cure == "correct SSL_CERT_FILE, or unset it to trust the usual CAs"

    def test_one_of_other_cas_is_named(
        self, url: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = Authority(tmp_path, "another-ca")
        monkeypatch.setenv("SSL_CERT_FILE", str(other.cert))
        assert f"(now those of SSL_CERT_FILE {other.cert})" in str(refusal(Rejected, partial(get, url)))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
        assert get(url).status == 200

    def test_a_file_of_session_keys_that_cannot_be_written(
        self, url: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/keys")
        error = refusal(Rejected, partial(get, url))
        assert str(error) == "SSLKEYLOGFILE (/nowhere/keys): No such file or directory; unset SSLKEYLOGFILE"
        monkeypatch.delenv("SSLKEYLOGFILE")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
        assert get(url).status == 200
