"""The API key with which the rotator itself calls the gateway."""

import threading
from collections.abc import Callable, Sequence

from rotator.errors import Rejected
from rotator.redaction import Secret, is_word

Source = Callable[[], Secret | None]
"""Returns what the source holds now, or None when it has nothing."""


class Bearer:
    """The bearer, from the first of its sources that has one. Thread-safe."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._value: Secret | None = None

    def current(self) -> Secret:
        """Return the bearer, read once until `refresh` or `forget`. Raises Rejected where none is found."""
        with self._lock:
            if self._value is None:
                self._value = self._read()
            return self._value

    def refresh(self, refused: Secret) -> bool:
        """Read the sources again after a 401; whether there is now another bearer than the `refused` one."""
        with self._lock:
            if self._value == refused:
                self._value = self._read()
            return self._value != refused

    def forget(self) -> None:
        """Read the sources again before the next call: the bearer was just rotated."""
        with self._lock:
            self._value = None

    def _read(self) -> Secret:
        for source in self._sources:
            if value := source():
                return value
        raise Rejected(
            "none of the sources in gateway.api_key holds a key",
            cure="put one where gateway.api_key points: into the secret, the file or the variable",
        )


def usable(text: str, place: str = "gateway.api_key") -> Secret | None:
    """Return a bearer from the text of a source, at `place`: stripped, and fit to stand in a header."""
    stripped = text.strip()
    if not stripped:
        return None
    secret = Secret(stripped)
    if not is_word(stripped):
        raise Rejected(f"{place} holds characters that cannot be in a key", cure="store the key alone there")
    return secret
