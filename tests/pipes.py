"""Pipes that nobody reads."""

import fcntl
import os
import select

SMALLEST = 4096


def small_pipe() -> tuple[int, int]:
    """Return both ends of a pipe that takes little."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALLEST)
    return reading, writing


def full_pipe() -> tuple[int, int]:
    """Return both ends of a pipe that takes nothing more until it is read."""
    reading, writing = small_pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b" ")
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


def drained(reading: int, until: str = "") -> str:
    """Return what was in the pipe and comes until `until`, or until its end; fail when nothing comes for long."""
    text = ""
    while not (until and text.endswith(until)):
        assert select.select([reading], [], [], 30)[0], text
        if not (chunk := os.read(reading, 1 << 16)):
            break
        text += chunk.decode()
    return text.lstrip(" ")
