"""docs/json.md, made of the schema of the output: `python -m tests.json_page`."""

import sys
from collections.abc import Iterator
from typing import Any

from rotator.show.output import SCHEMA
from rotator.show.output_parts import PARTS, Fields
from rotator.show.output_schema import KINDS, OPTIONAL

HEAD = f"""# JSON

Every JSON object that `rotator` prints with `--json`, or answers at `/status.json`, is of one of these kinds. It
has `"schema": {SCHEMA}` and a `"kind"`. With `--json`, a failure is an object of the kind [`error`](#kind-error)
on stdout, whatever went wrong: a wrong use of the command, a fault of the config, a server out of reach. The exit
code is the same with and without `--json`.

[output.schema.json](../rotator/show/output.schema.json) is the JSON Schema. The package holds it as
`rotator/show/output.schema.json`.

Within one number of the schema, fields are added, and none is removed or renamed: ignore those that you do not
know. Times are ISO 8601 in UTC. A field is always there, unless its description says otherwise; null stands for
what is not known. This page is made by `make schema`.
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
    return f"{text} Left out where it says nothing." if name in OPTIONAL else text


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
