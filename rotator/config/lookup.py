"""The tree of the config's fields: to look a name up, or to guess what a wrong one should have been."""

from collections.abc import Iterator
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from rotator.config.auth import Auth
from rotator.config.fields import File
from rotator.config.yaml import Path

AUTH: Final[Path] = ("vault", "auth")
"""The one block that has several forms; its `method` tells which. Each of `vaults` has one, too."""
TOKEN: Final[Path] = (*AUTH, "token")
"""A field that nobody writes: its value comes from a variable."""


def as_main(path: Path) -> Path:
    """Return the path of the same field of `vault`, where `path` is in one of `vaults`."""
    return ("vault", *path[2:]) if path[:1] == ("vaults",) and len(path) > 1 else path


def kind_at(path: Path, kind: Any = File) -> Any:
    """Return the bare type of the field at `path`, or None when there is no such field."""
    for segment in path:
        if isinstance(segment, int):
            kind = get_args(kind)[0] if get_origin(kind) is list else None
        else:
            kind = _fields(kind).get(segment)
    return kind


def names_at(path: Path) -> list[str]:
    """Return the names that the block at `path` can have. Behind an `auth` the path names the method too."""
    inner = as_main(path)
    if inner[:2] != AUTH:
        return list(_fields(kind_at(path)))
    block = next(
        form for form in get_args(Auth) if inner[2] in get_args(form.model_fields["method"].annotation)
    )
    return [name for name in _fields(kind_at(inner[3:], block)) if name != TOKEN[-1]]


def every_path(index: int, kind: Any = File, above: Path = ()) -> Iterator[Path]:
    """Yield the path of every field, with `index` for the place in a list."""
    for name, inner in _fields(kind).items():
        path = (*above, name)
        if as_main(path) == TOKEN:
            continue
        yield path
        if get_origin(inner) is list:
            yield from every_path(index, get_args(inner)[0], (*path, index))
        yield from every_path(index, inner, path)


def closest(name: str, known: list[str]) -> str | None:
    """Return the one of `known` that `name` may be a misspelling of; None where none is near."""
    return next(iter(get_close_matches(name, known, n=1)), None)


def _fields(kind: Any) -> dict[str, Any]:
    """Return the bare types of a block's fields, in all its forms; none for anything that is no block."""
    if get_origin(kind) in (Union, UnionType):
        return {name: inner for form in get_args(kind) for name, inner in _fields(form).items()}
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: _bare(field.annotation) for name, field in kind.model_fields.items()}


def _bare(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return _bare(parts[0]) if len(parts) == 1 else annotation
    return str if get_origin(annotation) is Literal else annotation
