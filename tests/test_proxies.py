"""Which proxy the environment names for a server, and which servers need none."""

from collections.abc import Mapping
from urllib.parse import unquote

import pytest

from rotator.clients.proxies import proxy_for
from rotator.redaction import redact

URL = "https://vault.example.com:8200"
PROXY = {"HTTPS_PROXY": "http://proxy:3128"}


def through(environ: Mapping[str, str], url: str = URL) -> str | None:
    proxy = proxy_for(url, environ)
    return proxy.url if proxy else None


class TestWhichOne:
    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({}, None),
            ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
            ({"https_proxy": "a:1"}, "http://a:1"),
            ({"https_proxy": " https://a:1/ "}, "https://a:1"),
            ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://a:1"),
            ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, None),
            ({"ALL_PROXY": "http://[::1]:1"}, "http://[::1]:1"),
            ({"HTTPS_PROXY": "http://a:1", "all_proxy": "socks5://b:1"}, "http://a:1"),
            ({"HTTP_PROXY": "http://a:1"}, None),
            ({"HTTPS_PROXY": " "}, None),
        ],
    )
    def test_by_its_variable(self, environ: dict[str, str], expected: str | None) -> None:
        assert through(environ) == expected

    def test_plain_http_goes_through_none(self) -> None:
        every = {"HTTP_PROXY": "http://a:1", "HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://a:1"}
        assert proxy_for("http://127.0.0.1:8200", every) is None
        assert through(every, "HTTPS://vault.example.com") == "http://a:1"

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("socks5://a:1", "socks5://a:1"),
            ("http://[::1", "http://[::1"),
            ("http://a:99999", "http://a:99999"),
            ("http://a b:1", "http://a b:1"),
            ("http://", "http://"),
            ("http://user:hunter2", ""),
            ("socks5://user:hunter2@a:1", "socks5://a:1"),
            ("user:hunter2://x@a b", ""),
        ],
    )
    def test_one_that_cannot_be_used_is_shown_without_what_may_be_secret(
        self, value: str, shown: str
    ) -> None:
        proxy = proxy_for(URL, {"HTTPS_PROXY": value})
        assert proxy
        assert (proxy.url, proxy.shown) == (None, shown)
        assert "hunter2" not in f"{proxy!r}{proxy}{proxy.unusable()}"

    @pytest.mark.parametrize(
        "password", ["hunter2-hunter2", "p@ss/word#with?all:of://it", "%68unter%2Dhunter2"]
    )
    def test_user_and_password_are_known_to_the_redaction(self, password: str) -> None:
        proxy = proxy_for(URL, {"https_proxy": f"http://somebody-else:{password}@proxy:3128"})
        assert proxy
        assert str(proxy) == "the proxy http://proxy:3128 (https_proxy)"
        assert proxy.credentials() == ("somebody-else", unquote(password))
        assert password not in redact(f"it says: {password}")
        assert "somebody" not in redact("it says: somebody-else") + repr(proxy)


class TestExceptions:
    @pytest.mark.parametrize(
        ("url", "exceptions"),
        [
            (URL, "*"),
            (URL, "a, *"),
            (URL, "vault.example.com"),
            (URL, "VAULT.Example.com."),
            (URL, ".example.com"),
            (URL, "*.example.com"),
            (URL, "example.com"),
            (URL, "a,b example.com"),
            (URL, "\texample.com\n"),
            (URL, "vault.example.com:8200"),
            (URL, ".example.com:8200"),
            (URL, "https://vault.example.com:8200/"),
            ("https://example.com", ".example.com:443"),
            ("https://vault.example.com.", "example.com"),
            ("https://10.1.2.3", "10.1.2.3"),
            ("https://10.1.2.3", "10.0.0.0/8"),
            ("https://10.1.2.3", "10.9.9.9/8"),
            ("https://10.1.2.3:8200", "10.0.0.0/8:8200"),
            ("https://[::1]", "localhost,[::1]"),
            ("https://[::1]", "::1"),
            ("https://[::1]", "0:0:0:0:0:0:0:1"),
            ("https://[::1]:8200", "[::1]:8200"),
            ("https://[fd00::7]", "fd00::/8"),
            ("https://[fd00::7]", "[fd00::]/8"),
            ("https://[FD00::7]", "[fd00::7]"),
            ("https://[::ffff:10.1.2.3]", "10.0.0.0/8"),
        ],
    )
    def test_it_needs_none(self, url: str, exceptions: str) -> None:
        assert through({**PROXY, "NO_PROXY": exceptions}, url) is None
        assert through({**PROXY, "no_proxy": exceptions}, url) is None
        assert through({**PROXY, "no_proxy": exceptions, "NO_PROXY": "other"}, url) is None

    @pytest.mark.parametrize(
        ("url", "exceptions"),
        [
            (URL, ""),
            (URL, "ample.com"),
            (URL, "vault.example.com:443"),
            (URL, "vault"),
            (URL, "com.example"),
            (URL, ".,*.,:,/,[,],[],[::,://,10.0.0.0/99,*:1"),
            ("https://10.1.2.3", "10.1.2,1.2.3,11.0.0.0/8"),
            ("https://[::1]", "[::1]:1,::2,[fd00::]/8,1"),
        ],
    )
    def test_it_needs_one_all_the_same(self, url: str, exceptions: str) -> None:
        assert through({**PROXY, "NO_PROXY": exceptions}, url) == "http://proxy:3128"
