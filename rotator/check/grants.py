"""What a token lacks, and the policy that grants it. Pure."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from rotator.check.findings import Finding, bad, ok, some
from rotator.passes.preflight import NEEDED, NEEDED_FOR_IDENTITY
from rotator.rules.claims import claims_path
from rotator.rules.times import count

Capabilities: TypeAlias = Mapping[str, tuple[str, ...]]
"""By path below the mount."""
_BLOCKS: Final = 20
"""So many are written out."""


def needed_by(
    paths: Iterable[str],
    bearer: str | None,
    state_path: str,
    acks: Iterable[str] = (),
    told: Iterable[str] = (),
) -> Capabilities:
    """Return what a pass needs: on the secret of each entry, on the bearer's, on claims, identity, confirmations.

    `acks`: where the consumers confirm; `told`: where the rotator confirms for those that it tells.
    """
    paths = list(paths)
    needed: dict[str, tuple[str, ...]] = dict.fromkeys(paths, NEEDED)
    if bearer:
        needed.setdefault(bearer, ("read",))
    needed.setdefault(state_path, NEEDED_FOR_IDENTITY)
    for path in paths:
        needed.setdefault(claims_path(state_path, path), NEEDED)
    for path in told:
        needed.setdefault(path, NEEDED)
    for path in acks:
        needed.setdefault(path, ("read",))
    return needed


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


def policy(
    mount: str,
    paths: Sequence[str],
    bearer: str | None,
    state_path: str,
    acks_path: str,
    *,
    told: Collection[str] = (),
    others: Collection[str] = (),
    saw: Callable[[str], bool] = lambda _folder: True,
) -> str:
    """Return the policy that grants what `needed_by` says: for each path, or for a folder of none but such.

    `told`: where the rotator confirms for the consumers that it tells.
    `others`: the other secrets of the mount; `saw`: whether they are all that a folder holds. One that holds
    another's secret is not granted as a whole.
    """
    others = {*others, *([bearer] if bearer else [])}
    claims = f"{claims_path(state_path, '').rstrip('/')}/*"
    parts: dict[str, dict[str, tuple[str, ...]]] = {
        "the managed keys, and the bearer if it is in Vault": {
            **dict.fromkeys(_shortened(paths, others, saw), NEEDED),
            **({bearer: ("read",)} if bearer and bearer not in paths else {}),
        },
        "the claims: a record for each managed key of what this installation has asked the gateway for": {
            claims: NEEDED
        },
        "what consumers have confirmed; you can leave this line out if the config names no consumers": {
            f"{acks_path}/*": ("read",)
        },
        "the consumers that are told: what they have taken is written for them": dict.fromkeys(told, NEEDED),
        "this installation's identity: it is made once, and never written again": {
            state_path: NEEDED_FOR_IDENTITY
        },
    }
    return "\n".join(
        "".join([f"# {why}\n", *(_line(mount, path, names) for path, names in blocks.items())])
        for why, blocks in parts.items()
        if blocks
    )


def unfit(path: str) -> str | None:
    """Return why no policy can name a path and mean that path alone; None where one can."""
    if "{{" in path or "${" in path:
        return "has braces, which a policy takes for a template"
    if "+" in path.split("/"):
        return "has a part `+`, which a policy takes for any part"
    return None


def _shortened(paths: Sequence[str], others: Collection[str], saw: Callable[[str], bool]) -> Iterator[str]:
    """Yield each path; in place of several in one folder that holds nothing else, a glob."""
    ours = set(paths)
    told: set[str] = set()
    for path in paths:
        folder = f"{_folder(path)}/"
        inside = [other for other in (*others, *paths) if other.startswith(folder)]
        whole = folder != "/" and saw(folder) and ours.issuperset(inside) and len({*inside}) > 1
        if (block := f"{folder}*" if whole else path) not in told:
            told.add(block)
            yield block


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
        yield f"path {_quoted(mount, path)} {{\n  capabilities = [{listed}]\n}}"
    if len(blocks) > _BLOCKS:
        yield f"# and {len(blocks) - _BLOCKS} more"


def _line(mount: str, path: str, names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f"path {_quoted(mount, path)} {{ capabilities = [{listed}] }}\n"


def _quoted(mount: str, path: str) -> str:
    return json.dumps(f"{mount}/data/{path}", ensure_ascii=False)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
