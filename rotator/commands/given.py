"""The key that a person holds, from standard input: never from an argument, which others can see."""

import getpass
import sys
from typing import Final

from rotator.commands.options import no_words
from rotator.printing import streams
from rotator.rules.given import MOST_BYTES, Given, NoKey, read_given

_PROMPT: Final = "Which key? Its plaintext, a preview or its id, which is not shown: "


no_key_as_argument = no_words(
    "the key is read from standard input, never from an argument, which others can see; "
    "if you typed it there, it is in your shell's history, too"
)


def given_key() -> Given:
    """Read one, hidden where a person types it. Raises NoKey for what is none."""
    if sys.stdin is None:
        raise NoKey("nothing was given")
    if not sys.stdin.isatty():
        try:
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        except OSError as error:  # it is open for writing, or its disk or its terminal is gone
            raise NoKey(f"standard input cannot be read: {error.strerror}") from None
        return read_given(raw)
    streams.settle()
    try:
        return read_given(getpass.getpass(_PROMPT).encode(errors="surrogateescape"))
    except (EOFError, KeyboardInterrupt):
        raise NoKey("nothing was given") from None
