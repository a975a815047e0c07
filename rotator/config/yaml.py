"""YAML text to values that know their line and column.

PyYAML only reads the syntax here. Values are composed from its events, because its own composer and
constructors stop at the first fault, recurse without bound and read `no` as false and `12:30` as 750; plain
scalars follow the core schema of YAML 1.2 instead. No text of the file is repeated in a fault, except a
field's name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

Path: TypeAlias = tuple[str | int, ...]
"""Names of fields and indices of lists, from the top level down."""

_HARMLESS = re.compile(r"[A-Za-z_-]{1,40}")
MAX_NODES: Final = 200_000
"""Values after aliases are expanded: 10,000 keys with every field are half of that."""
MAX_DEPTH: Final = 16
"""Levels. The deepest field of the config is on the third."""

Scalar: TypeAlias = "str | int | float | bool | None"
_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_STANDARD = "tag:yaml.org,2002:"
_MARK = r"'(?:[^\w\s]{1,3}|<[a-z ]+>)'"
_MARKS = re.compile(rf"{_MARK}(?:(?: or |, but (?:got|found) ){_MARK})*")
_QUOTED = re.compile(r"""["'].*["']""", re.DOTALL)


class Fault(NamedTuple):
    """What is wrong with the text, where, both counted from 1, and what would be right."""

    line: int
    column: int
    text: str


@dataclass(frozen=True)
class Node:
    """A value and its place: that of its field's name, where it has one."""

    line: int
    column: int
    value: "Scalar | dict[str, Node] | list[Node]"
    size: int = 1
    """Values inside, with itself."""

    def plain(self) -> Any:
        """Return the value in dicts and lists of its own, so that changing one changes no alias."""
        match self.value:
            case dict() as fields:
                return {name: child.plain() for name, child in fields.items()}
            case list() as items:
                return [child.plain() for child in items]
            case scalar:
                return scalar

    def nearest(self, path: Path) -> "Node":
        """Return the node at `path`, or the one that would hold it."""
        node = self
        for segment in path:
            inner: Node | None = None
            if isinstance(segment, str) and isinstance(node.value, dict):
                inner = node.value.get(segment)
            elif isinstance(segment, int) and isinstance(node.value, list):
                inner = node.value[segment] if segment < len(node.value) else None
            if inner is None:
                break
            node = inner
        return node


@dataclass(frozen=True)
class Document:
    """What was read. `root` is None where the text could not be read to its end."""

    root: Node | None
    faults: tuple[Fault, ...]


def parse(text: str) -> Document:
    """Read one document. Never raises: whatever is wrong is a fault."""
    if quick := getattr(
        yaml, "CSafeLoader", None
    ):  # ten times as fast, and not as good at saying what is wrong
        found = _parsed(text, quick)
        if found.root and not found.faults:
            return found
    return _parsed(text, yaml.SafeLoader)


def _parsed(text: str, loader: Any) -> Document:
    composer = _Composer(yaml.parse(text, Loader=loader))
    try:
        return Document(composer.document(), tuple(composer.faults))
    except _StopError as stop:
        stopped = stop.fault
    except yaml.reader.ReaderError as error:
        stopped = _unreadable(text, int(error.position))
    except yaml.MarkedYAMLError as error:
        stopped = _syntax(text, error)
    except (ValueError, OverflowError):  # PyYAML's own, for numbers in escapes and directives
        stopped = Fault(*composer.place, "a number that YAML does not know follows; remove it")
    return Document(None, (*composer.faults, stopped))


class _StopError(Exception):
    def __init__(self, event: Event, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(*_at(event), text)


class _Composer:
    def __init__(self, events: Iterator[Event]) -> None:
        self.faults: list[Fault] = []
        self.place = (1, 1)
        self._events = events
        self._anchors: dict[str | None, Node | None] = {}
        """None while the anchored value is still being read: an alias inside it would never end."""

    def document(self) -> Node:
        self._next()
        if isinstance(self._next(), StreamEndEvent):
            return Node(1, 1, None)
        root = self._node(self._next(), 1)
        self._next()
        if isinstance(after := self._next(), DocumentStartEvent):
            raise _StopError(after, "a second document begins here; keep one document in the file")
        return root

    def _next(self) -> Event:
        event = next(self._events)
        self.place = _at(event)
        return event

    def _node(self, event: Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _StopError(event, f"is nested deeper than {MAX_DEPTH} levels; flatten it")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = None
        node = self._composed(event, depth)
        if node.size > MAX_NODES:
            raise _StopError(event, f"holds over {MAX_NODES} values once aliases are expanded; use fewer")
        if anchor:
            self._anchors[anchor] = node
        return node

    def _composed(self, event: Event, depth: int) -> Node:
        line, column = _at(event)
        self._check_tag(event)
        if isinstance(event, ScalarEvent):
            return Node(line, column, self._scalar(event))
        if isinstance(event, SequenceStartEvent):
            items = self._items(depth)
            return Node(line, column, items, 1 + sum(item.size for item in items))
        fields = self._fields(depth)
        return Node(line, column, fields, 1 + sum(child.size for child in fields.values()))

    def _items(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _fields(self, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            name = self._node(event, depth + 1).value
            child = self._node(self._next(), depth + 1)
            line, column = _at(event)
            if not isinstance(name, str):
                self._fault(event, "a field's name must be text; quote it or remove it")
            elif name == "<<":
                self._fault(event, "merge keys are not supported; put shared fields under `defaults`")
            elif name in fields:
                self._fault(event, f"{echo(name)} is also on line {fields[name].line}; remove one of the two")
            else:
                fields[name] = replace(child, line=line, column=column)
        return fields

    def _alias(self, event: AliasEvent) -> Node:
        target = self._anchors.get(event.anchor)
        if target is None:
            what = "stands inside what it names" if event.anchor in self._anchors else "names no anchor above"
            raise _StopError(event, f"the alias {what}; write the value out")
        line, column = _at(event)
        return replace(target, line=line, column=column)

    def _scalar(self, event: ScalarEvent) -> Scalar:
        text: str = event.value
        if not text.isprintable():
            self._fault(event, "holds a line break or an unprintable character; write one plain line")
            return "".join(filter(str.isprintable, text))
        return _resolved(text) if event.implicit[0] and event.tag is None else text

    def _check_tag(self, event: Event) -> None:
        kind = {ScalarEvent: "str", SequenceStartEvent: "seq", MappingStartEvent: "map"}[type(event)]
        if getattr(event, "tag", None) not in (None, "!", _STANDARD + kind):
            self._fault(event, "the tag before this value is not supported; remove it")

    def _fault(self, event: Event, text: str) -> None:
        self.faults.append(Fault(*_at(event), text))


def _resolved(text: str) -> Scalar:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _at(event: Event) -> tuple[int, int]:
    mark: Any = event.start_mark
    return mark.line + 1, mark.column + 1


def _unreadable(text: str, position: int) -> Fault:
    before = text[:position]
    column = position - (before.rfind("\n") + 1) + 1
    return Fault(before.count("\n") + 1, column, "there is an unprintable character here; remove it")


def _a_mark(quoted: re.Match[str]) -> str:
    """Leave what is YAML's own, such as brackets; anything else may be a value."""
    return quoted[0] if _MARKS.fullmatch(quoted[0]) else "…"


def _syntax(text: str, error: yaml.MarkedYAMLError) -> Fault:
    mark: Any = error.problem_mark
    if text[mark.index : mark.index + 1] == "\t":
        return Fault(mark.line + 1, mark.column + 1, "there is a tab here; indent with spaces")
    problem = _QUOTED.sub(_a_mark, error.problem or "")
    cure = "check the indentation, the colons and the quotes, and quote what begins with a special character"
    return Fault(mark.line + 1, mark.column + 1, f"is not valid YAML ({problem}); {cure}")


def echo(name: str) -> str:
    """Return a field's name in backticks, unless it could be a key that was pasted in its place."""
    return f"`{name}`" if _HARMLESS.fullmatch(name) else "a field"


def dotted(path: Path) -> str:
    """Write a path as `keys[1].rotation_period`, with `?` for a name that is better not repeated."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        else:
            text += f".{segment}" if _HARMLESS.fullmatch(segment) else ".?"
    return text.removeprefix(".")
