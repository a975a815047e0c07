"""How commands end: what they print, what they say when they cannot go on, and their exit codes."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from rotator.errors import ConfigError, RotatorError
from rotator.passes.stopping import Stopped
from rotator.redaction import redact, redact_values

CONVERGED, FAILED, MISCONFIGURED, UNREACHABLE = 0, 1, 2, 3

log = structlog.get_logger()


@dataclass(frozen=True)
class Output:
    """How a result and a failure are shown."""

    as_json: bool = False
    plain_errors: bool = False
    """Failures as words for a person, not as lines of the log."""

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
            if self.plain_errors:
                sys.stderr.write("`rotator check` tries one after the other what it takes\n")
            return UNREACHABLE

    def show(self, as_json: Callable[[], dict[str, Any]], as_text: Callable[[], str]) -> None:
        """Print a result, for a program or for a person."""
        if self.as_json:
            print_json(as_json())
        else:
            write(as_text())

    def complain(self, error: RotatorError) -> None:
        """Say why the command cannot go on."""
        faults = list(error.faults) if isinstance(error, ConfigError) else None
        if self.as_json:
            body = error.to_json() | ({"faults": faults} if faults else {})
            print_json({"converged": False, "error": body})
        if self.plain_errors:
            sys.stderr.write(redact(f"rotator: {error}", short=True) + "\n")
        else:
            fields = {"request_id": error.request_id, "cure": error.cure, "faults": faults}
            log.critical(
                "reconcile.failed",
                error=error.message,
                **{name: value for name, value in fields.items() if value},
            )


def print_json(body: dict[str, Any]) -> None:
    """Print JSON, redacted: indented on a terminal, else on one line."""
    text = json.dumps(redact_values(body), indent=2 if sys.stdout.isatty() else None)
    write(redact(text) + "\n")


def write(text: str) -> None:
    """Write to stdout. What was done is done: that it cannot be printed does not make it a failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter tries once more at its end
        if not isinstance(error, BrokenPipeError):
            log.warning("result.unprinted", error=error.strerror)
