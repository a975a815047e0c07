"""`rotator prune`: revoke unmanaged keys that a person names by their ids."""

import os
import pwd
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import structlog

from rotator.clients.request_log import Step, recorded
from rotator.commands.names import load_with
from rotator.commands.options import Common, KeyId, common_options, json_option, no_words
from rotator.commands.output import CONVERGED, FAILED, MISCONFIGURED, Output
from rotator.commands.run import stop_on_signals
from rotator.commands.screen import waiting
from rotator.passes.prune import Pruned, PrunePlan, plan_prune, prune
from rotator.rules.given import fault_of_reason
from rotator.show.about import About
from rotator.show.console import console_for_stdout
from rotator.show.output import Kind
from rotator.show.pruned import Record, foretell, render
from rotator.show.requests import changing
from rotator.wiring import open_account

log = structlog.get_logger()


@click.command("prune")
@no_words("write each id after an --id of its own, such as: rotator prune --id 17 --id 23")
@click.option(
    "--id", "ids", type=KeyId(1), metavar="ID", multiple=True, required=True, help="This key; repeatable."
)
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@common_options
@click.pass_obj
def command(
    common: Common, *, ids: tuple[int, ...], reason: str | None, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Revoke unmanaged keys, by the ids that `rotator keys` shows.

    \b
    Example: see what would go, then do it
      rotator prune --id 17 --id 23 --dry-run
      rotator prune --id 17 --id 23 --reason "ticket 4711"

    Never the bearer, nor what a secret holds or names, nor what may be either. If one may not go, none does.

    Exit codes: 0 all of them are dead; 1 one is not; 2 not confirmed, or wrong usage or config;
    3 a server could not be reached or refused us.
    """
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("it asks first, and nobody is there to answer: add --yes")
    if reason is not None and (fault := fault_of_reason(reason)):
        raise click.UsageError(f"--reason {fault}")
    output = common.begin(as_json=as_json, command="prune", asked=True)
    environ = dict(os.environ)
    code = run_prune(common.config_path, environ, ids, reason=reason, dry_run=dry_run, yes=yes, output=output)
    sys.exit(code)


def run_prune(
    config_path: Path | None,
    environ: Mapping[str, str],
    ids: tuple[int, ...],
    *,
    reason: str | None,
    dry_run: bool,
    yes: bool,
    output: Output,
) -> int:
    """Say which keys would go; once a person has confirmed it, revoke them. Return the exit code."""
    stopping = stop_on_signals()

    def go() -> int:
        config, began = load_with(frozenset(), config_path, environ), datetime.now(UTC)

        def record(keys: tuple[Pruned, ...], steps: list[Step]) -> Record:
            about, ended = About.of(config), datetime.now(UTC)
            return Record(
                keys, about, plan.installation, _who(), reason, began, ended, changing(steps), dry_run
            )

        with open_account(config, environ, stopping) as account:
            with waiting("looking"):
                plan = plan_prune(account, ids)
            if dry_run or not plan.sound or not any(key.goes for key in plan.keys):
                output.show(Kind.PRUNE, record(plan.keys, []).to_json, lambda: _plan(plan, dry_run=dry_run))
                return CONVERGED if plan.sound else FAILED
            if not yes and not output.confirmed(
                foretell(plan, console_for_stdout(), dry_run=False), "Revoke them now?"
            ):
                return MISCONFIGURED
            with (
                structlog.contextvars.bound_contextvars(by=_who(), reason=reason),
                recorded() as steps,
                waiting("revoking"),
            ):
                # If this process dies, its record dies with it. So who revokes them, and why, is said before.
                log.warning("prune.started", key_ids=[key.word.key_id for key in plan.keys if key.goes])
                keys = prune(account, plan)
        done = record(keys, steps)
        output.show(Kind.PRUNE, done.to_json, lambda: render(done, console_for_stdout()))
        return CONVERGED if done.over else FAILED

    return output.guard(go)


def _plan(plan: PrunePlan, *, dry_run: bool) -> str:
    ended = "nothing was changed\n" if dry_run and plan.sound else ""
    return foretell(plan, console_for_stdout(), dry_run=dry_run) + ended


def _who() -> str:
    """Who runs this, as far as the machine knows: for the record, not for any decision."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()}"
