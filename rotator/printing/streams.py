"""The standard streams, so that to print never fails and never holds anything up.

What is printed goes into a queue, and a thread for each stream writes it to the file descriptor. Only that thread
waits for a reader that may never come; no lock of a buffer is held meanwhile, so the interpreter can end.
"""

import atexit
import codecs
import io
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final, TextIO, cast

from rotator import SIGNALS

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MOST: Final = 1 << 20
"""So many characters wait for a stream to take them; lines beyond are lost, and counted."""
PATIENCE: Final = 1.0
"""Seconds for which what was printed is waited for where its order matters, and at the end."""
_STEP: Final = 0.1


class Stream(io.TextIOBase):
    """Text on its way to a file descriptor. Thread-safe; a write neither waits nor fails."""

    errors = "backslashreplace"

    def __init__(self, fd: int, encoding: str = "utf-8", most: int = MOST) -> None:
        self._fd, self._encoding, self._most = fd, encoding, most
        self._encode = codecs.getincrementalencoder(encoding)(self.errors).encode
        self._queue: deque[str] = deque()
        """The first one is being written."""
        self._size, self._lost = 0, 0
        self._changed = Condition()
        self._stuck = False
        """Whether it was waited for already, and has taken nothing since."""
        self._taken, self._torn = False, False
        self.failure: OSError | UnicodeError | None = None
        """The first that writing met."""
        self.on_recovery: Callable[[int], None] = lambda _lines: None
        """Called by its thread with the number of lines that were lost, once it takes lines again."""
        Thread(target=self._run, name=f"stream {fd}", daemon=True).start()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What the descriptor gets; characters that it lacks are escaped."""
        return self._encoding

    @property
    def buffer(self) -> "_Bytes":
        """Where libraries write bytes; they go the same way."""
        return _Bytes(self)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._fd)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Let `text` be written. It is lost if too much is waiting."""
        lines = _lines(text)
        with self._changed:
            if self._queue and self._size + len(text) > self._most:
                self._lost += lines
            else:
                self._queue.append(text)
                self._size += len(text)
                self._changed.notify_all()
        return len(text)

    @property
    def behind(self) -> bool:
        """Whether something is still waiting."""
        return bool(self._queue)

    def settle(self) -> None:
        """Wait until all is written; no longer than PATIENCE, and not again as long as nothing is taken."""
        with self._changed:
            if not self._stuck:
                self._stuck = not self._is_empty_within(PATIENCE)

    def end(self) -> None:
        """Settle for good. What was not written by then is lost and, should there be a reader, counted to it."""
        self.settle()
        with self._changed:
            while len(self._queue) > 1:
                text = self._queue.pop()
                self._size -= len(text)
                self._lost += _lines(text)
            self._is_empty_within(PATIENCE)

    def _is_empty_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                text = self._queue[0]
            failure = self._put(text)
            with self._changed:
                self.failure = self.failure or failure
                self._lost += _lines(text) if failure else 0
                recovered = 0 if failure or len(self._queue) > 1 else self._lost
                self._lost -= recovered
            if recovered:
                self.on_recovery(recovered)
            with self._changed:  # only now, so that who settles waits for what was said of the loss
                self._size -= len(self._queue.popleft())
                self._stuck = False
                self._changed.notify_all()

    def _put(self, text: str) -> OSError | UnicodeError | None:
        begun = False
        try:
            rest = memoryview(self._encode("\n" + text if self._torn else text))
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:  # who shares the descriptor made it so
                    select.select([], [self._fd], [])
                else:
                    begun = self._taken = True
        except (OSError, UnicodeError) as error:
            self._torn = self._torn or begun  # what comes next is a line of its own
            return error
        self._torn = False
        return None


class _Bytes(io.BufferedIOBase):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        text = bytes(data).decode("utf-8", "surrogateescape")
        self._stream.write(text)
        return len(bytes(data))


class Printer(Stream):
    """Stdout. Who prints a result waits for its reader, but not when a stop is asked for."""

    def __init__(self, fd: int, encoding: str, before: Stream, *, missing: bool) -> None:
        super().__init__(fd, encoding)
        self._before, self._missing = before, missing
        self.hurried = False
        """Whether the process was asked to stop."""

    def write(self, text: str) -> int:
        """Print `text`, after all that stderr was given until now."""
        self._before.settle()
        if _lines(text) and self._missing:
            self.failure = OSError("stdout is closed")
        if self.failure is None:
            super().write(text)
            self._wait()
        return len(text)

    @property
    def unprinted(self) -> str | None:
        """Why a result was not printed; None when it was, and for a reader like `head`, who had enough."""
        if self.failure is None or (isinstance(self.failure, ConnectionError) and self._taken):
            return None
        return getattr(self.failure, "strerror", None) or str(self.failure)

    def _wait(self) -> None:
        left = PATIENCE
        try:
            while not self._is_empty_within(_STEP):
                # Before a command takes the signals, or lets them through, they are pending.
                if self.hurried or signal.sigpending() & SIGNALS:
                    left -= _STEP
                if left <= 0:
                    self.failure = TimeoutError("nobody read it before the process was stopped")
                    return
        except KeyboardInterrupt:
            self.failure = TimeoutError("interrupted")
            raise


_out: Printer | None = None
_err: Stream | None = None


def take_over() -> None:
    """Put ours in the place of the interpreter's. To be called before anything is opened, with SIGNALS blocked."""
    global _out, _err
    # Else a socket would get the number of one that is closed, and with it what is printed.
    missing = {fd for fd in (0, 1, 2) if _opened_on_nothing(fd)}
    out, err = (stream.encoding if stream else "utf-8" for stream in (sys.stdout, sys.stderr))
    _err = Stream(2, err)
    _out = Printer(1, out, _err, missing=1 in missing)
    sys.stdout, sys.stderr = cast("TextIO", _out), cast("TextIO", _err)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    atexit.register(end)  # after the interpreter has told of an uncaught error


def on_lost(tell: Callable[[int], None]) -> None:
    """Have `tell` called with the number of lines that stderr did not take, once it takes lines again."""
    if _err:
        _err.on_recovery = tell


def settle() -> None:
    """Wait a moment until stderr has taken all that it was given."""
    if _err:
        _err.settle()


def end() -> None:
    """Wait a moment or two for what is still queued, and give up the rest."""
    if _err:
        _err.end()


def behind() -> bool:
    """Whether stderr has not taken yet all that it was given."""
    return _err is not None and _err.behind


def hurry() -> None:
    """From now on wait for no reader of stdout longer than a moment."""
    if _out:
        _out.hurried = True


def unprinted() -> str | None:
    """Why something that was to be printed was not; None if all was."""
    return _out.unprinted if _out else None


def can_print() -> bool:
    """Whether stdout has taken all until now."""
    return _out is None or _out.failure is None


def _lines(text: str) -> int:
    """How many lines `text` ends. Raises TypeError for bytes, by which click knows a stream of text."""
    return text.count("\n")


def _opened_on_nothing(fd: int) -> bool:
    """Open /dev/null in its place if this one is closed."""
    try:
        os.fstat(fd)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number is `fd`
        return True
    return False
