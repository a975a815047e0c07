"""A share of the managed keys, for an account that outgrows one process.

Pure. Every process still observes the whole account, for what one key's secret holds protects others; it decides
and acts on its own share.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

INDEX: Final = "JOB_COMPLETION_INDEX"
"""Kubernetes gives it to the pods of an Indexed Job, counting from 0."""
COUNT: Final = "ROTATOR_SHARDS"
MAX_COUNT: Final = 10_000


@dataclass(frozen=True)
class Shard:
    """Share `index`, counted from 0, of `count`."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, name: str) -> bool:
        """Whether the managed key `name` is in this share. Only its own name says so: others come and go."""
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index


WHOLE: Final = Shard(0, 1)


def parse_shard(text: str) -> Shard:
    """Parse `I/N`. Raises ValueError, with the form that is wanted."""
    index, slash, count = text.partition("/")
    if slash and all(part.isascii() and part.isdigit() and len(part) <= 5 for part in (index, count)):
        shard = Shard(int(index), int(count))
        if shard.index < shard.count <= MAX_COUNT:
            return shard
    raise ValueError("is not a shard; write I/N with I from 0 to N-1, such as 0/4")


def shard_of(environ: Mapping[str, str]) -> Shard:
    """Return the share that the environment names, or `WHOLE`. Raises ValueError where it makes no sense."""
    if COUNT not in environ:
        return WHOLE
    if INDEX not in environ:
        raise ValueError(f"{COUNT} without {INDEX}; run it in an Indexed Job, or unset it and use --shard")
    try:
        return parse_shard(f"{environ[INDEX]}/{environ[COUNT]}")
    except ValueError:
        raise ValueError(
            f"{COUNT} and {INDEX} make no shard; the index counts from 0 and is less than the count"
        ) from None
