"""Two nets that keep plaintexts and tokens out of whatever the process emits.

The first is `Secret`, a type that does not print. The second is `redact`, which searches a rendered text
for every secret that the process has made or used within a day: in clear, escaped, in hex and base64, and in part;
and for whatever looks like a credential, which a server may name in an error though we never got it.

A run of `2 * BLOCK` characters of a secret always holds one whole block that starts at a multiple of `BLOCK`,
so only those blocks are remembered, and the last one, which may have escaped characters before it.

A long-running process sees new secrets for ever. So what was used neither today nor yesterday is forgotten, by two
generations: what is used goes into both, and each day the younger one takes the place of the elder.
"""

import base64
import hmac
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final, NoReturn
from urllib.parse import quote

BLOCK: Final = 10
MARK: Final = "[redacted]"
MAX_WORDS: Final = 160
_MAX_NAME: Final = 64
"""Characters of the longest name that a managed key can have."""
_ENOUGH: Final = 20 * MAX_WORDS
DAY: Final = 86_400.0
"""In seconds."""
WORD: Final = r"[!-~]+"
"""What a credential is made of, as a pattern: printable ASCII without a space, so that it can stand in a header."""
_WORD: Final = re.compile(r"[A-Za-z0-9+/_%.~-]")
_FOLDED: Final = str.maketrans(ascii_uppercase + "-_", ascii_lowercase + "+/")
"""In a search, case and the two alphabets of base64 are the same."""
_ESCAPED: Final = re.compile(
    r"(?:%|\\x|\\u00)(?P<hex>[0-9A-Fa-f]{2})|&#[xX]0{0,4}(?P<html>[0-9A-Fa-f]{1,2});|&#0{0,4}(?P<decimal>[0-9]{1,3});|\\[^ux]"
)
"""Of URLs, of JSON, of strings in programs, of HTML. No credential has a character beyond their first 128."""
_DEEP: Final = 5
"""So often a text may have been escaped."""
# What looks like a credential, though this process may never have had it: a key of the gateway, a token of Vault, a
# JWT, a webhook's secret, what a header or a URL carries.
_LOOKS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-(?=(?:[A-Za-z_-]*[0-9]){3})[A-Za-z0-9_-]{16,}|(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}|whsec_[A-Za-z0-9+/=_-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"
    r"|(?<=[Bb]earer )[!-~]{8,}|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
)


@dataclass
class _Generation:
    """What was used since some moment."""

    values: set[str] = field(default_factory=set)
    blocks: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)


_elder, _younger = _Generation(), _Generation()
_since = time.monotonic()
"""The younger one's beginning."""
_lock = threading.Lock()


class Secret:
    """A string that is shown only to who asks for it by `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        """Return the string. From now on it is searched for in every text, for a day or two."""
        remember(self._value)
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MARK})"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written down")


def is_word(value: str) -> bool:
    """Whether `value` can be a credential: one word of printable ASCII."""
    return re.fullmatch(WORD, value) is not None


def redact_values(value: Any) -> Any:
    """Redact every string inside a value that is about to be written as JSON, whose form must stay whole."""
    match value:
        case str():
            return redact(value, short=True)
        case dict():
            return {name: redact_values(inner) for name, inner in value.items()}
        case list() | tuple():
            return [redact_values(inner) for inner in value]
        case _:
            return value


def redact(text: str, *, short: bool = False) -> str:
    """Return `text` with every word that holds a piece of a known secret replaced.

    `short`: also look for secrets of fewer than `BLOCK` characters. In a rendered line such a one could be a
    field's name, or a word of JSON.
    """
    spans: list[tuple[int, int]] = []
    for start, end in sorted(_found(text)):
        if spans and start <= spans[-1][1]:
            first, last = spans.pop()
            start, end = first, max(last, end)
        spans.append((start, end))
    pieces, done = [], 0
    for start, end in spans:
        pieces += [text[done:start], MARK]
        done = end
    text = "".join([*pieces, text[done:]])
    for value in tuple(_elder.short) if short else ():
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", MARK, text)
    return _LOOKS.sub(MARK, text)


def words(text: str) -> str:
    """What a server says of an error: short, printable and redacted."""
    if len(text) > _ENOUGH:  # a secret that is cut in two would not be known
        text = text[:_ENOUGH].rpartition(" ")[0]
    return "".join(character for character in redact(text)[:MAX_WORDS] if character.isprintable())


def shown(typed: str) -> str:
    """Return what a person typed, in quotes; or why it is not shown, for a slip may put a plaintext there."""
    if len(typed) > _MAX_NAME:
        return f"(a text of {len(typed)} characters, which is not shown)"
    if not typed.isprintable() or redact(typed, short=True) != typed:
        return "(a text that may be a secret, and is not shown)"
    return f"“{typed}”"


def forget() -> None:
    """Empty the second net; for tests, which start many programs in one process."""
    global _elder, _younger, _since
    _elder, _younger, _since = _Generation(), _Generation(), time.monotonic()


def _found(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the words are that hold a piece of a secret, as they stand or as they are meant.

    Who wrote the text may have escaped it in any way, or in two: it is searched at each step of undoing that.
    """
    places = [(at, at + 1) for at in range(len(text))] if _ESCAPED.search(text) else []
    for _ in range(_DEEP):
        done = 0
        for at in _hits(text):
            if at + BLOCK <= done:
                continue  # a long word of many hits is widened once
            start, done = _word_around(text, at)
            yield (places[start][0], places[done - 1][1]) if places else (start, done)
        if not _ESCAPED.search(text):
            return
        text, places = _meant(text, places)


