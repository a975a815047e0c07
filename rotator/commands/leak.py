"""`--rotate-now --revoke-old-now`: a key has leaked. Replace it, then revoke the old ones without grace."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from rotator.clients.request_log import recorded
from rotator.commands.names import load_with
from rotator.commands.options import heed_signals
from rotator.commands.output import CONVERGED, FAILED, MISCONFIGURED, Output
from rotator.commands.run import make_pass, stop_on_signals
from rotator.commands.screen import waiting
from rotator.config import Config
from rotator.errors import RotatorError
from rotator.passes.account import Account
from rotator.passes.confirm import Confirmations
from rotator.passes.observe import Observation, observe
from rotator.passes.stopping import Stopped, Stopping
from rotator.rules.decide import decide
from rotator.rules.shard import Shard
from rotator.service.webhook import Tell, open_notifier
from rotator.show.console import console_for_stdout
from rotator.show.exposed import Exposed, exposed_by
from rotator.show.incident import Incident, contained, foretell, render
from rotator.show.output import Kind
from rotator.show.requests import changing
from rotator.wiring import open_account

log = structlog.get_logger()


def run_leak(
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    only: frozenset[str],
    dry_run: bool,
    yes: bool,
    output: Output,
) -> int:
    """Say what is exposed; once a person has confirmed it, or with `yes`, contain it and print the record.

    In an Indexed Job each pod does so for its own of the keys that are named. Return the exit code.
    """
    heed_signals()

    def go() -> int:
        config = load_with(only, config_path, environ)
        ours = frozenset(filter(config.shard.holds, only))
        for name in sorted(only - ours):
            log.warning("shard.left_out", key=name, shard=str(config.shard))
        if not ours:
            return _show_none(config.shard, output)
        return contain(config, environ, _look(config, environ, ours), dry_run=dry_run, yes=yes, output=output)

    return output.guard(go)


def contain(
    config: Config,
    environ: Mapping[str, str],
    exposed: tuple[Exposed, ...],
    *,
    dry_run: bool,
    yes: bool,
    output: Output,
) -> int:
    """Once a person has confirmed it, or with `yes`, replace and revoke what is `exposed`; return the exit code."""
    if dry_run:
        _show(exposed, output)
        return CONVERGED
    if not yes and not output.confirmed(
        foretell(exposed, console_for_stdout(), dry_run=False), "Replace and revoke now?"
    ):
        return MISCONFIGURED
    stopping = stop_on_signals()
    with open_notifier(config.webhook, environ) as tell:
        try:
            incident = _contain(config, environ, stopping, exposed, tell)
        except Stopped as error:  # a leak that was not contained is no success
            output.complain(error)
            return FAILED
    output.show(Kind.INCIDENT, incident.to_json, lambda: render(incident, console_for_stdout()))
    return CONVERGED if incident.over else FAILED


def _look(config: Config, environ: Mapping[str, str], only: frozenset[str]) -> tuple[Exposed, ...]:
    with open_account(config, environ, Stopping()) as account, waiting("looking"):
        return exposed_in(account, observe(account, only=(), dry_run=True), only)


def exposed_in(account: Account, seen: Observation, only: frozenset[str]) -> tuple[Exposed, ...]:
    """Return what a leak of these managed keys exposes. Raises why one of them could not be read."""
    chosen = [key for key in account.keys if key.name in only]
    for key in chosen:
        if error := seen.failed.get(key.name):
            raise error
    confirmations = Confirmations(account, seen.copies)
    # A copy is not asked: what it holds is replaced, and nothing may wait for it.
    facts = [replace(seen.facts[key.name], acks=confirmations.in_words(key)) for key in chosen]
    return tuple(exposed_by(it, decide(it), is_bearer=account.is_bearer(it.key)) for it in facts)


def _show_none(shard: Shard, output: Output) -> int:
    """Nothing is amiss, and nothing was done: the job's pod of another index does it."""
    output.show(
        Kind.EXPOSURE,
        lambda: {"dry_run": False, "keys": []},
        lambda: f"shard {shard} has none of these keys; another pod of the job handles them\n",
    )
    return CONVERGED


def _show(exposed: tuple[Exposed, ...], output: Output) -> None:
    keys = [{"name": one.name, "going": list(one.going), "staying": list(one.staying)} for one in exposed]
    output.show(
        Kind.EXPOSURE,
        lambda: {"dry_run": True, "keys": keys},
        lambda: foretell(exposed, console_for_stdout(), dry_run=True) + "nothing was changed\n",
    )


def _contain(
    config: Config, environ: Mapping[str, str], stopping: Stopping, exposed: tuple[Exposed, ...], tell: Tell
) -> Incident:
    """Two passes. The first writes beside each new key that the old ones have no grace; any later one acts on it.

    So the second is an ordinary pass, and if this process dies before it, whichever comes next does the same.
    """
    began, error = datetime.now(UTC), None
    with recorded() as steps:
        names = frozenset(one.name for one in exposed)
        passes = [make_pass(config, environ, stopping, only=names, forced=True, without_grace=True)]
        tell(passes[0])
        if passes[0].changed and not stopping.requested:
            try:
                passes.append(make_pass(config, environ, stopping, only=names))
            except RotatorError as failure:  # what the first one did must be told all the same
                error = failure
            tell(error or passes[-1])
    dead = {done.key_id for result in passes for key in result.keys for done in key.revoked}
    if not dead.issuperset(id_ for one in exposed for id_ in one.keys):
        dead |= _listed_dead(config, environ, stopping)
    return Incident(
        gateway=config.gateway.url,
        vault=f"{config.vault.address}, mount {config.vault.mount}/",
        installation=passes[-1].installation,
        began=began,
        ended=datetime.now(UTC),
        run_ids=tuple(result.run_id for result in passes),
        keys=tuple(contained(one, passes, dead) for one in exposed),
        steps=changing(steps),
        error=error,
    )


def _listed_dead(config: Config, environ: Mapping[str, str], stopping: Stopping) -> set[int]:
    """What is revoked by now, as far as can be seen: another rotator, or a person, may have been faster."""
    try:
        with open_account(config, environ, stopping) as account:
            return {key.id for key in account.gateway.list_keys().keys if not key.live}
    except RotatorError:
        return set()
