"""The config's JSON Schema, for editors: `python -m rotator.config.json_schema`."""

import json
import sys
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from rotator.config.fields import File


class _Generate(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """A title would only repeat the field's name."""
        return False


def render() -> str:
    """Return the text of config/rotator.schema.json: JSON Schema 2020-12, its keys in order."""
    schema = File.model_json_schema(schema_generator=_Generate)
    # Both can come from the environment.
    schema["required"].remove("vault")
    schema["$defs"]["VaultBlock"]["required"].remove("auth")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
