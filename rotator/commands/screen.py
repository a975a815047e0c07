"""What moves on a terminal: a picture that is drawn again in its place, and a line while one waits."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime
from math import ceil
from shutil import get_terminal_size
from threading import Event, Thread
from typing import Final

from rich.text import Text

PATIENCE: Final = 1.0
"""Seconds without a sign after which a person is told that something is going on."""
_CLEAR, _HOME, _ERASE_LINE, _ERASE_BELOW = "\x1b[2J", "\x1b[H", "\x1b[K", "\x1b[J"
_LOG_LINES: Final = 5


class Screen:
    """Draws a text again every few seconds: on a terminal in the place of the one before, else below it."""

    def __init__(self, command: str, seconds: int) -> None:
        self._command, self._seconds = command, seconds
        self._on_terminal = sys.stdout.isatty()
        self._log = io.StringIO()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the log out of the picture meanwhile: what it says stands below."""
        if not self._on_terminal:
            yield
            return
        sys.stdout.write(_CLEAR)
        if not sys.stderr.isatty():
            yield
            return
        with redirect_stderr(self._log):
            yield

    def looking(self) -> None:
        """Say on top that a look has begun; what was drawn before stays below."""
        if self._on_terminal:
            sys.stdout.write(f"{_HOME}{self._command}, looking …{_ERASE_LINE}\r")

    def draw(self, text: str, now: datetime | None = None) -> None:
        """Draw what was seen `now`."""
        at = f"{now or datetime.now(UTC):%H:%M:%S} UTC"
        top = f"{self._command}, as of {at}, again every {self._seconds} s until Ctrl-C"
        said = self._log.getvalue().splitlines()[-_LOG_LINES:]
        self._log.seek(0)
        self._log.truncate()
        lines = [top, "", *text.splitlines(), *(["", "log", *said] if said else [])]
        if not self._on_terminal:
            sys.stdout.write("\n".join(lines) + "\n\n")
            return
        sys.stdout.write(redrawn(lines, *get_terminal_size()))


def redrawn(lines: list[str], width: int, height: int) -> str:
    """Return what draws these lines over whatever stands there; only those that fit, so that nothing scrolls."""
    shown, left = [], height - 1
    for number, line in enumerate(lines):
        rows = max(1, ceil(Text.from_ansi(line).cell_len / width))
        if rows > left or (rows == left and number < len(lines) - 1):
            shown.append(f"… {len(lines) - number} more lines")
            break
        shown.append(line)
        left -= rows
    return _HOME + "".join(f"{line}{_ERASE_LINE}\n" for line in shown) + _ERASE_BELOW


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A moving line on a terminal's stderr once this takes longer than PATIENCE; logs are printed above it."""
    if not sys.stderr.isatty():
        yield
        return
    ended = Event()

    def draw() -> None:
        if ended.wait(PATIENCE):
            return
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        console = Console(stderr=True)
        with Live(Spinner("line", f"{what} …"), console=console, transient=True, redirect_stdout=False):
            ended.wait()

    drawing = Thread(target=draw, name="waiting", daemon=True)
    drawing.start()
    try:
        yield
    finally:
        ended.set()
        drawing.join()
