"""The kinds of values that fields of several blocks have."""

from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from rotator.config import texts
from rotator.rules.times import PATTERN, parse_duration


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("is zero; write at least 1s")
    return duration


DurationOrZero: TypeAlias = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": PATTERN},
                {"const": 0},
            ]
        }
    ),
]
Duration: TypeAlias = Annotated[DurationOrZero, AfterValidator(_positive)]
ExistingFile: TypeAlias = Annotated[str, AfterValidator(texts.existing_file)]


def lasting(default: str, description: str) -> Any:
    """Return a duration's field, whose default is shown in the schema as one would write it."""
    return Field(
        default=parse_duration(default), description=description, json_schema_extra={"default": default}
    )
