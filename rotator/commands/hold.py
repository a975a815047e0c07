"""`rotator hold`: a person freezes a secret, until a time and for a reason."""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import click

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
from rotator.commands.output import CONVERGED, FAILED, Output, by_a_person
from rotator.commands.screen import waiting
from rotator.errors import ConfigError
from rotator.passes.account import Account
from rotator.passes.freeze import Changed, NotFrozen, change_freeze, what_time_is_it
from rotator.passes.stopping import Stopping
from rotator.redaction import redact
from rotator.rules.freeze import end_of, parse_until, write_freeze
from rotator.rules.given import fault_of_reason
from rotator.rules.model import ManagedKey
from rotator.show.freeze import frozen
from rotator.show.output import Kind
from rotator.wiring import open_account


@click.command("hold")
@name_argument
@key_option
@click.option(
    "--until",
    metavar="TIME",
    required=True,
    help="7d, a time with its offset, or a date, which is its beginning in UTC; 90d at most.",
)
@click.option("--reason", metavar="TEXT", required=True, help="Why: shown where the key is.")
@json_option
@common_options
@click.pass_obj
def command(
    common: Common, *, words: tuple[str, ...], names: tuple[str, ...], until: str, reason: str, as_json: bool
) -> None:
    """Freeze a key: until a time it is not rotated when due, and no superseded key is revoked.

    \b
    Example: nothing changes until the sale is over
      rotator hold "Production backend" --until 7d --reason "sale, ask Maria"
      rotator release "Production backend"

    A key that is dead, missing, leaked or forced is replaced all the same. Stored as rotator-hold in the secret's
    custom metadata in Vault, for which the rotator's own policy is not enough.
    """
    name, parsed = the_name(words, names), _parsed(until)
    if fault := fault_of_reason(reason):
        raise click.UsageError(f"--reason {fault}")
    output = common.begin(as_json=as_json, command="hold", asked=True)
    heed_signals()

    def change(account: Account, key: ManagedKey) -> Changed:
        now = what_time_is_it(account)
        try:
            ends = end_of(parsed, now)
        except ValueError as error:
            raise ConfigError(f"usage: --until {error}") from None
        return change_freeze(account, key, write_freeze(ends, reason), now)

    sys.exit(run_change(common.config_path, dict(os.environ), name, output, change, frozen))


def _parsed(until: str) -> timedelta | datetime:
    try:
        return parse_until(until)
    except ValueError as error:
        raise click.UsageError(f"--until {error}") from None


def run_change(
    config_path: Path | None,
    environ: Mapping[str, str],
    name: str,
    output: Output,
    change: Callable[[Account, ManagedKey], Changed],
    say: Callable[[Changed], str],
) -> int:
    """Make the change of the freeze of `name`, and say what came of it; return the exit code."""

    def go() -> int:
        # A person who may freeze need not have the bearer. Without it, the gateway's clock is not asked.
        config = load_with(frozenset({name}), config_path, environ, needs_bearer=False)
        (key,) = (key for key in config.managed if key.name == name)
        with open_account(config, environ, Stopping()) as account:
            try:
                with waiting("asking Vault"), by_a_person("what deploy/vault/operator.hcl has"):
                    changed = change(account, key)
            except NotFrozen as error:
                output.complain(error)
                return FAILED
        output.show(Kind.FREEZE, changed.to_json, lambda: redact(say(changed), short=True))
        return CONVERGED

    return output.guard(go)
