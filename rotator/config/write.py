"""The text of a config that is proposed, and what changes in one that is there. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from textwrap import wrap
from typing import Final

from rotator.config import yaml
from rotator.config.fields import GatewayBlock
from rotator.config.propose import Candidate, Proposal, Survey, quoted
from rotator.config.validate import value_at
from rotator.config.vaults import VaultBlock
from rotator.rules.model import Key, ManagedKey
from rotator.rules.times import count

_WIDTH: Final = 116
_SHOWN: Final = 50
"""So many of a kind are named in comments."""
FIELD: Final = "api_key"
"""The default of `defaults.field`."""
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._/-]*")
_WORDS: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""No texts to one or another reader of YAML."""


@dataclass(frozen=True)
class Place:
    """Where the two servers are, as far as it is not the config's default."""

    gateway_url: str | None = None
    address: str | None = None
    namespace: str | None = None
    mount: str | None = None
    ca_cert: str | None = None


def whole(place: Place, proposal: Proposal, survey: Survey) -> str:
    """Return the text of a new config. It can be loaded as it is: where nothing was found, with an example."""
    url = place.gateway_url
    fields = {
        "address": place.address,
        "namespace": place.namespace,
        "mount": place.mount if place.mount != VaultBlock.model_fields["mount"].default else None,
        "ca_cert": place.ca_cert,
    }
    lines = [
        "# The managed keys of an account, as `rotator init` proposed them. Each key is replaced every 30d;",
        "# rotation_period, grace_period and the other fields are in docs/config.md.",
    ]
    if url and url != GatewayBlock.model_fields["url"].default:
        lines += ["gateway:", f"  url: {scalar(url)}"]
    lines += ["vault:", *(f"  {name}: {scalar(text)}" for name, text in fields.items() if text)]
    if lines[-1] == "vault:":
        lines[-1] = "vault: {}"
    lines += ["keys:", *(entries(proposal.entries) if proposal.entries else _example(survey))]
    if notes := list(remarks(proposal, survey)):
        lines += map(comment, ["", *notes])
    return "\n".join(lines) + "\n"


def entries(candidates: Iterable[Candidate], indent: str = "  ", field: str = FIELD) -> Iterator[str]:
    """Yield the lines of entries. `field` is the one that needs no line."""
    for one in candidates:
        yield f"{indent}- name: {scalar(one.name)}"
        yield f"{indent}  path: {scalar(one.path)}"
        if one.field != field:
            yield f"{indent}  field: {scalar(one.field)}"


def remarks(proposal: Proposal, survey: Survey) -> Iterator[str]:
    """Yield the lines that say what is to be decided, and what was not seen."""
    if proposal.questions:
        yield "To decide:"
        for question in proposal.questions:
            yield from wrap(f"- {question.words}.", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    seen = f"below {survey.under.rstrip('/')}/" if survey.under else "that was seen"
    yield from _list(f"Live keys of the account that are in no secret {seen}", map(_key, proposal.unstored))
    if survey.under and proposal.unstored:
        keys = count(len(proposal.unstored), "live key")
        yield f"Left out: {keys}. To look in the whole mount, leave out --under."
    yield from _list("Entries of the config whose secret is not there", map(_entry, proposal.gone))
    yield from _list("Secrets that could not be read", map(quoted, survey.unread))
    yield from _list("Folders that could not be listed", map(quoted, survey.unlisted))
    if survey.cut:
        yield f"There are more secrets than the {len(survey.paths):,} that were looked at: see --under."


def merged(text: str, candidates: Sequence[Candidate]) -> str | None:
    """Return a config's text with further entries behind its last; None where that is for a person to do."""
    lines, root = text.split("\n"), yaml.parse(text).root
    keys = root.value.get("keys") if root and isinstance(root.value, dict) else None
    if root is None or keys is None or not isinstance(keys.value, list) or not keys.value:
        return None
    last, wanted = keys.value[-1], root.plain()
    field = value_at(wanted, ("defaults", "field")) or FIELD
    found = re.fullmatch(r"( *)- +", lines[last.line - 1][: last.column - 1])
    if not found:
        return None
    end = max(node.line for node in _nodes(last))
    ending = "\r" if lines[end - 1].endswith("\r") else ""
    added = (line + ending for line in entries(candidates, found[1], field))
    new = "\n".join([*lines[:end], *added, *lines[end:]])
    wanted["keys"] += [_values(one, field) for one in candidates]
    after = yaml.parse(new)
    return new if after.root and not after.faults and after.root.plain() == wanted else None


def diff(name: str, before: str, after: str) -> str:
    """Return a unified diff of a file, as `patch` takes it; nothing where the two are the same."""
    lines = unified_diff(_lines(before), _lines(after), name, name)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def scalar(text: str) -> str:
    """Write a text as YAML: bare where every reader takes it for one, else in quotes."""
    bare = _PLAIN.fullmatch(text) and text == text.strip() and text.lower() not in _WORDS
    return text if bare else json.dumps(text, ensure_ascii=False)


def example_path(survey: Survey) -> str:
    """Return where the example has its secret: at no path that is there."""
    folder = f"{survey.under or 'apimall'}/"
    numbered = (f"{folder}example{n or ''}" for n in range(len(survey.paths) + 1))
    return next(path for path in numbered if path not in survey.paths)


def _example(survey: Survey) -> Iterator[str]:
    yield "  # An example: no secret was found whose key is certain. Change it before the first pass, which makes a"
    yield "  # key for each entry that has no secret, and stores it at the path."
    yield "  - name: Example"
    yield f"    path: {scalar(example_path(survey))}"


def _list(what: str, items: Iterable[str]) -> Iterator[str]:
    all_ = list(items)
    if all_:
        yield f"{what}:"
    yield from (f"- {item}" for item in all_[:_SHOWN])
    if len(all_) > _SHOWN:
        yield f"- and {len(all_) - _SHOWN:,} more"


def _key(key: Key) -> str:
    return f"key {key.id}, {quoted(key.title)}"


def _entry(key: ManagedKey) -> str:
    return f"{quoted(key.name)}, at {quoted(key.path)}: a pass makes a key and stores it there"


def comment(line: str) -> str:
    """Return a line of a comment."""
    return f"# {line}".rstrip()


def _values(one: Candidate, field: str) -> dict[str, str]:
    values = {"name": one.name, "path": one.path}
    return values if one.field == field else values | {"field": one.field}


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    inner: Iterable[yaml.Node] = ()
    if isinstance(node.value, dict):
        inner = node.value.values()
    elif isinstance(node.value, list):
        inner = node.value
    for child in inner:
        yield from _nodes(child)


def _lines(text: str) -> list[str]:
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
