"""`bao agent` or `vault agent`, run by what is in deploy/consumers."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rotator.sandbox.vault import VaultServer, find_binary

INTERVAL = 'static_secret_render_interval = "5m"'


def moved(text: str, places: Mapping[str, str]) -> str:
    """Return the config with other places, and an interval for which nobody waits minutes."""
    for theirs, ours in {**places, INTERVAL: INTERVAL.replace("5m", "1s")}.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    return text


@contextmanager
def running_agent(directory: Path, vault: VaultServer, text: str, **environ: str) -> Iterator[Path]:
    """Run an agent, whose commands find a `vault` in their PATH, and yield its log."""
    config, log, vaults = directory / "agent.hcl", directory / "agent.log", directory / "bin"
    config.write_text(text)
    vaults.mkdir(exist_ok=True)
    (vaults / "vault").unlink(missing_ok=True)
    (vaults / "vault").symlink_to(find_binary())
    exports = {"VAULT_ADDR": vault.address, "HOME": str(directory), "PATH": f"{vaults}:{os.defpath}"}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(find_binary()), "agent", f"-config={config}"],
            env={**exports, **environ},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait()
