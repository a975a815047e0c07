"""The options that several commands take, and what completes them."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from rotator import SIGNALS

if TYPE_CHECKING:
    from datetime import timedelta

    from click.shell_completion import CompletionItem

    from rotator.commands.output import Output

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
C = TypeVar("C", bound=Callable[..., Any])


class KeyId(click.IntRange):
    """The id of a key, as `rotator keys` shows it."""

    name = "key id"


@dataclass
class Common:
    """What every command takes, before its name or after it."""

    config_path: Path | None = None
    log_format: Literal["json", "console"] | None = None
    log_level: str | None = None

    def begin(self, *, as_json: bool = False, command: str = "reconcile", asked: bool = False) -> "Output":
        """Set the log up; return how the result of `command` is to be shown.

        One that a person asks (`asked`) speaks to a person wherever its output goes; the log of the others is for
        programs, unless it is on a terminal.
        """
        from rotator.commands.output import Output
        from rotator.printing import log

        to_person = asked or sys.stderr.isatty()
        log_format = self.log_format or ("console" if to_person else "json")
        quiet = log_format == "console" and to_person
        log.configure(log_format, self.log_level or ("warning" if quiet else "info"))
        return Output(as_json=as_json, plain_errors=log_format == "console", command=command)


def say_unprinted(why: str) -> None:
    """Log that what was to be printed was not, also where no command has set the log up."""
    import structlog

    if not structlog.is_configured():
        Common().begin()
    structlog.get_logger().warning("result.unprinted", error=why)


def common_options(command: C) -> C:
    """The options of `Common`."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None and parameter.name:
            setattr(context.ensure_object(Common), parameter.name, value)

    options: tuple[Callable[[C], C], ...] = (
        click.option(
            "--config",
            "config_path",
            type=click.Path(path_type=Path),
            help="Default: $ROTATOR_CONFIG, config/ or /etc/rotator/.",
            expose_value=False,
            callback=keep,
        ),
        click.option(
            "--log-format",
            metavar="FORMAT",
            type=click.Choice(["json", "console"]),
            help="json or console; default: console on a terminal.",
            expose_value=False,
            callback=keep,
        ),
        click.option(
            "--log-level",
            metavar="LEVEL",
            type=click.Choice(LOG_LEVELS),
            help="debug to critical; default: warning on a terminal.",
            expose_value=False,
            callback=keep,
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def complete_name(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem[str]]":
    """Return the managed keys' names that begin so; quietly none where the config cannot be read."""
    from click.shell_completion import CompletionItem

    from rotator.config import managed_names

    path: Path | None = ctx.obj.config_path if ctx.obj else None
    names = managed_names(path.expanduser() if path else None, os.environ)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def heed_signals() -> None:
    """For a command that may be cut off anywhere: Ctrl-C ends it at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def shard_environ(text: str | None) -> dict[str, str]:
    """What an Indexed Job's environment would say for `--shard`."""
    if text is None:
        return {}
    from rotator.rules.shard import COUNT, INDEX, parse_shard

    try:
        shard = parse_shard(text)
    except ValueError as error:
        raise click.UsageError(f"--shard {error}") from None
    return {INDEX: str(shard.index), COUNT: str(shard.count)}


def the_name(words: tuple[str, ...], names: tuple[str, ...]) -> str:
    """Return the one managed key that was named, as a word or by `--key`."""
    chosen = {*words, *names}
    if len(chosen) != 1:
        raise click.UsageError("name one managed key: NAME, or --key NAME")
    return chosen.pop()


def duration_option(name: str, *, help: str) -> Callable[[C], C]:  # noqa: A002 - click's own word
    """An option that takes a duration as the config has it."""

    def parse(_context: click.Context, _parameter: click.Parameter, text: str | None) -> "timedelta | None":
        if text is None:
            return None
        from rotator.rules.times import parse_duration

        try:
            return parse_duration(text)
        except ValueError as error:
            raise click.UsageError(f"{name} {error}") from None

    return click.option(name, metavar="DURATION", callback=parse, help=help)


def no_words(why: str) -> Callable[[C], C]:
    """For a command that takes options alone: whatever stands without one is refused, and never repeated."""

    def refuse(_context: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> None:
        if words:
            raise click.UsageError(why)

    return click.argument("words", metavar="", nargs=-1, expose_value=False, is_eager=True, callback=refuse)


shard_option = click.option("--shard", metavar="I/N", help="Handle only share I of N, counted from 0.")
names_argument = click.argument("words", metavar="[NAME]...", nargs=-1, shell_complete=complete_name)
name_argument = click.argument("words", metavar="NAME", nargs=-1, shell_complete=complete_name)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
key_option = click.option(
    "--key",
    "names",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_name,
    help="This managed key; the same as NAME.",
)
