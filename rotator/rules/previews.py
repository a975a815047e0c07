"""Masked previews: the only link from a plaintext of unknown origin to a listed key.

Pure. The contract's form is `sk-abcd...wxyz`: what stands before and after the mask is compared.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from rotator.rules.model import Key

_MASKED: Final = re.compile(r"(?P<head>[^.…*]*)(?:\.{2,}|…+|\*{2,})(?P<tail>[^.…*]*)")
_TELLING: Final = 8
"""Fewer known characters than this in a preview say too little about a plaintext."""

_Ends = tuple[str, str]


def matches_preview(key: Key, plaintext: str) -> bool | None:
    """Whether `plaintext` fits the key's preview; None when the preview says too little."""
    ends = _ends(key)
    return None if ends is None else _cut(plaintext, len(ends[0]), len(ends[1])) == ends


class Previews:
    """The previews of all live keys, to look plaintexts up in."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: dict[_Ends, list[Key]] = {}
        for key in keys:
            if key.live and (ends := _ends(key)):
                self._keys.setdefault(ends, []).append(key)
        self._shapes = {(len(head), len(tail)) for head, tail in self._keys}

    def matching(self, plaintext: str) -> Sequence[Key]:
        """Return the live keys whose preview `plaintext` fits."""
        cuts = (_cut(plaintext, head, tail) for head, tail in sorted(self._shapes))
        return [key for ends in cuts if ends for key in self._keys.get(ends, ())]


def _ends(key: Key) -> _Ends | None:
    found = _MASKED.fullmatch(key.preview)
    if not found or len(found["head"]) + len(found["tail"]) < _TELLING:
        return None
    return found["head"], found["tail"]


def _cut(plaintext: str, head: int, tail: int) -> _Ends | None:
    if len(plaintext) <= head + tail:
        return None
    return plaintext[:head], plaintext[len(plaintext) - tail :]
