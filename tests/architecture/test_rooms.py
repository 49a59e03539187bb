"""The rooms of the house: what stands where, how large a room is, and that no way through them is a circle."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sa_partman", "alembic_ext")

SEAMS = {
    "alembic_ext/autogenerate.py": "what an env.py imports",
    "sa_partman/__main__.py": "what python -m runs",
    "sa_partman/bounds/values.py": "what migrations import",
    "sa_partman/version.py": "what the build reads",
}
"""Rooms that somebody outside knows by their name, however small they are."""

SENDS_SQL = (
    "sa_partman/ddl/",
    "sa_partman/demo/application.py",
    "sa_partman/postgres/audit.py",
    "sa_partman/postgres/journal.py",
)
"""
Where statements are written that change something: those of plans, of the tables that we keep, and of an application
that is shown.
"""

SAYS_SQL = (
    "sa_partman/archive/tables.py",  # what an archive's manifest says of its table
    "sa_partman/checks/",
    "sa_partman/compare/",
    "sa_partman/engine/detach.py",
    "sa_partman/plan/conversion/refusals.py",
    "sa_partman/postgres/table_reader.py",  # what is dropped with a table, as it is made again
    "sa_partman/table/",
)
"""Where statements are messages for people to run, or the printed definition of what is there."""

VERB = re.compile(
    r"\s*(ALTER|CREATE|DROP|INSERT|DELETE|UPDATE|TRUNCATE|LOCK|GRANT|REVOKE|COMMENT|REINDEX|VACUUM)\s+"
    r"(UNIQUE |ONLY )?(TABLE|INDEX|SCHEMA|FROM|INTO|ON|TRIGGER|POLICY|PUBLICATION|CONSTRAINT|SEQUENCE|STATISTICS)\b"
)


@cache
def rooms() -> dict[str, ast.Module]:
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


def test_a_class_name_means_one_thing() -> None:
    """Whoever reads a name need not ask which one is meant."""
    homes = defaultdict(list)
    for room, tree in rooms().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(room)

    assert {} == {name: places for name, places in homes.items() if len(places) > 1}


def _texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """String literals that are no docstrings."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


def test_statements_are_written_in_few_rooms() -> None:
    """So that quoting, guards and ONLY are right in one place."""
    found = {
        f"{room}:{node.lineno} {str(node.value)[:40]}"
        for room, tree in rooms().items()
        if not room.startswith((*SENDS_SQL, *SAYS_SQL))
        for node in _texts(tree)
        if VERB.match(str(node.value))
    }

    assert set() == found


def _public(body: list[ast.stmt], of: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body, f"{of}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield f"{of}{node.name}", node


def _raised(node: ast.AST) -> Iterator[str]:
    """The errors that *node* makes itself; what functions inside of it raise is theirs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            yield ast.unparse(child.exc.func)
        yield from _raised(child)


def test_public_functions_say_what_they_raise() -> None:
    """Commands aside, whose docstrings are what ``--help`` prints."""
    silent = {
        f"{room}: {name} raises {', '.join(raised)}"
        for room, tree in rooms().items()
        if not room.startswith("sa_partman/cli/commands/")
        for name, function in _public(tree.body)
        if (raised := sorted(set(_raised(function)) - {"NotImplementedError", "AssertionError", "AttributeError"}))
        and "Raises:" not in (ast.get_docstring(function) or "")
    }

    assert set() == silent


def test_no_room_is_too_small_to_stand_alone() -> None:
    """Or so large that one can't see its subject."""
    sizes = {room: len((ROOT / room).read_text().splitlines()) for room in rooms() if not room.endswith("__init__.py")}
    commands = "sa_partman/cli/commands/"  # one a file, found by its name

    assert {} == {
        room: size
        for room, size in sizes.items()
        if (size < 40 and room not in SEAMS and not room.startswith(commands)) or size > 500
    }
    assert set(SEAMS) <= set(sizes)


def _imports(tree: ast.Module, known: set[str]) -> Iterator[str]:
    """The rooms that are entered when *tree* is imported."""

    def statements(body: list[ast.stmt]) -> Iterator[ast.ImportFrom]:
        for node in body:
            if isinstance(node, ast.ImportFrom):
                yield node
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from statements(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from statements([each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)])

    for node in statements(tree.body):
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if inner in known or node.module in known:
                yield inner if inner in known else str(node.module)


def test_no_way_through_the_rooms_is_a_circle() -> None:
    """Also within a floor, where the contracts of import-linter don't look."""
    named = {
        room.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree for room, tree in rooms().items()
    }
    ways = {name: set(_imports(tree, set(named))) - {name} for name, tree in named.items()}
    while leaves := [name for name, after in ways.items() if not after & set(ways)]:
        for name in leaves:
            del ways[name]
    entered = {each for after in ways.values() for each in after}

    assert set() == set(ways) & entered


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_hides_from_the_contracts(package: str) -> None:
    """``import_module`` with a name of ours would be one; commands and exported names are found so on purpose."""
    hidden = {
        f"{room}:{node.lineno}"
        for room, tree in rooms().items()
        if room.startswith(package) and room not in ("sa_partman/__init__.py", "sa_partman/cli/main.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and "import_module" in ast.unparse(node.func)
        and re.search(r"['\"](sa_partman|alembic_ext)", ast.unparse(node))
    }

    assert set() == hidden


def test_files_that_contributors_are_sent_to_are_there() -> None:
    """The map in CONTRIBUTING.md is true."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:sa_partman|alembic_ext|tests|docs|benchmarks)/[\w/.]+|[\w.]+\.(?:py|md|toml))`", page)

    assert len(named) > 40
    assert [] == [each for each in named if not (ROOT / each).exists()]


def test_the_glossary_is_short() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    words = page.partition("| word | meaning |")[2].partition("## The rooms")[0]

    assert len(re.findall(r"^\| \w", words, re.MULTILINE)) <= 20
