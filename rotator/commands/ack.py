"""`rotator ack`: a consumer confirms that it has taken up a key."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from rotator.clients.retry import Policy
from rotator.commands.names import load_with
from rotator.commands.options import (
    Common,
    common_options,
    heed_signals,
    json_option,
    key_option,
    name_argument,
    the_name,
)
from rotator.commands.output import CONVERGED, Output, by_a_person
from rotator.commands.screen import waiting
from rotator.errors import ConfigError
from rotator.passes.confirm import Confirmed, confirm
from rotator.passes.stopping import Stopping
from rotator.rules.consumers import ack_path
from rotator.rules.model import ManagedKey
from rotator.show.output import Kind
from rotator.wiring import open_vault

_GRANT: Final = "what deploy/consumers/ack-policy.hcl has"
_GRANT_TO_READ: Final = f"{_GRANT} and, to look the id up, deploy/consumers/policy.hcl; or add --key-id ID"


@click.command("ack")
@name_argument
@key_option
@click.option("--as", "consumer", metavar="CONSUMER", required=True, help="Who confirms, as in the config.")
@click.option(
    "--key-id",
    type=click.IntRange(min=1),
    metavar="ID",
    help="The key that was taken up; default: the key that the secret holds now.",
)
@json_option
@common_options
@click.pass_obj
def command(
    common: Common,
    *,
    words: tuple[str, ...],
    names: tuple[str, ...],
    consumer: str,
    key_id: int | None,
    as_json: bool,
) -> None:
    """Confirm that a consumer has taken up a new key.

    \b
    Example: every instance of web runs on key 13 now
      rotator ack "Production backend" --as web --key-id 13

    The old key lives on until every consumer has confirmed, for no longer than grace_limit.
    """
    name = the_name(words, names)
    output = common.begin(as_json=as_json, command="ack", asked=True)
    heed_signals()
    sys.exit(run_ack(common.config_path, dict(os.environ), name, consumer, key_id, output=output))


def run_ack(
    config_path: Path | None,
    environ: Mapping[str, str],
    name: str,
    consumer: str,
    key_id: int | None,
    *,
    output: Output,
) -> int:
    """Confirm, and say what was confirmed; return the exit code. Only Vault is asked."""

    def go() -> int:
        # Who uses a key need not have the bearer.
        config = load_with(frozenset({name}), config_path, environ, needs_bearer=False)
        [key] = (key for key in config.managed if key.name == name)
        _check(key, consumer)
        path = ack_path(config.vault.acks_path, key.path, consumer)
        with (
            open_vault(config, environ, Stopping(), Policy()) as vault,
            waiting("asking Vault"),
            by_a_person(_GRANT if key_id else _GRANT_TO_READ),
        ):
            done = confirm(vault, key, consumer, path, key_id)
        output.show(Kind.ACK, done.to_json, lambda: _words(done))
        return CONVERGED

    return output.guard(go)


def _check(key: ManagedKey, consumer: str) -> None:
    """Raise ConfigError for a consumer that the config does not have."""
    if consumer not in key.consumers:
        known = f"{key.name} has: {', '.join(key.consumers)}" if key.consumers else f"{key.name} has none"
        raise ConfigError("no such consumer", (known,))
    if consumer in key.copies:
        raise ConfigError(
            "this consumer reads a copy", (f"{consumer} confirms by what its copy holds; a pass writes that",)
        )


def _words(done: Confirmed) -> str:
    return f"{done.name}: {done.consumer} has confirmed key {done.key_id}\n"