def _meant(text: str, places: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """Undo one step of escaping; `places` says where each character stood."""
    pieces, moved, done = [], [], 0
    for found in _ESCAPED.finditer(text):
        code = found["hex"] or found["html"]
        meant = (
            chr(int(code, 16)) if code else chr(int(found["decimal"])) if found["decimal"] else found[0][1:]
        )
        pieces += [text[done : found.start()], meant]
        moved += places[done : found.start()]
        moved += [(places[found.start()][0], places[found.end() - 1][1])] * len(meant)
        done = found.end()
    return "".join([*pieces, text[done:]]), moved + places[done:]


def _hits(text: str) -> Iterator[int]:
    blocks = _elder.blocks
    if blocks:
        folded = text.translate(_FOLDED)
        yield from (at for at in range(len(text) - BLOCK + 1) if folded[at : at + BLOCK] in blocks)


def _word_around(text: str, at: int) -> tuple[int, int]:
    """Widen a hit to the whole word, so that no rest of the secret stays behind."""
    start, end = at, at + BLOCK
    while start and _WORD.match(text[start - 1]):
        start -= 1
    while end < len(text) and _WORD.match(text[end]):
        end += 1
    return start, end


def remember(value: str) -> None:
    """Search every text for `value` from now on, for a day or two."""
    global _elder, _younger, _since
    with _lock:
        if time.monotonic() >= _since + DAY:
            _elder, _younger, _since = _younger, _Generation(), time.monotonic()
        if value in _younger.values:
            return
        blocks = {
            form[start : start + BLOCK]
            for form in (form.translate(_FOLDED) for form in _forms(value))
            for start in {*range(0, len(form) - BLOCK + 1, BLOCK), max(0, len(form) - BLOCK)}
        }
        for generation in (_elder, _younger):
            generation.values.add(value)
            generation.blocks |= blocks
            generation.short |= {value} if 0 < len(value) < BLOCK else set()


def _forms(value: str) -> Iterator[str]:
    """Yield what others make of a secret, beside what `_meant` undoes."""
    if len(value) < BLOCK:
        return
    raw = _bytes(value)
    yield value
    yield quote(raw, safe="")
    yield json.dumps(value)[1:-1]
    yield raw.hex()
    yield raw.hex(" ")
    yield raw.hex(":")
    yield from _base64(raw)
    yield from _base64(value.encode("utf-16-le", errors="surrogatepass"))


def _base64(raw: bytes) -> Iterator[str]:
    """Yield what base64 makes of `raw`, which depends on where in a group of three bytes it begins.

    The edges depend on the neighbours, so they are cut off.
    """
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        yield encoded[shift and shift + 1 : -1]


def _bytes(value: str) -> bytes:
    """UTF-8, also of what no text can be: JSON can hold half a surrogate pair."""
    return value.encode(errors="surrogatepass")
