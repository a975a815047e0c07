"""The command line: options in, exit codes out. What a command does not use, it does not import."""

import os
import sys
from pathlib import Path
from typing import Literal

import click

from rotator import __version__

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 converged; 1 a managed key failed; 2 usage or config; 3 Vault or the gateway "
    "could not be reached or refused us, and nothing was changed.",
)
@click.option("--once", is_flag=True, help="One pass: do what is due, then exit.")
@click.option("--rotate-now", is_flag=True, help="One pass in which every managed key is due now.")
@click.option("--dry-run", is_flag=True, help="Print what a pass would do; change nothing.")
@click.option("--key", "names", metavar="NAME", multiple=True, help="Only this managed key; repeatable.")
@click.option("--shard", "shard", metavar="I/N", help="Only share I of N, counted from 0; see README.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The config. Default: $ROTATOR_CONFIG, config/rotator.yaml, /etc/rotator/rotator.yaml.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--log-format",
    type=click.Choice(["json", "console"]),
    help="How logs are written to stderr. Default: console on a terminal, else json.",
)
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Default: warning on a terminal, else info.")
@click.version_option(__version__, prog_name="rotator")
@click.pass_context
def cli(
    context: click.Context,
    *,
    once: bool,
    rotate_now: bool,
    dry_run: bool,
    names: tuple[str, ...],
    shard: str | None,
    config_path: Path | None,
    as_json: bool,
    log_format: Literal["json", "console"] | None,
    log_level: str | None,
) -> None:
    """Rotate API keys of the APIMall gateway and keep their plaintexts in HashiCorp Vault.

    \b
    Example: see what is due, then do it once, then for ever
      rotator --dry-run
      rotator --once
      rotator
    """
    on_terminal = sys.stderr.isatty()
    log_format = log_format or ("console" if on_terminal else "json")
    log_level = log_level or ("warning" if log_format == "console" and on_terminal else "info")
    _forbid_core_dumps()
    if context.invoked_subcommand is not None:
        if once or rotate_now or dry_run or names or as_json or shard:
            raise click.UsageError(f"{context.invoked_subcommand} takes no mode of a pass")
        return
    if once and rotate_now:
        raise click.UsageError("--once does what is due, --rotate-now does all: choose one")
    daemon = not (once or rotate_now or dry_run)
    if daemon and (names or as_json):
        raise click.UsageError("--key and --json go with --once, --rotate-now or --dry-run")

    from rotator import log
    from rotator.command import run_daemon, run_pass

    log.configure(log_format, log_level)
    environ = dict(os.environ) | _shard(shard)
    if daemon:
        context.exit(run_daemon(config_path, environ, plain_errors=log_format == "console"))
    context.exit(
        run_pass(
            config_path,
            environ,
            only=frozenset(names),
            forced=rotate_now,
            dry_run=dry_run,
            as_json=as_json,
            plain_errors=log_format == "console",
        )
    )


@cli.command()
@click.option("--keep", is_flag=True, help="Leave both servers up until Ctrl-C, and say what to try.")
def sandbox(*, keep: bool) -> None:
    """Try it all on this machine: a gateway that keeps the contract, and a real Vault-API server."""
    from rotator.sandbox.story import run

    sys.exit(run(keep=keep))


def _shard(text: str | None) -> dict[str, str]:
    """What an Indexed Job's environment would say for `--shard`."""
    if text is None:
        return {}
    from rotator.shard import COUNT, INDEX, parse_shard

    try:
        shard = parse_shard(text)
    except ValueError as error:
        raise click.UsageError(f"--shard {error}") from None
    return {INDEX: str(shard.index), COUNT: str(shard.count)}


def _forbid_core_dumps() -> None:
    """A core dump would hold every plaintext."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
