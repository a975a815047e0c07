"""A KV v2 mount in memory, behind the same port as Vault. `test_store.py` holds the two to one contract."""

import copy
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from rotator.errors import Conflict
from rotator.rules.installation import Whereabouts
from rotator.rules.model import Version


@dataclass(repr=False)
class MemoryStore:
    """`versions[path][n - 1]` is version n: its data as JSON, or None when it was deleted or destroyed."""

    versions: dict[str, list[str | None]] = field(default_factory=dict)
    origin: str = field(default_factory=lambda: uuid4().hex)
    """What tells this Vault and mount from another: a copy has another one."""
    address: str = "memory"
    max_versions: int = 10
    clock: Callable[[], datetime] | None = None
    """When versions are written; they do not say without it."""
    written: dict[tuple[str, int], datetime] = field(default_factory=dict)
    custom: dict[str, dict[str, str]] = field(default_factory=dict)
    """By path: the custom metadata."""
    ttl: timedelta | None = None
    missing: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def log_in(self) -> None:
        self.calls.append("log_in")

    def read(self, path: str, version: int | None = None, *, once: bool = False) -> Version:
        self.calls.append(f"read {path}")
        kept = self.versions.get(path, [])
        number = len(kept) if version is None else version
        if not self._oldest(kept) <= number <= len(kept):
            return Version(0, None)
        data = kept[number - 1]
        at = self.written.get((path, number))
        custom = dict(self.custom.get(path, {}))
        return Version(number, None if data is None else json.loads(data), at, custom=custom)

    def write(self, path: str, data: Mapping[str, Any], *, cas: int) -> int:
        self.calls.append(f"write {path}")
        with self.lock:
            kept = self.versions.setdefault(path, [])
            if len(kept) != cas:
                raise Conflict("check-and-set parameter did not match the current version")
            kept.append(json.dumps(data))
            if self.clock:
                self.written[path, len(kept)] = self.clock()
            return len(kept)

    def read_custom(self, path: str) -> Mapping[str, str] | None:
        self.calls.append(f"read_custom {path}")
        return dict(self.custom.get(path, {})) if path in self.versions else None

    def write_custom(self, path: str, changes: Mapping[str, str | None]) -> None:
        self.calls.append(f"write_custom {path}")
        merged = {**self.custom.get(path, {}), **changes}
        self.custom[path] = {name: value for name, value in merged.items() if value is not None}

    def check_mount(self) -> None:
        self.calls.append("check_mount")

    def whereabouts(self) -> Whereabouts:
        self.calls.append("whereabouts")
        return Whereabouts(self.origin, "uuid", "", self.address)

    def missing_capabilities(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        self.calls.append("capabilities")
        return {path: self.missing[path] for path in needed if path in self.missing}

    def token_ttl(self, *, at_least: timedelta = timedelta()) -> timedelta | None:
        self.calls.append("token_ttl")
        return self.ttl

    def delete(self, path: str, *numbers: int) -> None:
        """A person's hand: delete versions, the latest one by default."""
        for number in numbers or (len(self.versions[path]),):
            self.versions[path][number - 1] = None

    def put(self, path: str, data: Mapping[str, Any]) -> None:
        """A person's hand: write without check-and-set."""
        kept = self.versions.setdefault(path, [])
        kept.append(json.dumps(data))
        if self.clock:
            self.written[path, len(kept)] = self.clock()

    def copied(self) -> "MemoryStore":
        """Another Vault with the same secrets in all their versions: a snapshot restored elsewhere."""
        return MemoryStore(
            copy.deepcopy(self.versions), max_versions=self.max_versions, custom=copy.deepcopy(self.custom)
        )

    def _oldest(self, kept: list[str | None]) -> int:
        return max(1, len(kept) - self.max_versions + 1)
