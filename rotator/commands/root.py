"""The command line: options in, exit codes out. What a command does not use, it does not import."""

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import click

from rotator import __version__
from rotator.commands.help import WholeWords, in_lines_for, without_secrets
from rotator.commands.options import (
    Common,
    common_options,
    json_option,
    key_option,
    shard_environ,
    shard_option,
)
from rotator.errors import ConfigError
from rotator.redaction import shown

COMPLETE: Final = "_ROTATOR_COMPLETE"
"""The variable in which a shell asks for completions."""
SHELLS: Final = ("bash", "zsh", "fish")
_COMMANDS: Final = {
    "Look, and change nothing": {
        "status": "Show every managed key, its next rotation, and its other keys.",
        "explain": "Say why a managed key is or is not rotated now.",
        "check": "Test everything that a pass needs, and say how to mend what fails.",
        "keys": "Show every key of the account, and whose it is.",
        "identify": "Say which key a string is, and whether it works.",
    },
    "Act": {
        "run": "Make passes on the schedule until you stop it.",
        "leaked": "Replace and revoke the managed key that a string belongs to.",
        "prune": "Revoke unmanaged keys, by their ids.",
        "rollback": "Make the previous key current again, within its grace.",
        "ack": "Confirm that a consumer has taken up a new key.",
        "hold": "Freeze a key: until a time it is not rotated when due.",
        "release": "End a freeze.",
        "installation": "Tell it that Vault was moved, copied or has a new address.",
    },
    "Begin": {
        "init": "Propose the config and the policy.",
        "sandbox": "Try everything on this machine, with servers of its own.",
        "completion": "Print the shell script that completes commands and names.",
    },
}
"""By what they are for. Each is a module of this room, which is imported when it is asked for."""
_MODES: Final = {"once", "rotate_now", "dry_run", "revoke_old_now"}
"""The options that make a single pass."""
click.Context.formatter_class = WholeWords


class _Group(click.Group):
    _as_json = False

    def main(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        args = sys.argv[1:] if args is None else list(args)
        self._as_json = "--json" in args
        shell, _, wanted = os.environ.get(COMPLETE, "").partition("_")
        if shell in SHELLS and wanted in ("source", "complete"):
            import rotator.commands.completion  # noqa: F401  # it tells click how bash wants spaces
        else:
            os.environ.pop(COMPLETE, None)  # no shell asks so: click would end without a word
        return super().main(args, **{**kwargs, "complete_var": COMPLETE})

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with self._told():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with self._told():
            return super().invoke(ctx)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say a wrong use without secrets and in lines; as JSON, too, to who asked for JSON."""
        try:
            yield
        except click.UsageError as error:
            said = without_secrets(error)
            if self._as_json:
                from rotator.commands.output import print_json
                from rotator.show.output import error_document

                print_json(error_document(ConfigError(f"usage: {said}")))
            raise in_lines_for(error, said) from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for commands in _COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"rotator.commands.{cmd_name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take words beside the options of a pass for managed keys' names, as commands do; a command stays one."""
        given, words, _ = self.make_parser(ctx).parse_args(list(args))
        if not words or words[0] in self.list_commands(ctx) or not _MODES & given.keys():
            return super().parse_args(ctx, args)
        ctx.allow_interspersed_args = True
        names = click.Command.parse_args(self, ctx, args)
        ctx.params["names"] += tuple(names)
        ctx.args = []
        return []

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest modes, too, which others would have made commands: `rotator rotate`."""
        commands = self.list_commands(ctx)
        if args[0] not in commands and not ctx.resilient_parsing:
            modes = {name.lstrip("-"): name for option in self.get_params(ctx) for name in option.opts}
            known = {name: name for name in commands} | modes
            near = difflib.get_close_matches(args[0], known, n=1)
            hint = f"did you mean {known[near[0]]}?" if near else f"there are {', '.join(commands)}"
            raise click.UsageError(f"no such command: {shown(args[0])}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for heading, commands in _COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 converged; 1 a managed key failed; 2 wrong usage or config; 3 a server could not be "
    "reached or refused us, and nothing was changed.",
    subcommand_metavar="[COMMAND] [NAME]...",
)
@click.option("--once", is_flag=True, help="One pass: do what is due, then exit.")
@click.option("--rotate-now", is_flag=True, help="One pass in which every managed key is due now.")
@click.option("--dry-run", is_flag=True, help="Print what a pass would do; change nothing.")
@key_option
@click.option(
    "--revoke-old-now",
    is_flag=True,
    help="With --rotate-now --key: give no grace. Asks first.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@shard_option
@json_option
@common_options
@click.version_option(__version__, prog_name="rotator")
@click.pass_context
def cli(
    context: click.Context,
    *,
    once: bool,  # noqa: ARG001 - it is the pass that none of the others is
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
      rotator run
    """
    common = context.ensure_object(Common)
    _forbid_core_dumps()
    if context.invoked_subcommand is not None:
        if any(context.params.values()):
            raise click.UsageError(
                f"options of a pass do not apply to {context.invoked_subcommand}; write its own "
                f"options after its name"
            )
        return
    if common == Common() and not any(context.params.values()):
        click.echo(context.get_help())
        context.exit(2)  # whoever meant the long-running mode must not take this for a success
    _refuse_what_does_not_go_together(context.params)
    output, only = common.begin(as_json=as_json), frozenset(names)
    path, environ = common.config_path, dict(os.environ) | shard_environ(shard)
    if revoke_old_now:
        from rotator.commands.leak import run_leak

        context.exit(run_leak(path, environ, only=only, dry_run=dry_run, yes=yes, output=output))
    from rotator.commands.run import run_pass

    context.exit(run_pass(path, environ, only=only, forced=rotate_now, dry_run=dry_run, output=output))


def _refuse_what_does_not_go_together(given: Mapping[str, Any]) -> None:
    leak = given["revoke_old_now"]
    one_pass = given["once"] or given["rotate_now"] or given["dry_run"]
    can_answer = given["yes"] or given["dry_run"] or sys.stdin.isatty()
    for wrong, says in (
        (
            given["once"] and given["rotate_now"],
            "choose one of --once, which rotates what is due, and --rotate-now, which rotates everything",
        ),
        (
            leak and not (given["rotate_now"] and given["names"]),
            "--revoke-old-now needs --rotate-now and --key",
        ),
        (
            not one_pass and (given["names"] or given["as_json"]),
            "--key and --json need --once, --rotate-now or --dry-run",
        ),
        (
            not (one_pass or leak or given["yes"]),
            "nothing to do; `rotator --once` makes one pass, `rotator run` makes passes until you stop it",
        ),
        (given["yes"] and not leak, "--yes needs --revoke-old-now"),
        (leak and given["shard"], "--revoke-old-now handles the keys that you name; leave out --shard"),
        (
            leak and not can_answer,
            "--revoke-old-now asks for confirmation, and there is no terminal to ask on; add --yes",
        ),
    ):
        if wrong:
            raise click.UsageError(says)


def _forbid_core_dumps() -> None:
    """A core dump would hold every plaintext."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
