"""`rotator release`: a person ends a freeze."""

import os
import sys

import click

from rotator.commands.hold import run_change
from rotator.commands.options import (
    Common,
    common_options,
    heed_signals,
    json_option,
    key_option,
    name_argument,
    the_name,
)
from rotator.passes.account import Account
from rotator.passes.freeze import Changed, change_freeze, what_time_is_it
from rotator.rules.model import ManagedKey
from rotator.show.freeze import released


@click.command("release")
@name_argument
@key_option
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, words: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> None:
    """End a freeze: the next pass does what is due.

    \b
    Example:
      rotator release "Production backend"

    It removes rotator-hold from the secret's custom metadata in Vault, and leaves the rest of it.
    """
    name = the_name(words, names)
    output = common.begin(as_json=as_json, command="release", asked=True)
    heed_signals()

    def change(account: Account, key: ManagedKey) -> Changed:
        return change_freeze(account, key, None, what_time_is_it(account))

    sys.exit(run_change(common.config_path, dict(os.environ), name, output, change, released))
