"""Completion in shells: the script that asks for it, and what bash makes of a name with a space."""

import os
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class


@add_completion_class
class _Bash(BashComplete):
    """Bash inserts a completion as it is: a space must be escaped, unless the word was begun with a quote."""

    def format_completion(self, item: CompletionItem[Any]) -> str:
        typed = os.environ["COMP_WORDS"].split("\n")[int(os.environ["COMP_CWORD"]) :]
        quoted = bool(typed) and typed[0].startswith(("'", '"'))
        # Twice, for the script's `read` takes one away.
        return super().format_completion(item).replace(" ", " " if quoted else "\\\\ ")


def run_completion(cli: click.Command, shell: str, variable: str) -> None:
    """Print the script with which `shell` asks for completions by `variable`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(shell)
    click.echo(kind(cli, {}, "rotator", variable).source(), nl=False)
