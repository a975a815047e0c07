"""Opening files: what the config names, a file that is to be new, and the terminal.

What the config names is a small file, or a pipe that somebody is about to write to. Any path can lead to
what never ends or never answers. So no read waits for long, and none is without bound. What a dead network file
system does to a process is beyond that. Only a person at the terminal is waited for without an end.
"""

import errno
import os
import select
import stat
import time
from pathlib import Path
from typing import Final, TextIO

MAX_BYTES: Final = 1 << 20
PATIENCE: Final = 5.0
"""How long somebody may take to write to a pipe, in seconds."""
TERMINAL: Final = "/dev/tty"


def read_text(path: Path) -> str:
    """Return what a file or a pipe holds. Raises OSError, also for what is too big, and UnicodeDecodeError."""
    content = read_bytes(path, MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content.decode()


def read_bytes(path: Path, limit: int, patience: float = PATIENCE) -> bytes:
    """Return what a file or a pipe holds, up to `limit` bytes. Raises OSError, also for what is neither."""
    # A pipe that nobody writes to would be waited for before there is anything that could be bounded.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(number, "rb", buffering=0) as file:
        mode = os.fstat(number).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise OSError(errno.EINVAL, "Neither a file nor a pipe")
        deadline = time.monotonic() + patience
        content = b""
        while len(content) < limit:
            if (
                stat.S_ISFIFO(mode)
                and not select.select([file], [], [], max(0, deadline - time.monotonic()))[0]
            ):
                raise TimeoutError(errno.ETIMEDOUT, "Nobody writes to this pipe")
            if not (chunk := file.read(limit - len(content))):
                break
            content += chunk
        return content


def write_new(path: Path, text: str) -> None:
    """Make a file that holds the text. Raises OSError, also where anything is there: nothing is written over."""
    with open(path, "x", encoding="utf-8", newline="") as file:
        file.write(text)


def open_terminal() -> TextIO:
    """Open the terminal of this process, for an answer that a person types. Raises OSError where there is none."""
    # To read and write: so a terminal that could only be read would not pass for one at which a person answers.
    return open(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), encoding="utf-8")
