"""`rotator check`: try what a pass needs, and say what was seen."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rotator.check import Finding, Found, State, checking
from rotator.check.findings import to_json, well
from rotator.check.lines import render, render_sum
from rotator.commands.output import CONVERGED, FAILED, MISCONFIGURED, Output, print_json, write
from rotator.config import load
from rotator.errors import ConfigError
from rotator.show.pass_table import console_for_stdout


def run_check(config_path: Path | None, environ: Mapping[str, str], output: Output) -> int:
    """Print what each check finds; return the exit code."""
    try:
        config = load(config_path, environ)
    except ConfigError as error:
        _print([("config", Finding(State.BAD, fault)) for fault in error.faults], output)
        return MISCONFIGURED
    with checking(config, environ) as findings:
        found = _print(findings, output)
    return CONVERGED if well(found) else FAILED


def _print(findings: Iterable[Found], output: Output) -> list[Found]:
    """Print each finding when it is there, or as JSON all together."""
    found, console = [], console_for_stdout()
    for name, finding in findings:
        found.append((name, finding))
        if not output.as_json:
            write(render(name, finding, console))
    if output.as_json:
        print_json(to_json(found))
    else:
        write(render_sum(found, console))
    return found
