"""A server on loopback that answers as HashiCorp's Vault 1.4 does, as far as a set-up and a login go.

Written by its documentation and its plugin's source: it has no namespaces and no quotas, takes no CA from the pod
that it runs in, ignores the fields of newer servers, and checks who issued a service account's token.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from rotator.sandbox.vault import VaultServer
from tests.serving import serving

_CONFIG: Final = ("kubernetes_host", "kubernetes_ca_cert", "token_reviewer_jwt", "pem_keys", "issuer")
_KNOWN: Final = re.compile(
    r"sys/(auth/kubernetes(/tune)?|mounts/secret/tune|policies/acl/rotator|policy/rotator)"
    r"|auth/kubernetes/role/rotator"
)
_DEFAULT_ISSUER: Final = "kubernetes/serviceaccount"
_UNSUPPORTED: Final = "1 error occurred:\n\t* unsupported path\n\n"


class OldVault:
    """What it has been told, by path."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {"sys/mounts/secret/tune": {"options": {"version": "2"}}}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, object]:
        """Return the status and the body."""
        reading = method == "GET"
        if path == "sys/health":
            return 200, {"initialized": True, "sealed": False, "standby": False, "version": "1.4.0"}
        if path == "auth/kubernetes/config" and not reading:
            if not body.get("kubernetes_ca_cert"):
                return 400, {"errors": ["one of pem_keys or kubernetes_ca_cert must be set"]}
            self.kept[path] = {name: body[name] for name in _CONFIG if name in body}
            return 204, None
        if path == "auth/kubernetes/login":
            return self._login(body["jwt"])
        if path.startswith("secret/data/"):
            return 404, {"errors": []}
        if path != "auth/kubernetes/config" and not _KNOWN.fullmatch(path):
            return 404, {"errors": [_UNSUPPORTED]}
        if reading:
            return (200, {"data": self.kept[path]}) if path in self.kept else (404, {"errors": []})
        self.kept[path] = body
        if path == "sys/auth/kubernetes":
            self.kept["sys/auth/kubernetes/tune"] = {}
        return 204, None

    def _login(self, jwt: str) -> tuple[int, object]:
        claims = json.loads(base64.urlsafe_b64decode(jwt.split(".")[1] + "=="))
        if claims["iss"] != (self.kept["auth/kubernetes/config"].get("issuer") or _DEFAULT_ISSUER):
            return 500, {"errors": ['claim "iss" is invalid']}
        return 200, {
            "auth": {"client_token": "s.0123456789abcdef", "lease_duration": 3600, "renewable": True}
        }


@contextmanager
def old_vault() -> Iterator[tuple[OldVault, VaultServer]]:
    """Serve one; yield what it knows, and a handle of the kind that tests have of a real server."""
    old = OldVault()

    def how(handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read() or b"{}")
        status, said = old.answer(handler.command, handler.path.removeprefix("/v1/").partition("?")[0], body)
        content = b"" if said is None else json.dumps(said).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with serving(how) as url:
        yield old, VaultServer(port=int(url.rpartition(":")[2]))
