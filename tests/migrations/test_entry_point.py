"""The ``alembic.plugins`` entry point, which Alembic 1.18 and later load while they are half imported."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import alembic
import pytest
from alembic.operations import Operations

from alembic_ext import plugin

ROOT = Path(__file__).parents[2]
SINCE = tuple(map(int, alembic.__version__.split(".")[:2])) >= (1, 18)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that makes Python see the entry point, as an installed wheel does; empty where one is installed."""
    if any(each.value == "alembic_ext.plugin" for each in entry_points(group="alembic.plugins")):
        return tmp_path
    info = tmp_path / "sa_partman_entry_point-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sa-partman-entry-point\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[alembic.plugins]\nsa_partman.alembic_ext = alembic_ext.plugin\n")
    return tmp_path


def python(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    paths = ":".join(map(str, (*folders, ROOT)))
    program = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(program, capture_output=True, text=True, env={"PYTHONPATH": paths, "PATH": ""}, check=False)


def test_alembic_can_be_imported(installed: Path) -> None:
    ended = python("import alembic, alembic.command, alembic.autogenerate", installed)

    assert (0, "") == (ended.returncode, ended.stderr)


def test_a_project_that_only_has_it_installed_is_left_alone(installed: Path) -> None:
    """Importing sa_partman listens to events of every Table, and our guards replace what Alembic does."""
    code = """
import sys
import alembic.command
from alembic.operations import Operations
registered = Operations._to_impl._registry.values()
print("sa_partman" in sys.modules, {each.__module__.partition(".")[0] for each in registered})
"""
    ended = python(code, installed)

    assert ("", "False {'alembic'}\n") == (ended.stderr, ended.stdout)


def test_the_entry_point_offers_every_operation() -> None:
    import alembic_ext.operations  # noqa: F401

    offered = [name for name, each in vars(Operations).items() if _module(each).startswith("alembic_ext.")]

    assert list(plugin.OPERATIONS) == sorted(offered)


def _module(operation: object) -> str:
    registered = getattr(operation, "__globals__", {}).get("op_cls")
    return str(getattr(registered, "__module__", ""))


@pytest.mark.skipif(not SINCE, reason="Alembic before 1.18 has no plugins")
def test_an_operation_works_without_a_line_in_env_py(installed: Path, database_url: str) -> None:
    code = f"""
import sys
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
engine = create_engine({database_url!r})
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE t (k text NOT NULL) PARTITION BY LIST (k)")
    op = Operations(MigrationContext.configure(connection))
    op.create_partition("t_a", "t", values=["a"])
    print(connection.exec_driver_sql("SELECT to_regclass('t_a')").scalar())
engine.dispose()
"""
    ended = python(code, installed)

    assert ("", "t_a\n") == (ended.stderr, ended.stdout)


@pytest.mark.skipif(not SINCE, reason="Alembic before 1.18 has no plugins")
def test_the_operations_are_there_without_a_line_in_env_py(installed: Path) -> None:
    ended = python("from alembic import op; print(op.create_partition.__name__)", installed)

    assert "create_partition\n" == ended.stdout


def test_our_package_may_come_first(installed: Path) -> None:
    ended = python(
        "import alembic_ext.autogenerate; from alembic import op; print(op.attach_partition.__name__)", installed
    )

    assert (0, "attach_partition\n", "") == (ended.returncode, ended.stdout, ended.stderr)


def test_our_package_alone_imports_nothing_of_alembic() -> None:
    ended = python("import sys, alembic_ext; print('alembic' in sys.modules)")

    assert "False\n" == ended.stdout


@pytest.mark.skipif(not SINCE, reason="Alembic before 1.18 has no plugins")
@pytest.mark.parametrize("line", ["", "import alembic_ext.autogenerate"], ids=["plugin", "both"])
def test_both_ways_at_once_run_once(installed: Path, database_url: str, line: str) -> None:
    code = f"""
{line}
import alembic
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, MetaData, Table, Text, create_engine
from sa_partman import PartitionByList
metadata = MetaData()
Table("t", metadata, Column("k", Text, nullable=False), PartitionByList("k", values=["a"]))
Table("u", metadata, Column("k", Text, nullable=False), PartitionByList("k", values=["a"]))
opts = {{"target_metadata": metadata, "autogenerate_plugins": ["alembic.autogenerate.*", "sa_partman.*"]}}
engine = create_engine({database_url!r})
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE u (k text NOT NULL) PARTITION BY LIST (k)")
with engine.connect() as connection:
    made = produce_migrations(MigrationContext.configure(connection, opts=opts), metadata)
engine.dispose()
written = render_python_code(made.upgrade_ops)
print(written.count("provision_partitions"), written.count("create_partition"))
"""
    ended = python(code, installed)

    assert ("", "1 1\n") == (ended.stderr, ended.stdout)
