"""The API key with which the rotator itself calls the gateway."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rotator.errors import Rejected
from rotator.redaction import Secret, is_word

UNNAMED: Final = "gateway.api_key"
"""A source that has no name of its own."""


@dataclass(frozen=True)
class Found:
    """A bearer, and where it was read."""

    secret: Secret
    place: str


Source = Callable[[], Found | None]
"""Returns what the source holds now, or None when it has nothing."""


class Bearer:
    """The bearer, from the first of its sources that has one. Thread-safe."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._found: Found | None = None

    def current(self) -> Secret:
        """Return the bearer, read once until `refresh` or `forget`. Raises Rejected where none is found."""
        with self._lock:
            if self._found is None:
                self._found = self._read()
            return self._found.secret

    def place(self) -> str:
        """Return where the bearer was read last, for a person who is to mend it."""
        with self._lock:
            return self._found.place if self._found else UNNAMED

    def refresh(self, refused: Secret) -> bool:
        """Read the sources again after a 401; whether there is now another bearer than the `refused` one."""
        with self._lock:
            if self._found and self._found.secret == refused:
                self._found = self._read()
            return self._found is None or self._found.secret != refused

    def forget(self) -> None:
        """Read the sources again before the next call: the bearer was just rotated."""
        with self._lock:
            self._found = None

    def _read(self) -> Found:
        for source in self._sources:
            if found := source():
                return found
        raise Rejected(
            "none of the sources in gateway.api_key holds a key",
            cure="put one where gateway.api_key points: into the secret, the file or the variable",
        )


def usable(text: str, place: str = UNNAMED) -> Found | None:
    """Return a bearer from the text of a source, at `place`: stripped, and fit to stand in a header."""
    stripped = text.strip()
    if not stripped:
        return None
    secret = Secret(stripped)
    if not is_word(stripped):
        raise Rejected(f"{place} holds characters that cannot be in a key", cure="store the key alone there")
    return Found(secret, place)
