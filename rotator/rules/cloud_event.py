"""The envelope of what is told to others: CloudEvents 1.0, in the structured form. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rotator.rules.times import format_time

_TYPES: Final = "com.apimall.rotator."
_SOURCE: Final = "urn:apimall:rotator"


def source_of(installation: str | None) -> str:
    """Say who tells: this installation, or a rotator that has no identity yet."""
    return f"{_SOURCE}:{installation}" if installation else _SOURCE


def cloud_event(
    type_: str,
    data: Mapping[str, Any],
    *,
    id_: str,
    source: str,
    subject: str | None = None,
    time: datetime | None = None,
) -> dict[str, Any]:
    """Return the event. `type_` is the last part of its type; what is None is left out."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": _TYPES + type_,
        **({"subject": subject} if subject else {}),
        **({"time": format_time(time)} if time else {}),
        "datacontenttype": "application/json",
        "data": dict(data),
    }
