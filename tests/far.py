"""A further Vault in memory, which holds copies: it may be down, refuse us, or be written by others in between."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rotator.errors import Transient
from rotator.rules.model import Version
from tests.memory_store import MemoryStore

NO_ANSWER: Final = Transient(
    "GET: no answer within 10 s", ambiguous=True, cure="check vault.address (https://eu)"
)


@dataclass(repr=False)
class FarVault(MemoryStore):
    down: Exception | None = None
    refuses: Exception | None = None
    """What a write meets."""
    between: list[Mapping[str, Any]] = field(default_factory=list)
    """What others write before each of our writes."""
    seen: Callable[[str, Mapping[str, Any] | None, Mapping[str, Any]], None] | None = None
    """Told of each write of ours: the path, what was there, and what is there now."""

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        assert once, "nothing may wait for a copy"
        self._answer(f"read {path}")
        return super().read(path, version, once=once)

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        self._answer(f"write {path}")
        if self.refuses:
            raise self.refuses
        if self.between:
            self.put(path, self.between.pop(0))
        before = super().read(path).data
        number = super().write(path, data, cas=cas)
        if self.seen:
            self.seen(path, before, data)
        return number

    def _answer(self, call: str) -> None:
        if self.down:
            self.calls.append(f"no {call}")
            raise self.down

    def holds(self, path: str) -> dict[str, Any]:
        """What a program reads there."""
        return dict(super().read(path).data or {})
