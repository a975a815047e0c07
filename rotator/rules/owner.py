"""Whose a secret is: `owner` and `contact` in its custom metadata, for whoever is paged. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rotator.redaction import words


@dataclass(frozen=True)
class Owner:
    """In the words of who wrote them: short, printable and redacted; None where nothing is said."""

    owner: str | None = None
    contact: str | None = None

    def __str__(self) -> str:
        return ", ".join(part for part in (self.owner, self.contact) if part)

    def to_json(self) -> dict[str, Any]:
        """`owner` and `contact` in JSON."""
        return {"owner": self.owner, "contact": self.contact}


NOBODY: Final = Owner()


def read_owner(custom: Mapping[str, str]) -> Owner:
    """Read it from a secret's custom metadata."""
    owner, contact = (words(custom.get(name, "")).strip() or None for name in ("owner", "contact"))
    return Owner(owner, contact) if owner or contact else NOBODY
