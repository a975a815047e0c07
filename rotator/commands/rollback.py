"""`rotator rollback`: the previous key becomes current again."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from rotator.commands.names import load_with
from rotator.commands.options import Common, common_options, json_option, key_option, name_argument, the_name
from rotator.commands.output import CONVERGED, FAILED, Output
from rotator.commands.run import stop_on_signals
from rotator.commands.screen import waiting
from rotator.lines import in_lines, width_of
from rotator.passes.rollback import NotRolledBack, RolledBack, roll_back
from rotator.passes.stopping import Stopped
from rotator.redaction import redact
from rotator.rules.times import until
from rotator.show.console import copy_lines
from rotator.show.output import Kind
from rotator.wiring import open_account


@click.command("rollback")
@name_argument
@key_option
@click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing.")
@json_option
@common_options
@click.pass_obj
def command(
    common: Common, *, words: tuple[str, ...], names: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Make the previous key current again, within its grace period or while the gateway refuses the newer one.

    \b
    Example: see what would be done, then do it
      rotator rollback "Production backend" --dry-run
      rotator rollback "Production backend"

    The previous key is proved to work before it is stored. The newer one becomes superseded.
    """
    name = the_name(words, names)
    output = common.begin(as_json=as_json, command="rollback", asked=True)
    sys.exit(run_rollback(common.config_path, dict(os.environ), name, dry_run=dry_run, output=output))


def run_rollback(
    config_path: Path | None, environ: Mapping[str, str], name: str, *, dry_run: bool, output: Output
) -> int:
    """Roll back, and say what was done; return the exit code."""
    stopping = stop_on_signals()

    def go() -> int:
        config = load_with(frozenset({name}), config_path, environ)
        with open_account(config, environ, stopping) as account:
            try:
                with waiting("rolling back"):
                    done = roll_back(account, name, dry_run=dry_run)
            except (NotRolledBack, Stopped) as error:  # what was asked for was not done
                output.complain(error)
                return FAILED
        output.show(Kind.ROLLBACK, done.to_json, lambda: redact(_words(done), short=True))
        return CONVERGED

    return output.guard(go)


def _fate(done: RolledBack) -> str:
    return f"superseded, goes {until(done.revoke_at, done.now)}" if done.revoke_at else "is revoked already"


def _words(done: RolledBack) -> str:
    is_, was = ("would be", "would be") if done.dry_run else ("is", "was")
    text = "\n".join(
        (
            f"{done.name}: key {done.current} {is_} current again",
            f"  its plaintext {was} taken from version {done.from_version} of {done.path}",
            f"  tested, and it works: request_id {done.request_id}",
            f"  its plaintext {was} stored as version {done.version}",
            f"  next rotation: {until(done.due_at, done.now)}; a new period begins",
            f"  key {done.superseded}: {_fate(done)}",
            *(line.plain for line in copy_lines(done.copies)),
            "nothing was changed"
            if done.dry_run
            else "the page of `rotator run` shows it after the next pass",
        )
    )
    return "".join(f"{line}\n" for line in in_lines(text, width_of(sys.stdout)))
