"""A real Vault-API server that keeps its data on disk: it can be sealed, and started again."""

import ssl
from pathlib import Path
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from rotator.errors import RotatorError
from rotator.redaction import Secret
from rotator.sandbox.vault import VaultServer, find_binary
from tests.certificates import LOOPBACK, Authority

_CONFIG = """
storage "raft" {{
  path = "{home}"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  {tls}
}}
api_addr = "{address}"
cluster_addr = "https://127.0.0.1:1"
"""


class RaftVault(VaultServer):
    """Initialised and unsealed from `start` on. It has no mount but what a test makes."""

    _key = ""
    _tls = "tls_disable = true"

    def start(self) -> "RaftVault":
        super().start()
        made: dict[str, Any] = self.api("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._key, self.token = made["keys_base64"][0], Secret(made["root_token"])
        self.unseal()
        return self

    def seal(self) -> None:
        self.api("PUT", "sys/seal")

    def unseal(self) -> None:
        """Return when it serves again."""
        self.api("PUT", "sys/unseal", {"key": self._key})
        self._wait_until(self._active)

    def restart(self) -> None:
        """End it and start it again, with its data, on its port, sealed as any server is then."""
        self._end()
        self._begin(find_binary())
        self._wait_until(self._ready)

    def _arguments(self, home: Path) -> tuple[str, ...]:
        path = home / "server.hcl"
        path.write_text(_CONFIG.format(home=home, port=self._port, address=self.address, tls=self._tls))
        return ("server", f"-config={path}")

    def _ready(self) -> bool:
        return self._answers("sys/seal-status")

    def _active(self) -> bool:
        """Unsealed is not yet the leader, which is what serves."""
        return self._answers("sys/health")

    def _answers(self, path: str) -> bool:
        try:
            self.api("GET", path, timeout=1.0)
        except RotatorError:
            return False
        return True


class TlsVault(RaftVault):
    """Speaks TLS as 127.0.0.1, and only with who has a certificate of the same CA."""

    def __init__(self, authority: Authority, directory: Path | None = None) -> None:
        super().__init__(directory)
        cert, key = authority.issue("server", LOOPBACK)
        self._tls = (
            f'tls_cert_file = "{cert}"\n  tls_key_file = "{key}"\n'
            f'  tls_client_ca_file = "{authority.cert}"\n  tls_require_and_verify_client_cert = true'
        )
        context = ssl.create_default_context(cafile=str(authority.cert))
        context.load_cert_chain(*authority.issue("operator"))
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self._port}"
