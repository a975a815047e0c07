"""`--rotate-now --revoke-old-now`: a key has leaked. Replace it, then revoke the old ones without grace."""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rotator.commands.output import CONVERGED, FAILED, MISCONFIGURED, Output, print_json, write
from rotator.commands.passes import check_names, make_pass, stop_on_signals
from rotator.config import Config, load
from rotator.errors import ConfigError
from rotator.incident import Exposed, Incident, changing, contained, exposed_by, foretell, render
from rotator.report import console_for_stdout
from rotator.result import Outcome, PassResult
from rotator.stopping import Stopping
from rotator.survey import survey
from rotator.trail import recorded
from rotator.wiring import Tell, open_account, open_notifier


def run_leak(
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    only: frozenset[str],
    dry_run: bool,
    confirm: Callable[[], bool],
    output: Output,
) -> int:
    """Say what is exposed; once confirmed, contain it and print the record. Return the exit code."""

    def go() -> int:
        config = load(config_path, environ)
        check_names(only, config)
        if others := sorted(name for name in only if not config.shard.holds(name)):
            raise ConfigError("another shard's", tuple(f"{name}: leave out --shard" for name in others))
        exposed = _look(config, environ, only)
        if not output.as_json or dry_run:
            _show(exposed, output)
        if dry_run:
            return CONVERGED
        if not confirm():
            sys.stderr.write("rotator: nothing was changed\n")
            return MISCONFIGURED
        stopping = stop_on_signals()
        with open_notifier(config.webhook, environ) as tell:
            incident = _contain(config, environ, stopping, exposed, tell)
        if output.as_json:
            print_json(incident.to_json())
        else:
            write(render(incident, console_for_stdout()))
        return CONVERGED if incident.over else FAILED

    return output.guard(go)


def _look(config: Config, environ: Mapping[str, str], only: frozenset[str]) -> tuple[Exposed, ...]:
    with open_account(config, environ, Stopping()) as account:
        seen = survey(account, only=only)
        return tuple(exposed_by(key, is_bearer=account.is_bearer(key.key)) for key in seen.keys)


def _show(exposed: tuple[Exposed, ...], output: Output) -> None:
    if output.as_json:
        keys = [{"name": one.name, "going": list(one.going), "staying": list(one.staying)} for one in exposed]
        print_json({"dry_run": True, "keys": keys})
    else:
        write(foretell(exposed, console_for_stdout()))


def _contain(
    config: Config, environ: Mapping[str, str], stopping: Stopping, exposed: tuple[Exposed, ...], tell: Tell
) -> Incident:
    """Two passes. The first writes beside each new key that the old ones have no grace; any later one acts on it.

    So the second is an ordinary pass, and if this process dies before it, whichever comes next does the same.
    """
    began = datetime.now(UTC)
    passes: list[PassResult] = []
    with recorded() as steps:
        names = frozenset(one.name for one in exposed)
        passes.append(make_pass(config, environ, stopping, only=names, forced=True, without_grace=True))
        tell(passes[0])
        done = frozenset(
            key.key.name for key in passes[0].keys if key.rotation and key.outcome is Outcome.DONE
        )
        if done and not stopping.requested:
            passes.append(make_pass(config, environ, stopping, only=done))
            tell(passes[1])
    return Incident(
        began=began,
        ended=datetime.now(UTC),
        run_ids=tuple(result.run_id for result in passes),
        keys=tuple(contained(one, passes) for one in exposed),
        steps=changing(steps),
    )
