"""Completion in shells: the script that asks for it, and what bash makes of a name with a space."""

import os
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

from rotator.commands.root import COMPLETE, SHELLS


@add_completion_class
class _Bash(BashComplete):
    """Bash inserts a completion as it is: a space must be escaped, unless the word was begun with a quote."""

    def format_completion(self, item: CompletionItem[Any]) -> str:
        typed = os.environ["COMP_WORDS"].split("\n")[int(os.environ["COMP_CWORD"]) :]
        quoted = bool(typed) and typed[0].startswith(("'", '"'))
        # Twice, for the script's `read` takes one away.
        return super().format_completion(item).replace(" ", " " if quoted else "\\\\ ")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(*, shell: str) -> None:
    """Print the script that completes commands, options and managed keys' names.

    \b
    Example: for good, in ~/.bashrc or ~/.zshrc; for fish
      eval "$(rotator completion bash)"
      eval "$(rotator completion zsh)"
      rotator completion fish > ~/.config/fish/completions/rotator.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(shell)
    root = click.get_current_context().find_root()
    click.echo(kind(root.command, {}, "rotator", COMPLETE).source(), nl=False)
