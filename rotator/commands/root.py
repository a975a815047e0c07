"""The command line: options in, exit codes out. What a command does not use, it does not import."""

import os
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rotator import SIGNALS, __version__
from rotator.commands.group import COMPLETE, Group
from rotator.commands.options import Common, common_options, complete_name, json_option, key_option

if TYPE_CHECKING:
    from rotator.commands.output import Output


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 converged; 1 a managed key failed; 2 usage or config; 3 Vault or the gateway "
    "could not be reached or refused us, and nothing was changed.",
    subcommand_metavar="[COMMAND]",
)
@click.option("--once", is_flag=True, help="One pass: do what is due, then exit.")
@click.option("--rotate-now", is_flag=True, help="One pass in which every managed key is due now.")
@click.option("--dry-run", is_flag=True, help="Print what a pass would do; change nothing.")
@key_option
@click.option("--revoke-old-now", is_flag=True, help="With --rotate-now --key: no grace. Asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--shard", "shard", metavar="I/N", help="Only share I of N, counted from 0.")
@json_option
@common_options
@click.version_option(__version__, prog_name="rotator")
@click.pass_context
def cli(
    context: click.Context,
    *,
    once: bool,
    rotate_now: bool,
    dry_run: bool,
    names: tuple[str, ...],
    revoke_old_now: bool,
    yes: bool,
    shard: str | None,
    as_json: bool,
) -> None:
    """Rotate API keys of the APIMall gateway; keep their plaintexts in Vault.

    \b
    Example: see what is due, then do it once, then for ever
      rotator --dry-run
      rotator --once
      rotator
    """
    common = context.ensure_object(Common)
    _forbid_core_dumps()
    if context.invoked_subcommand is not None:
        if any(context.params.values()):
            raise click.UsageError(
                f"the options of a pass do not go before {context.invoked_subcommand}; its own go after it"
            )
        return
    _refuse_what_does_not_go_together(context.params)
    output = common.begin(as_json=as_json)
    from rotator.commands.run import run_daemon, run_pass

    environ = dict(os.environ) | _shard(shard)
    if revoke_old_now:
        context.exit(_leak(common, environ, frozenset(names), dry_run=dry_run, yes=yes, output=output))
    if not (once or rotate_now or dry_run):
        context.exit(run_daemon(common.config_path, environ, output))
    context.exit(
        run_pass(
            common.config_path,
            environ,
            only=frozenset(names),
            forced=rotate_now,
            dry_run=dry_run,
            output=output,
        )
    )


@cli.command(short_help="Show every managed key, its next rotation, the keys beside it.")
@key_option
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=10,
    type=click.IntRange(min=1),
    help="Look again every 10 s, or as told, until Ctrl-C.",
)
@json_option
@common_options
@click.pass_obj
def status(common: Common, *, names: tuple[str, ...], watch: int | None, as_json: bool) -> None:
    """Show every managed key: its state, its next rotation, and the keys that live beside it.

    \b
    Example: for a person, for a monitor
      rotator status --watch
      rotator status --json

    Writes nothing. Exit codes: 0 all is well; 1 something failed or is overdue; 2 usage or config; 3 Vault or the
    gateway could not be reached or refused us.
    """
    output = common.begin(as_json=as_json)
    from rotator.commands.status import run_status

    _heed_signals()
    environ, only = dict(os.environ), frozenset(names)
    sys.exit(run_status(common.config_path, environ, only=only, watch=watch, output=output))


@cli.command(short_help="Try what a pass needs, and say what cures it.")
@json_option
@common_options
@click.pass_obj
def check(common: Common, *, as_json: bool) -> None:
    """Try what a pass needs, and say what was seen and what cures it.

    \b
    Example: before the first pass, and when something is wrong
      rotator check

    The config; DNS and TLS of both sides; the login to Vault, the token, the mount, the policy; the bearer, the
    gateway's clock and list; titles and grace periods. Writes nothing, and logs out of Vault. A secret id that is
    response-wrapped is not used up.

    Exit codes: 0 nothing is bad; 1 something is; 2 usage or config.
    """
    output = common.begin(as_json=as_json)
    from rotator.commands.check import run_check

    _heed_signals()
    sys.exit(run_check(common.config_path, dict(os.environ), output))


