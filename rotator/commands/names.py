"""The managed keys that a command is asked for, and the config that has them."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from rotator.config import Config, load
from rotator.errors import ConfigError
from rotator.redaction import shown


def load_with(
    names: frozenset[str], config_path: Path | None, environ: Mapping[str, str], *, needs_bearer: bool = True
) -> Config:
    """Load the config. Raises ConfigError for its faults, and for a name that it does not have."""
    config = load(config_path, environ, needs_bearer=needs_bearer)
    _check(names, config)
    return config


def _check(names: frozenset[str], config: Config) -> None:
    """Raise ConfigError for a name that the config does not have."""
    known = [key.name for key in config.managed]
    faults = []
    for name in sorted(names - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        there = ", ".join(known[:10]) + (" …" if len(known) > 10 else "")
        hint = f"did you mean “{near[0]}”?" if near else f"the config has: {there}"
        faults.append(f"{shown(name)}: {hint}")
    if faults:
        raise ConfigError("no such managed key", tuple(faults))
