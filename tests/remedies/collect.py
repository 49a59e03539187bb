"""Every message of the product that may tell its reader what to do, collected from the source as templates."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOLE = "…"
"""Stands for whatever the message names: a table, a number, another message."""

FAMILIES = ("PartmanError", "CommandError")
MISUSE = ("ValueError", "TypeError", "UsageError", "BadParameter")
"""Python's and click's, for wrong arguments. What no argument can bring about is an AssertionError, without a row."""

READERS = ("sa_partman/bounds/bound.py", "sa_partman/bounds/read.py")
READING = ("_infinity", "_read_", "read_time")
"""
Files, and functions by how they begin, that read what the server prints. Why they can't is a part of what
`UnreadableBound` says, and the row of that has what to do; they are not met otherwise.
"""

CARRIERS = {"Finding": (3, 4), "Refusal": (0, 1)}
"""Values that hold a message and a remedy, and where."""

INTERNAL = {"InTheWay", "NotAtOnce", "NotGranted", "Paused", "StallSpent", "TooMany", "Vetoed"}
"""Raised and caught inside the package; what a user reads of them is written where they are caught."""

WORDS = 12
"""Letters of its own without which a template only passes on what others say."""

FORMS = 40
"""Of more texts than these a part of another message is a hole: they are somebody's, and not chosen here."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | None


@dataclass(frozen=True, slots=True)
class Template:
    """
    Args:
        where: File and line, for whoever looks for it.
        text: With `HOLE` for what is filled in.
    """

    where: str
    text: str

    @property
    def line(self) -> str:
        """The text on one line."""
        return self.text.encode("unicode_escape").decode().replace("\\u2026", HOLE)

    def says(self, printed: str) -> bool:
        """Whether *printed* is an example of it."""
        said = bare(printed)
        return all(part in said for part in parts(self.text)) and pattern(self.text).search(said) is not None


@cache
def parts(text: str) -> tuple[str, ...]:
    """Between the holes of *text*; see `bare`."""
    return tuple(bare(text).split(HOLE))


@cache
def pattern(text: str) -> re.Pattern[str]:
    """Finds examples of *text*; see `bare`."""
    return re.compile(".*".join(map(re.escape, parts(text))), re.DOTALL)


@cache
def bare(text: str) -> str:
    """
    Identifiers without their quotes, which a reader need not type and a row need not repeat; and one way to put a
    remedy behind a message.
    """
    return re.sub(r"\s*->\s+", "; ", text.replace('"', ""))


