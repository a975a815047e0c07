"""`rotator installation`: which Vault this rotator's identity is of, and what only a person can say of it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from rotator.commands.names import load_with
from rotator.commands.options import Common, common_options, heed_signals, json_option
from rotator.commands.output import CONVERGED, MISCONFIGURED, Output, by_a_person
from rotator.commands.screen import waiting
from rotator.lines import in_lines, width_of
from rotator.passes.installation import Change, change_installation
from rotator.passes.stopping import Stopping
from rotator.rules.installation import Identity
from rotator.show.output import Kind
from rotator.wiring import open_account

_SAYS = {
    Change.MOVE: "This Vault is the original. No other rotator uses the identity in it.",
    Change.ADD_ADDRESS: "vault.address is another address of the Vault that the identity is bound to.",
    Change.RENEW: "The identity here is a copy, or is lost. A new one is made, and the keys made "
    "so far become unmanaged.",
}


@click.command("installation")
@click.argument("change", type=click.Choice([change.value for change in Change]))
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, change: str, yes: bool, as_json: bool) -> None:
    """Say what happened to Vault: moved, copied, new address, identity lost. A pass refuses to guess.

    \b
    Example: a new address; a moved Vault; a copy of it
      rotator installation add-address
      rotator installation move
      rotator installation renew

    Asks first. It writes the secret at vault.state_path, for which the rotator's own policy is not enough.
    """
    output = common.begin(as_json=as_json, command="installation", asked=True)
    heed_signals()
    sys.exit(run_installation(common.config_path, dict(os.environ), Change(change), yes=yes, output=output))


def run_installation(
    config_path: Path | None, environ: Mapping[str, str], change: Change, *, yes: bool, output: Output
) -> int:
    """Make the change once a person has confirmed it, and say what stands there now; return the exit code."""

    def go() -> int:
        config = load_with(frozenset(), config_path, environ)
        if not yes and not output.confirmed(f"{_SAYS[change]}\n", "Is this true?"):
            return MISCONFIGURED
        vault = config.vault
        grant = f"`create`, `read` and `update` on {vault.mount}/data/{vault.state_path}"
        with (
            open_account(config, environ, Stopping()) as account,
            waiting("asking Vault"),
            by_a_person(grant),
        ):
            identity = change_installation(account, change)
        output.show(Kind.INSTALLATION, identity.to_json, lambda: _words(identity))
        return CONVERGED

    return output.guard(go)


def _words(identity: Identity) -> str:
    text = f"installation {identity.installation}, bound to the Vault at {', '.join(identity.addresses)}"
    return "".join(f"{line}\n" for line in in_lines(text, width_of(sys.stdout)))
