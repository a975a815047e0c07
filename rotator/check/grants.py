"""What a token lacks, and the policy that grants it. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from rotator.check.findings import Finding, bad, ok, some
from rotator.rules.times import count

Capabilities: TypeAlias = Mapping[str, tuple[str, ...]]
"""By path below the mount."""
_BLOCKS: Final = 20
"""So many are written out."""


def judged(mount: str, needed: Capabilities, lacking: Capabilities) -> Iterator[Finding]:
    """A finding for all that lack the same."""
    if not lacking:
        yield ok(f"nothing is missing on {count(len(needed), 'path')} below {mount}/data/")
    folders = _alike(needed, lacking)
    for names in dict.fromkeys(lacking[path] for path in needed if path in lacking):
        paths = [path for path in needed if lacking.get(path) == names]
        # All that is needed, not what is missing alone: of the blocks that fit a path, the longest counts.
        blocks = dict.fromkeys((folders.get(_folder(path), path), needed[path]) for path in paths)
        yield bad(
            f"the token lacks {', '.join(names)} on {some([f'{mount}/data/{path}' for path in paths])}",
            "\n".join(["grant in a policy of the token:", *_hcl(mount, list(blocks))]),
        )


def _alike(needed: Capabilities, lacking: Capabilities) -> Mapping[str, str]:
    """Return a glob for each folder of several paths that need the same and lack the same."""
    seen: dict[str, list[object]] = {}
    for path in needed:
        seen.setdefault(_folder(path), []).append((needed[path], lacking.get(path)))
    return {
        folder: f"{folder}/*" for folder, all_ in seen.items() if folder and len(all_) > len(set(all_)) == 1
    }


def _hcl(mount: str, blocks: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    for path, names in blocks[:_BLOCKS]:
        listed = ", ".join(f'"{name}"' for name in names)
        quoted = json.dumps(f"{mount}/data/{path}", ensure_ascii=False)
        yield f"path {quoted} {{\n  capabilities = [{listed}]\n}}"
    if len(blocks) > _BLOCKS:
        yield f"# and {len(blocks) - _BLOCKS} more"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
