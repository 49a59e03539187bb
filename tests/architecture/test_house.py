"""
The house: imports point down, every public name is documented, and every rule of the design has its test.

What keeps the data, and where it is proved (the numbers are those of DESIGN.md, section 3):

1. known by its bound      integration/maintenance: test_bounds_are_not_read_off_names, test_a_renamed_partition_...
2. expired                 unit/plan/test_prune, properties: test_expired_to_the_microsecond
3. provision, then prune   properties: test_creations_come_before_removals; test_a_failing_table_does_not_stop_another
4. converged: no DDL       integration/maintenance: test_a_second_run_does_nothing
5. half-open, pinned       integration/postgres/test_zones
6. catching up             integration/maintenance: test_catching_up_..., test_a_partition_made_by_hand
7. locks                   integration/maintenance/test_roles_and_locks
8. any prefix of a run     properties: test_a_plan_after_its_own_execution_is_empty; test_a_detach_of_ours_...
12. errors                 unit/orm/test_wrong_declarations
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sa_partman
from sa_partman.errors import PartmanError

ROOT = Path(__file__).parents[2]
PROVED = {
    1: ("test_bounds_are_not_read_off_names", "test_a_renamed_partition_is_the_same_partition"),
    2: ("test_to_the_microsecond", "test_expired_to_the_microsecond", "test_what_never_goes"),
    3: ("test_creations_come_before_removals", "test_a_failing_table_does_not_stop_another"),
    4: ("test_a_second_run_does_nothing",),
    5: ("test_daily_bounds_from_2010_to_2030", "test_the_plan_does_not_depend_on_the_session"),
    6: ("test_catching_up_after_five_missed_periods", "test_a_partition_made_by_hand"),
    7: ("test_a_blocker_holds_the_table", "test_a_reader_defers_a_drop_and_nothing_else"),
    8: ("test_a_plan_after_its_own_execution_is_empty", "test_a_detach_of_ours_that_was_cut_off"),
    12: ("test_an_unknown_column_fails_when_the_class_is_mapped",),
}


def modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            try:
                yield importlib.import_module(found.name)
            except ModuleNotFoundError as error:  # an extra that is not installed
                if error.name is None or error.name.partition(".")[0] == package.__name__:
                    raise


def public() -> Iterator[tuple[str, Any]]:
    """Every class and function that is defined in a module of the package and is not private."""
    for module in modules(sa_partman):
        for name, value in vars(module).items():
            if name.startswith("_") or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            if value.__module__ == module.__name__:
                yield f"{module.__name__}.{name}", value


def test_imports_point_down() -> None:
    """The contract in pyproject.toml holds."""
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if command is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_every_module_says_what_it_is_for() -> None:
    """One subject, and a sentence that names it."""
    assert [] == [module.__name__ for module in modules(sa_partman) if not module.__doc__]


def test_every_exported_name_is_documented() -> None:
    """Whatever ``from sa_partman import`` gives."""
    assert [] == [name for name in sa_partman.__all__ if not inspect.getdoc(getattr(sa_partman, name))]


def test_every_public_class_is_documented() -> None:
    """Inherited docstrings don't count, short DDL elements aside."""
    bare = [name for name, value in public() if inspect.isclass(value) and not value.__dict__.get("__doc__")]

    assert [] == [name for name in bare if not re.search(r"DDL$", name)]


def test_what_the_readme_promises_can_be_imported() -> None:
    """The names that users type."""
    promised = {"Partitioned", "PartitionByRange", "PartitionByList", "PartitionByHash", "Retention", "Maintainer"}

    assert promised <= set(sa_partman.__all__)
    assert all(hasattr(sa_partman, name) for name in sa_partman.__all__)


def test_every_error_is_in_one_tree() -> None:
    """So that one ``except PartmanError`` is enough."""
    raised = [value for _, value in public() if inspect.isclass(value) and issubclass(value, Exception)]
    errors = [value for value in raised if not issubclass(value, Warning)]

    assert errors
    assert [] == [each for each in errors if not issubclass(each, PartmanError)]


def test_every_error_stands_in_the_tree_that_is_drawn() -> None:
    """The first thing that one reads in errors.py is true."""
    from sa_partman import errors

    drawn = {"PartmanError", *re.findall(r"-- ([A-Z][a-zA-Z]+)", errors.__doc__ or "")}
    named = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}

    assert set() == named - drawn


def test_importing_the_package_needs_no_driver() -> None:
    """Nobody has to have psycopg before a connection needs it."""
    code = "import sys, sa_partman; print(*{'psycopg', 'asyncpg', 'rich', 'click', 'alembic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ("", "") == (done.stdout.strip(), done.stderr.strip())


@pytest.mark.parametrize("rule", sorted(PROVED))
def test_every_rule_has_its_test(rule: int) -> None:
    """A test that was renamed or removed leaves a rule without proof."""
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert [] == [name for name in PROVED[rule] if f"def {name}(" not in text]


def test_the_version_of_a_server_is_asked_for_in_one_place() -> None:
    """`ServerFeatures` knows since when a server has what; nobody else compares versions."""
    asking = re.compile(r"server_version_(?:info|num)|\.(?:server|major) *[<>]")
    found = [
        str(path.relative_to(ROOT))
        for package in ("sa_partman", "alembic_ext")
        for path in sorted((ROOT / package).rglob("*.py"))
        if asking.search(path.read_text())
    ]

    assert ["sa_partman/postgres/session.py", "sa_partman/table/features.py"] == found


_VERB = re.compile(
    r"\s*(ALTER|CREATE|DROP|COMMENT ON|GRANT|REVOKE|INSERT INTO|UPDATE|DELETE FROM|SELECT|LOCK TABLE|COPY|ANALYZE|"
    r"TRUNCATE|SET|DO|BEGIN|COMMIT)\s+\S"
)


def test_what_is_planned_is_no_sql() -> None:
    """A plan is made of actions, which ``ddl`` renders; only a refusal says what somebody may type."""
    written = []
    for path in sorted((ROOT / "sa_partman" / "plan").rglob("*.py")):
        tree = ast.parse(path.read_text())
        advice = [
            node
            for node in ast.walk(tree)
            if (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal")
            or (isinstance(node, ast.FunctionDef) and (node.name == "_alter" or "Refusal" in ast.dump(node)))
        ]
        said = {id(inner) for node in advice for inner in ast.walk(node)}
        said |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        written += [
            f"{path.name}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
            if _VERB.match(node.value)
        ]

    assert [] == written
