"""How what is served is packed: markup repeats itself, and shrinks to less than a tenth. Pure.

Who can choose a part of an answer can learn from its length what else is in it. There is no secret in any of them.
"""

import re
import zlib
from typing import Final

_SMALL: Final = 1_000
"""Bytes that are not worth it."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_REFUSED: Final = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


def packed(content: bytes, accepted: str) -> tuple[bytes, list[tuple[str, str]]]:
    """Return what is sent, with its headers; `accepted` is the request's `Accept-Encoding`."""
    if len(content) < _SMALL or not _takes_gzip(accepted):
        return content, [("Vary", "Accept-Encoding")]
    packing = zlib.compressobj(wbits=_GZIP)
    content = packing.compress(content) + packing.flush()
    return content, [("Vary", "Accept-Encoding"), ("Content-Encoding", "gzip")]


def _takes_gzip(accepted: str) -> bool:
    for one in accepted.lower().split(","):
        name, *parameters = one.split(";")
        if name.strip() == "gzip":
            return not any(_REFUSED.fullmatch(parameter) for parameter in parameters)
    return False
