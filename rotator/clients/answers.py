"""What every client reads out of an answer, whatever it holds: its JSON and its request id.

Pure. What is returned here can be shown, logged and sent again.
"""

import json
from math import isfinite
from typing import Any, Final

from rotator.redaction import redact

MAX_DEPTH: Final = 100
"""Levels of JSON. A body of more could be read, and then break whatever walks through it deeper in the stack."""
MAX_REQUEST_ID: Final = 128


def read_json(content: bytes) -> tuple[Any, str | None]:
    """Return the value; or None, and what is wrong with it."""
    try:
        value = json.loads(content.decode(), parse_float=_finite, parse_constant=_finite)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return None, "the body is not JSON"
    except ValueError:
        return None, "the body holds a number that is out of range"
    if _is_deep(value):
        return None, f"the body is nested deeper than {MAX_DEPTH} levels"
    return value, None


def request_id(value: object) -> str | None:
    if (
        isinstance(value, str)
        and 0 < len(value) <= MAX_REQUEST_ID
        and value.isascii()
        and value.isprintable()
    ):
        return redact(value, short=True)
    return None


def _finite(text: str) -> float:
    """JSON has neither NaN nor Infinity, and a number that became one could not be written again."""
    number = float(text)
    if not isfinite(number):
        raise ValueError("out of range")
    return number


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
