"""Every cure that the program can print, collected from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.program import ROOT

GAP: Final = "…"
"""What is filled in when it is printed."""
_FINDINGS: Final = {"note": 1, "bad": 1, "Finding": 2}
"""By what makes a finding: which argument is its cure."""
_SAY: Final = {"cure", "_cure", "_untrusted", "_suggestion"}
"""Functions that return one."""
FAULTS: Final = (
    "config/",
    "rules/cadence",
    "rules/shard",
    "rules/times",
    "rules/titles",
    "clients/webhook_signature",
)
"""Where faults of the config are worded: what is wrong, then `;`, then what would be right."""
_NO_FAULTS: Final = {"description", "pattern"}
_DESCRIBE: Final = "lasting"
_LINE: Final = "cure: "


class Cure(NamedTuple):
    """A cure, and the file of the program that words it."""

    file: str
    text: str


def collect() -> set[Cure]:
    """Return all of them. What a file says twice in the same words is one."""
    return {
        Cure(file, " ".join(text.split()))
        for path in sorted((ROOT / "rotator").rglob("*.py"))
        for file in [path.relative_to(ROOT / "rotator").as_posix()]
        for text in _cures(file, path)
        if text.strip(f"; {GAP}")
    }


def _cures(file: str, path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        for given in (*_given(node), *_passed(node, tree)):
            yield from _texts(given, tree, frozenset())
    for text in _messages(tree):
        if file.startswith(FAULTS) and "; " in text and not text.endswith(f"; {GAP}"):
            yield text
        if _LINE in text:
            yield text.partition(_LINE)[2]


def _given(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.keyword(arg="cure" | "trust_cure"):
            yield node.value
        case ast.Call(func=ast.Name(id=name)) if name in _FINDINGS:
            yield from node.args[_FINDINGS[name] :][:1]
        case ast.FunctionDef(name=name) if name in _SAY:
            yield from _returned(node)
        case ast.Assign(targets=[ast.Name(id="cure")], value=value):
            yield value


def _passed(node: ast.AST, tree: ast.AST) -> Iterator[ast.AST]:
    """What is given by its position to a function of this file that takes a cure."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name == node.func.id:
                names = [argument.arg for argument in function.args.args]
                yield from node.args[names.index("cure") :][:1] if "cure" in names else ()


def _texts(node: ast.AST, tree: ast.AST, names: frozenset[str]) -> Iterator[str]:
    """Return what an expression can be, as far as this file words it. `names`: those that led here."""
    match node:
        case ast.Constant(str()) | ast.JoinedStr():
            yield _text(node)
        case ast.IfExp(body=body, orelse=other):
            inner: list[ast.AST] = [body, other]
            yield from _all(inner, tree, names)
        case ast.BoolOp(values=values) | ast.Dict(values=values):
            yield from _all(list(values), tree, names)
        case ast.Subscript(value=value):
            yield from _texts(value, tree, names)
        case ast.Name(id=name) if name not in names:
            yield from _all(_assigned(tree, name), tree, names | {name})
        case ast.Call(func=ast.Name(id=name)):
            called = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.name == name]
            yield from _all([value for function in called for value in _returned(function)], tree, names)
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.List(elts=parts)]):
            yield " ".join(map(_text, parts))


def _all(nodes: list[ast.AST], tree: ast.AST, names: frozenset[str]) -> Iterator[str]:
    for node in nodes:
        yield from _texts(node, tree, names)


def _assigned(tree: ast.AST, name: str) -> list[ast.AST]:
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                found.append(value)
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                found.append(value)
    return found


def _returned(function: ast.FunctionDef) -> list[ast.AST]:
    return [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]


def _messages(node: ast.AST) -> Iterator[str]:
    """Every text, but docstrings and what describes a field."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.keyword(arg=name) if name in _NO_FAULTS:
            return
        case ast.Call(func=ast.Name(id=name)) if name == _DESCRIBE:
            return
        case ast.Constant(str()) | ast.JoinedStr():
            yield _text(node)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _messages(child)


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(str(value)):
            return value
        case ast.JoinedStr(values):
            return "".join(map(_text, values))
        case _:
            return GAP
