"""How commands end: what they print, what they say when they cannot go on, and their exit codes."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import click
import structlog

from rotator.errors import RETRIED, ConfigError, Rejected, RotatorError
from rotator.files import open_terminal
from rotator.lines import in_lines, width_of
from rotator.passes.stopping import Stopped
from rotator.printing import streams
from rotator.redaction import redact, redact_values
from rotator.show.output import Kind, document, error_document

CONVERGED, FAILED, MISCONFIGURED, UNREACHABLE = 0, 1, 2, 3

log = structlog.get_logger()


@dataclass(frozen=True)
class Output:
    """How a result and a failure are shown."""

    as_json: bool = False
    plain_errors: bool = False
    """Failures as words for a person, not as lines of the log."""
    command: str = "reconcile"
    """What the log calls it: a failure of a pass is `reconcile.failed`."""
    asks_terminal: bool = False
    """Whether a person answers at the terminal itself: standard input holds something else."""

    hint: bool = True
    """Whether `rotator check` tells more of a failure."""

    def guard(self, command: Callable[[], int]) -> int:
        """Return the exit code of `command`; when it raises what this program names, say it."""
        try:
            return command()
        except RotatorError as error:
            self.complain(error)
            if isinstance(error, Stopped):
                return CONVERGED
            if isinstance(error, ConfigError):
                return MISCONFIGURED
            if self.plain_errors and self.hint:
                sys.stderr.write(for_stderr("to test everything that a pass needs: `rotator check`"))
            return UNREACHABLE

    def show(self, kind: Kind, as_json: Callable[[], dict[str, Any]], as_text: Callable[[], str]) -> None:
        """Print a result, for a program or for a person."""
        if self.as_json:
            print_json(document(kind, as_json()))
        else:
            sys.stdout.write(as_text())

    def confirmed(self, what: str, question: str) -> bool:
        """Ask a person; a no is an error for a program."""
        if _answered_yes(what, question, terminal=self.asks_terminal):
            return True
        if self.as_json:
            print_json(
                error_document(RotatorError("the question was not answered with yes; nothing was changed"))
            )
        return False

    def _again(self) -> str:
        """What is said where there is no cure."""
        return RETRIED if self.command in ("reconcile", "run") else "run this again"

    def complain(self, error: RotatorError) -> None:
        """Say why the command cannot go on."""
        faults = list(error.faults) if isinstance(error, ConfigError) else None
        if self.as_json:
            print_json(error_document(error))
        if self.plain_errors:
            sys.stderr.write(for_stderr(f"rotator: {error}"))
        else:
            cure = error.cure or (None if isinstance(error, (ConfigError, Stopped)) else self._again())
            fields = {"request_id": error.request_id, "cure": cure, "faults": faults}
            log.critical(
                f"{self.command}.failed",
                error=error.message,
                **{name: value for name, value in fields.items() if value},
            )


@contextmanager
def by_a_person(grant: str) -> Iterator[None]:
    """Whatever Vault forbids here needs a person's token: say so, and what to `grant` to it."""
    try:
        yield
    except Rejected as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        raise Rejected(
            error.message,
            status=error.status,
            request_id=error.request_id,
            cure=f"the rotator's own token may not do this: use one of yours, whose policy grants {grant}",
        ) from None


def can_ask_terminal() -> bool:
    """Whether there is a terminal at which a person may answer, whatever standard input is."""
    try:
        open_terminal().close()
    except OSError:
        return False
    return True


def _answered_yes(what: str, question: str, *, terminal: bool) -> bool:
    """Ask a person, on stderr, for stdout may be a file. Whatever is no clear yes is a no, and said to be one."""
    try:
        click.echo(f"{what}{question} [y/N]: ", nl=False, err=True)
        streams.settle()
        answer = _read_line(terminal=terminal)
    except (KeyboardInterrupt, OSError, UnicodeError):  # Ctrl-C, or nothing that could be an answer
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    unanswered = "" if answer else "\nrotator: no answer was given; in a script, add --yes\n"
    sys.stderr.write(f"{unanswered}rotator: nothing was changed\n")
    return False


def _read_line(*, terminal: bool) -> str:
    if not terminal:
        return sys.stdin.readline()
    with open_terminal() as opened:
        return opened.readline()


def for_stderr(text: str) -> str:
    """Return a text for a person as it is written: redacted, and in lines."""
    return redact("".join(f"{line}\n" for line in in_lines(text, width_of(sys.stderr))), short=True)


def print_json(body: dict[str, Any]) -> None:
    """Print JSON, redacted: indented on a terminal, else on one line."""
    text = json.dumps(redact_values(body), indent=2 if sys.stdout.isatty() else None)
    sys.stdout.write(redact(text) + "\n")