class Source:
    """One file, with what is needed to follow a name in it."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.relative_to(ROOT))
        self.tree = ast.parse(path.read_text())
        self.scopes: dict[ast.AST, Scope] = {}
        self.functions: dict[str, Function] = {}
        self._enter(self.tree, None)

    def _enter(self, node: ast.AST, scope: Scope) -> None:
        self.scopes[node] = scope
        if isinstance(node, Function):
            self.functions[node.name] = scope = node
        for child in ast.iter_child_nodes(node):
            self._enter(child, scope)

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))


class Product:
    """All files of the packages."""

    def __init__(self) -> None:
        paths = sorted(path for package in ("sa_partman", "alembic_ext") for path in (ROOT / package).rglob("*.py"))
        self.sources = [Source(path) for path in paths]

    @cached_property
    def errors(self) -> set[str]:
        """The names of the exceptions whose text a user reads."""
        bases = {
            node.name: {_name(base) for base in node.bases}
            for source in self.sources
            for node in ast.walk(source.tree)
            if isinstance(node, ast.ClassDef)
        }
        found = {*FAMILIES, *MISUSE}
        while more := {name for name, known in bases.items() if known & found} - found:
            found |= more
        return found - INTERNAL

    def templates(self) -> list[Template]:
        """In the order of the files; each text once."""
        found: dict[str, Template] = {}
        for source in self.sources:
            for node, expression in self._messages(source):
                for text in self._forms(source, expression, source.scopes[node], ()):
                    short = re.sub(f"{HOLE}+", HOLE, text)
                    if _letters(short) >= WORDS:
                        found.setdefault(short, Template(f"{source.name}:{expression.lineno}", short))
        return list(found.values())

    def _messages(self, source: Source) -> Iterator[tuple[ast.AST, ast.expr]]:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call):
                yield from ((node, each) for each in self._said(source, node))
            elif isinstance(node, ast.FunctionDef) and node.name in ("message", "remedy"):
                yield from ((each, each.value) for each in _returns(node) if each.value is not None)

    def _said(self, source: Source, call: ast.Call) -> Iterator[ast.expr]:
        name = _name(call.func)
        if name in MISUSE and _reads(source, call):
            return
        if name in self.errors:
            yield from (*call.args, *(each.value for each in call.keywords))
        elif name == "__init__" and source.name.endswith("errors.py"):
            yield from call.args
        elif name in CARRIERS:
            yield from (call.args[place] for place in CARRIERS[name] if place < len(call.args))
            yield from (each.value for each in call.keywords if each.arg in ("message", "remedy", "what", "choices"))

    def _forms(self, source: Source, node: ast.expr, scope: Scope, seen: tuple[ast.AST, ...]) -> list[str]:
        """The texts that *node* may be."""
        if node in seen or len(seen) > 12:
            return [HOLE]

        given = [] if scope is None else [each.arg for each in (*scope.args.args, *scope.args.kwonlyargs)]

        def of(inner: ast.expr) -> list[str]:
            return self._forms(source, inner, scope, (*seen, node))

        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=values):
                own = "".join(str(each.value) if isinstance(each, ast.Constant) else HOLE for each in values)
                return [own] if _letters(own) >= WORDS else _joined([_part(each, given, of) for each in values])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return ["".join(both) for both in product(of(left), of(right))]
            case ast.IfExp(body=body, orelse=orelse):
                return [*of(body), *of(orelse)]
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return [text for part in parts for text in of(part)]
            case ast.Name(id=name):
                return self._named(source, name, scope, (*seen, node)) or [HOLE]
            case ast.Call(func=ast.Name(id=name)) if name in source.functions:
                inner = source.functions[name]
                return [
                    text
                    for each in _returns(inner)
                    if each.value is not None
                    for text in self._forms(source, each.value, inner, (*seen, node))
                ] or [HOLE]
        return [HOLE]

    def _named(self, source: Source, name: str, scope: Scope, seen: tuple[ast.AST, ...]) -> list[str]:
        if scope is not None:
            local = [text for value in _assigned(scope, name) for text in self._forms(source, value, scope, seen)]
            local += self._unpacked(source, scope, name, seen)
            if local:
                return local
            if name in (parameters := [each.arg for each in (*scope.args.posonlyargs, *scope.args.args)]):
                return self._given(source, scope, parameters.index(name), name, seen)
            if name in [each.arg for each in scope.args.kwonlyargs]:
                return self._given(source, scope, -1, name, seen)
        for other in self._constants[name]:
            return self._forms(source, other, None, seen)
        return []

    def _unpacked(self, source: Source, function: Function, name: str, seen: tuple[ast.AST, ...]) -> list[str]:
        """What it is when it is one of the values that another function of the file returns together."""
        found: list[str] = []
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Call(func=ast.Name(id=called))):
                    inner, places = source.functions.get(called), [_name(each) for each in targets]
                    if inner is not None and name in places:
                        for each in _returns(inner):
                            if isinstance(each.value, ast.Tuple):
                                found += self._forms(source, each.value.elts[places.index(name)], inner, seen)
        return found

    def _given(
        self,
        source: Source,
        function: Function,
        place: int,
        name: str,
        seen: tuple[ast.AST, ...],
    ) -> list[str]:
        """What callers pass."""
        found: list[str] = []
        for other in self.sources:
            if other is not source and (function.name.startswith("_") or function.name in other.functions):
                continue
            for call in other.calls():
                if _name(call.func) != function.name:
                    continue
                given = [each.value for each in call.keywords if each.arg == name]
                given += [call.args[place]] if 0 <= place < len(call.args) else []
                for value in given:
                    found += self._forms(other, value, other.scopes[call], seen)
        return found

    @cached_property
    def _constants(self) -> dict[str, list[ast.expr]]:
        found: dict[str, list[ast.expr]] = defaultdict(list)
        for source in self.sources:
            for node in source.tree.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    found[node.targets[0].id].append(node.value)
        return found


def _reads(source: Source, call: ast.Call) -> bool:
    scope = source.scopes[call]
    return source.name in READERS or (scope is not None and scope.name.startswith(READING))


def _part(node: ast.expr, given: list[str], of: Callable[[ast.expr], list[str]]) -> list[str]:
    """The texts that a part of an f-string may be which only passes on what callers write."""
    match node:
        case ast.Constant(value=value):
            return [str(value)]
        case ast.FormattedValue(value=ast.Name(id=name) as inner, conversion=-1, format_spec=None) if name in given:
            return of(inner)
    return [HOLE]


def _letters(text: str) -> int:
    """Of its words; the call that a message is about, such as ``op.create_partition(…, ...)``, has none."""
    words = re.findall(r"\w+", re.sub(r"[\w.…]+\([…\W]*\)", "", text))
    return sum(map(len, words)) if len(words) > 1 else 0


def _joined(parts: list[list[str]]) -> list[str]:
    """Every text of *parts*; one with a hole, where there are too many."""
    few = [part if len(part) <= FORMS else [HOLE] for part in parts]
    return ["".join(chosen) for chosen in product(*few)]


def _returns(function: Function) -> Iterator[ast.Return]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Return))


def _assigned(function: Function, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == name:
                yield node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for left, right in zip(target.elts, node.value.elts, strict=False):
                    if isinstance(left, ast.Name) and left.id == name:
                        yield right


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
