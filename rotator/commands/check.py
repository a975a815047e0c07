"""`rotator check`: try what a pass needs, and say what was seen."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import click

from rotator.check import Finding, Found, State, checking
from rotator.check.findings import to_json, well
from rotator.check.lines import render, render_sum
from rotator.check.patience import Looked, Time, until_well
from rotator.commands.options import Common, common_options, duration_option, heed_signals, json_option
from rotator.commands.output import CONVERGED, FAILED, MISCONFIGURED, Output, print_json
from rotator.commands.screen import waiting
from rotator.config import Config, load
from rotator.errors import ConfigError
from rotator.rules.times import format_duration
from rotator.show.console import console_for_stdout
from rotator.show.output import Kind, document


@click.command("check")
@duration_option("--wait", help="How long to look again, until nothing is bad.")
@json_option
@common_options
@click.pass_obj
def command(common: Common, *, wait: timedelta | None, as_json: bool) -> None:
    """Test what a pass needs. Say what was seen, and how to mend what fails.

    \b
    Example: before the first pass; while Vault is starting
      rotator check
      rotator check --wait 2m

    Tests the config; DNS and TLS of both sides; the login to Vault, the token, the mount, the policy; the bearer,
    the gateway's clock and list; titles and grace periods. Writes nothing, and logs out of Vault. Does not use up a
    secret id that is response-wrapped.

    Exit codes: 0 nothing failed; 1 something did; 2 wrong usage or config, at once.
    """
    output = common.begin(as_json=as_json, command="check", asked=True)
    heed_signals()
    sys.exit(run_check(common.config_path, dict(os.environ), output, wait))


def run_check(
    config_path: Path | None,
    environ: Mapping[str, str],
    output: Output,
    wait: timedelta | None = None,
    time: Time = Time(),  # noqa: B008 - it holds nothing
) -> int:
    """Print what each check finds, or with `wait` what the last look found; return the exit code."""
    try:
        config = load(config_path, environ)
    except ConfigError as error:
        _print([("config", Finding(State.BAD, fault)) for fault in error.faults], output)
        return MISCONFIGURED
    if wait:
        looked = _wait(config, environ, wait, time)
        return CONVERGED if well(_print(looked.found, output, looked.looks)) else FAILED
    with checking(config, environ) as findings:
        found = _print(findings, output)
    return CONVERGED if well(found) else FAILED


def _wait(config: Config, environ: Mapping[str, str], wait: timedelta, time: Time) -> Looked:
    def look() -> Sequence[Found]:
        with checking(config, environ) as findings:
            return list(findings)

    with waiting(f"trying, for {format_duration(wait)} at most"):
        return until_well(look, wait.total_seconds(), time)


def _print(findings: Iterable[Found], output: Output, looks: int = 1) -> list[Found]:
    """Print each finding when it is there, or as JSON all together."""
    found: list[Found] = []
    console = console_for_stdout()
    coming = iter(findings)
    while True:
        with waiting("trying"):
            one = next(coming, None)
        if one is None:
            break
        found.append(one)
        if not output.as_json:
            sys.stdout.write(render(*one, console))
    if output.as_json:
        print_json(document(Kind.CHECK, {**to_json(found), "looks": looks}))
    else:
        sys.stdout.write(render_sum(found, console, looks))
    return found
