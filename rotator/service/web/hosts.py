"""Under which names we are asked. Pure.

Who serves a page of his own can let its name point to our address, and then read what we answer as if it were his
(DNS rebinding). What the browser asks for is still that name; so other names than ours are refused.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

_LOOPBACK: Final = {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}
_HOST: Final = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::[0-9]{0,5})?")


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names this machine: by an address, by a name of loopback, or by one of `names`.

    Any port will do: who forwards one chooses another.
    """
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return False
    if found[1]:
        return ":" in found[1] and _is_address(found[1])
    name = found[2].lower().removesuffix(".")
    return name in _LOOPBACK or name.endswith(".localhost") or name in names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
