"""A real Vault-API server that keeps its data on disk: it can be sealed, and started again."""

from pathlib import Path
from typing import Any

from rotator.errors import RotatorError
from rotator.redaction import Secret
from rotator.sandbox.vault import VaultServer, find_binary

_CONFIG = """
storage "raft" {{
  path = "{home}"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
api_addr = "{address}"
cluster_addr = "https://127.0.0.1:1"
"""


class RaftVault(VaultServer):
    """Initialised and unsealed from `start` on. It has no mount but what a test makes."""

    _key = ""

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
        path.write_text(_CONFIG.format(home=home, port=self._port, address=self.address))
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
