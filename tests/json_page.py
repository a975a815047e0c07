"""docs/json.md, made of the schema of the output: `python -m tests.json_page`."""

import sys
from collections.abc import Iterator
from typing import Any

from rotator.show.output import SCHEMA
from rotator.show.output_parts import PARTS, Fields
from rotator.show.output_schema import KINDS, OPTIONAL

HEAD = f"""# JSON

`rotator` prints JSON with `--json`, and serves it at `/status.json`. Each object has `"schema": {SCHEMA}`, and a
`"kind"` that this page describes.

With `--json`, every failure is an object of the kind [`error`](#kind-error) on stdout: a wrong use of the command,
a fault of the config, or a server that cannot be reached. The exit code is the same with and without `--json`.

[output.schema.json](../rotator/show/output.schema.json) is the JSON Schema. The package contains it as
`rotator/show/output.schema.json`.

As long as the number of the schema stays the same, fields may be added, and no field is removed or renamed.
Ignore the fields that you do not know. Times are ISO 8601 in UTC. A field is always present, unless its
description says otherwise. A value that is not known is null.

`make schema` writes this page.
"""


def render() -> str:
    """Return the page's text."""
    return "\n".join([HEAD, *_kinds(), "## Parts\n", *_parts()]).rstrip("\n") + "\n"


def _kinds() -> Iterator[str]:
    for kind, (says, fields) in KINDS.items():
        yield f"## Kind {kind}\n\n{says}\n\n{_table(fields)}"


def _parts() -> Iterator[str]:
    for name, (says, fields) in PARTS.items():
        yield f"### Part {name}\n\n{says}\n\n{_table(fields)}"


def _table(fields: Fields) -> str:
    rows = "".join(
        f"| `{name}` | {_type(rule)} | {_says(name, text)} |\n" for name, (rule, text) in fields.items()
    )
    return f"| field | type | meaning |\n|---|---|---|\n{rows}"


def _says(name: str, text: str) -> str:
    return f"{text} It is left out if there is nothing to say." if name in OPTIONAL else text


def _type(rule: dict[str, Any]) -> str:
    match rule:
        case {"anyOf": [inner, {"type": "null"}]}:
            return f"{_type(inner)}, or null"
        case {"type": "array", "items": inner}:
            return f"list of {_type(inner)}"
        case {"$ref": ref}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#part-{name})"
        case {"enum": words}:
            return ", ".join(f"`{word}`" for word in words)
        case {"format": "date-time"}:
            return "time"
        case _:
            return str(rule["type"])


if __name__ == "__main__":
    sys.stdout.write(render())