@cli.command(short_help="Make the previous key current again, within its grace.")
@click.option(
    "--key", "name", metavar="NAME", required=True, shell_complete=complete_name, help="This managed key."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@json_option
@common_options
@click.pass_obj
def rollback(common: Common, *, name: str, dry_run: bool, as_json: bool) -> None:
    """Make the previous key current again, as long as it is in its grace period.

    \b
    Example: see what would be done, then do it
      rotator rollback --key "Production backend" --dry-run
      rotator rollback --key "Production backend"

    The previous key is proved to work before it is stored. The newer one becomes superseded.
    """
    output = common.begin(as_json=as_json)
    from rotator.commands.rollback import run_rollback

    sys.exit(run_rollback(common.config_path, dict(os.environ), name, dry_run=dry_run, output=output))


@cli.command()
@click.argument("name", shell_complete=complete_name)
@json_option
@common_options
@click.pass_obj
def explain(common: Common, *, name: str, as_json: bool) -> None:
    """Say why a managed key is or is not rotated now.

    \b
    Example:
      rotator explain "Production backend"

    Row by row of the decision tables, with the facts that each goes by; then why each of its other live keys is or
    is not revoked now. ✓ is a row that holds; the first of them counts.

    Writes nothing. Exit codes: 0, also when it is due; 2 usage or config; 3 Vault or the gateway could not be
    reached or refused us.
    """
    output = common.begin(as_json=as_json)
    from rotator.commands.explain import run_explain

    _heed_signals()
    sys.exit(run_explain(common.config_path, dict(os.environ), name, output))


@cli.command(short_help="Print the script that completes commands and names in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the script that completes commands, options and managed keys' names.

    \b
    Example: for good, by a line in ~/.bashrc or ~/.zshrc, or for fish
      eval "$(rotator completion bash)"
      eval "$(rotator completion zsh)"
      rotator completion fish > ~/.config/fish/completions/rotator.fish
    """
    from rotator.commands.completion import run_completion

    run_completion(cli, shell, COMPLETE)


@cli.command(short_help="Try it all on this machine.")
@click.option("--keep", is_flag=True, help="Leave both servers up until Ctrl-C, and say what to try.")
def sandbox(*, keep: bool) -> None:
    """Try it all on this machine: a gateway that keeps the contract, and a real Vault-API server.

    \b
    Example: a story in two rotations, or two servers to try commands on
      rotator sandbox
      rotator sandbox --keep
    """
    from rotator.sandbox.story import run

    sys.exit(run(keep=keep))


def _refuse_what_does_not_go_together(given: Mapping[str, Any]) -> None:
    leak = given["revoke_old_now"]
    one_pass = given["once"] or given["rotate_now"] or given["dry_run"]
    can_answer = given["yes"] or given["dry_run"] or sys.stdin.isatty()
    for wrong, says in (
        (
            given["once"] and given["rotate_now"],
            "--once does what is due, --rotate-now does all: choose one",
        ),
        (
            leak and not (given["rotate_now"] and given["names"]),
            "--revoke-old-now goes with --rotate-now and --key",
        ),
        (
            not one_pass and (given["names"] or given["as_json"]),
            "--key and --json go with --once, --rotate-now or --dry-run",
        ),
        (given["yes"] and not leak, "--yes goes with --revoke-old-now"),
        (leak and not can_answer, "--revoke-old-now asks first, and nobody is there to answer: add --yes"),
    ):
        if wrong:
            raise click.UsageError(says)


def _leak(
    common: Common,
    environ: dict[str, str],
    only: frozenset[str],
    *,
    dry_run: bool,
    yes: bool,
    output: "Output",
) -> int:
    from rotator.commands.leak import run_leak

    def confirm(what: str) -> bool:
        if yes:
            return True
        click.echo(what, nl=False, err=True)  # where the question is, for stdout may be a file
        try:
            return click.confirm("Replace and revoke now?", err=True)
        except click.Abort:  # Ctrl-C, or nobody is there any more
            click.echo(err=True)
            return False

    _heed_signals()
    return run_leak(common.config_path, environ, only=only, dry_run=dry_run, confirm=confirm, output=output)


def _shard(text: str | None) -> dict[str, str]:
    """What an Indexed Job's environment would say for `--shard`."""
    if text is None:
        return {}
    from rotator.rules.shard import COUNT, INDEX, parse_shard

    try:
        shard = parse_shard(text)
    except ValueError as error:
        raise click.UsageError(f"--shard {error}") from None
    return {INDEX: str(shard.index), COUNT: str(shard.count)}


def _heed_signals() -> None:
    """For a command that may be cut off anywhere: Ctrl-C ends it at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _forbid_core_dumps() -> None:
    """A core dump would hold every plaintext."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
