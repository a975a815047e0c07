"""Keeps API keys of the APIMall gateway fresh and their plaintexts in HashiCorp Vault."""

import signal
from typing import Final

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Blocked from the start, and taken by `rotator.service.signals` where a pass is made."""
__version__ = "0.2.0"
