"""Values held against the model: every fault, and the parts that have none. No fault repeats a value."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rotator.config.fields import File
from rotator.config.lookup import AUTH, TOKEN, as_main, closest, names_at
from rotator.config.texts import Block
from rotator.config.yaml import Path

B = TypeVar("B", bound=Block)
Fault: TypeAlias = tuple[Path, str]
"""Where; and what is wrong and what would be right."""

_TEXTS: Final = {
    "missing": "is missing; give it a value",
    "string_type": "must be text; quote it",
    "bool_type": "must be true or false; write true or false, without quotes",
    "int_type": "must be a whole number; write it without quotes and without a fraction",
    "greater_than_equal": "is too small; write at least {ge}",
    "less_than_equal": "is too big; write at most {le}",
    "model_type": "must be a block; write `field: value` lines, indented below it",
    "model_attributes_type": "must be a block; write `field: value` lines, indented below it",
    "list_type": "must be a list; write each item below it after `- `",
    "too_short": "is empty; write at least {min_length} item",
    "too_long": "is too long; write at most {max_length} items",
    "literal_error": "is not supported; write {expected}",
    "union_tag_invalid": "is not supported; write one of {expected_tags}",
    "is_instance_of": "does not belong in the config; remove it and set VAULT_TOKEN",
    "value_error": "{error}",
}
_UNSET: Final = "is missing; set it to a Vault token with the policy that deploy/vault/policy.hcl shows"
_UNSET_THERE: Final = (
    "is missing; name a variable in auth.env, such as EU_VAULT_TOKEN, and set it to a token of this Vault with the "
    "policy that deploy/vault/copies.hcl shows"
)
_EMPTY: Final = "is empty; give it a value, or remove it"
_OTHER: Final = "is not valid; see the description of this field in rotator.schema.json"


def field_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of every field, and of every block on its own."""
    try:
        File.model_validate(values)
    except ValidationError as error:
        return [_fault(details) for details in error.errors(include_url=False)]
    return []


class Sound:
    """The parts of the values in which no fault was found, so that what joins parts can be checked too."""

    def __init__(self, values: Mapping[str, Any], faults: Iterable[Fault]) -> None:
        self._values = values
        self._faults = {path for path, _ in faults}
        self._faulty = {path[:end] for path in self._faults for end in range(1, len(path) + 1)}

    def text(self, *path: str | int) -> str | None:
        """Return the text at `path`; None where it is faulty, missing or no text."""
        value = None if path in self._faulty else value_at(self._values, path)
        return value if isinstance(value, str) else None

    def has(self, *path: str | int) -> bool:
        """Whether anything stands at `path`, sound or not."""
        return value_at(self._values, path) is not None

    def block(self, kind: type[B], *path: str | int) -> B | None:
        """Return the block at `path`, with its defaults; None where it, or a field of it, is faulty.

        A list that is itself at fault may not have been looked into, so its blocks are not sound either.
        """
        if path in self._faulty or any(path[:end] in self._faults for end in range(len(path))):
            return None
        return kind.model_validate(value_at(self._values, path) or {})

    def fields(self, kind: type[B]) -> B | None:
        """Return the top level's fields that `kind` has; None where one of them is faulty."""
        if any((name,) in self._faulty for name in kind.model_fields):
            return None
        return kind.model_validate({n: self._values[n] for n in kind.model_fields if n in self._values})

    @property
    def entries(self) -> range:
        """The indices of `keys`."""
        return self.items("keys")

    def items(self, *path: str | int) -> range:
        """The indices of the list at `path`; none where there is no list."""
        items = value_at(self._values, path)
        return range(len(items)) if isinstance(items, list) else range(0)


def value_at(values: Any, path: Path) -> Any:
    """Return the value at `path`, or None where there is none, whatever the values are."""
    for segment in path:
        if isinstance(values, dict):
            values = values.get(segment)
        else:
            values = values[segment] if isinstance(values, list) and isinstance(segment, int) else None
    return values


def _fault(details: ErrorDetails) -> Fault:
    path = details["loc"]
    if as_main(path)[:2] == AUTH:
        end = path.index("auth") + 1
        path = (*path[:end], *(["method"] if details["type"] == "union_tag_invalid" else path[end + 1 :]))
    if details["type"] == "extra_forbidden":
        return path, _unknown(details["loc"])
    if details["type"] == "missing" and as_main(path) == TOKEN:
        return path, _UNSET if path == TOKEN else _UNSET_THERE
    if details["type"] == "string_type" and details["input"] is None:
        return path, _EMPTY
    return path, _TEXTS.get(details["type"], _OTHER).format_map(details.get("ctx", {}))


def _unknown(path: Path) -> str:
    known = names_at(path[:-1])
    close = closest(str(path[-1]), known)
    return (
        f"is an unknown field; did you mean `{close}`?"
        if close
        else f"is an unknown field; known here: {', '.join(known)}"
    )
