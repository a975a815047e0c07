"""A search for secrets in whatever the program emitted: in clear, base64, percent-encoded, and in part."""

import base64
from collections.abc import Iterable, Iterator
from urllib.parse import quote

PART: int = 20
"""So many characters of a secret in a row are a leak."""


def leaks(emitted: str | bytes, secrets: Iterable[str]) -> list[str]:
    """Say which of `secrets` are in `emitted`, by number and form, for the answer must not leak them either."""
    text = emitted.decode(errors="replace") if isinstance(emitted, bytes) else emitted
    parts: dict[str, str] = {}
    for number, secret in enumerate(secrets):
        assert len(secret) >= PART, "too short to be searched for in parts"
        for name, form in _forms(secret):
            for start in range(len(form) - PART + 1):
                parts.setdefault(form[start : start + PART], f"secret {number}, {name}")
    found = (parts.get(text[at : at + PART]) for at in range(len(text) - PART + 1))
    return sorted({hit for hit in found if hit})


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    yield "clear", secret
    yield "reversed", secret[::-1]
    yield "percent-encoded", quote(secret, safe="")
    yield "hex", secret.encode().hex()
    for shift in range(3):
        # What base64 makes of it depends on where in a group of three bytes it begins.
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode()
        inner = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
        yield "base64", inner
        yield "base64url", inner.replace("+", "-").replace("/", "_")
