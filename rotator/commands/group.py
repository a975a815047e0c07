"""The command line's frame: its commands by what they are for, and what a slip may have meant."""

import difflib
import os
from typing import Any, Final

import click

COMPLETE: Final = "_ROTATOR_COMPLETE"
"""The variable in which a shell asks for completions."""
_SECTIONS: Final = {
    "Look, and change nothing": ("status", "explain", "check"),
    "Mend": ("rollback",),
    "Begin": ("sandbox", "completion"),
}


class Group(click.Group):
    def main(self, *args: Any, **kwargs: Any) -> Any:
        if COMPLETE in os.environ:
            import rotator.commands.completion  # noqa: F401  # it tells click how bash wants spaces
        return super().main(*args, **{**kwargs, "complete_var": COMPLETE})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest modes, too, which others would have made commands: `rotator rotate`."""
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            modes = {name.lstrip("-"): name for option in self.get_params(ctx) for name in option.opts}
            known = {name: name for name in self.commands} | modes
            near = difflib.get_close_matches(args[0], known, n=1)
            # What was typed is not repeated: a slip of the hand may have put a plaintext there.
            shown = f"did you mean {known[near[0]]}?" if near else f"there are {', '.join(self.commands)}"
            raise click.UsageError(f"no such command; {shown}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        placed = {name for names in _SECTIONS.values() for name in names}
        others = tuple(name for name in self.commands if name not in placed)
        for heading, names in {**_SECTIONS, "More": others}.items():
            rows = [
                (name, self.commands[name].get_short_help_str(60)) for name in names if name in self.commands
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
