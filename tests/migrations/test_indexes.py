"""Indexes on partitioned tables: autogenerate chooses the form that does not block writers."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

import alembic_ext.operations
from tests.migrations.project import EVENTS, Project

INDEXED = EVENTS + "    note: Mapped[str | None] = mapped_column(index=True)\n"
NOTED = EVENTS + "    note: Mapped[str | None]\n"
LEAVES = """
SELECT count(*) FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
WHERE p.inhparent = 'events'::regclass AND NOT EXISTS (
    SELECT FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisvalid AND h.inhparent = to_regclass('ix_events_note'))
"""


def valid(project: Project) -> list[object]:
    return project.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_events_note')")


def test_an_index_on_a_partitioned_table_is_built_partition_by_partition(project: Project) -> None:
    project.migrate(NOTED)

    written = project.migrate(INDEXED)

    assert "op.create_partitioned_index(" in written
    assert "op.create_index(" not in written
    assert ([True], 0) == (valid(project), project.scalar(LEAVES))

    project.downgrade("-1")

    assert [] == valid(project)


def test_an_index_of_a_new_table_is_an_ordinary_one(project: Project) -> None:
    """There is nothing to wait for yet."""
    project.models(INDEXED)

    written = project.revision()

    assert "create_partitioned_index" not in written


def test_a_dropped_index_is_dropped_with_those_of_its_partitions(project: Project) -> None:
    project.migrate(INDEXED)

    written = project.migrate(NOTED)

    assert "op.drop_partitioned_index(" in written
    assert [] == valid(project)


def test_what_an_interrupted_build_left_is_used_or_replaced(project: Project) -> None:
    """The parent's index is there and invalid, one leaf has its index, another an invalid one."""
    project.migrate(NOTED)
    first, second, *_ = project.partitions("events")
    project.execute("CREATE INDEX ix_events_note ON ONLY events (note)")
    project.execute(f"CREATE INDEX {first}_ix_events_note ON {first} (note)")
    project.execute(f"CREATE INDEX {second}_ix_events_note ON {second} (note)")
    project.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{second}_ix_events_note'::regclass")
    project.written(
        "op.create_partitioned_index('ix_events_note', 'events', ['note'])",
        imports="import alembic_ext.operations  # noqa: F401",
    )

    project.upgrade()

    assert ([True], 0) == (valid(project), project.scalar(LEAVES))


def test_the_plain_form_is_used_where_the_caller_owns_the_transaction(project: Project, engine: sa.Engine) -> None:
    """A test fixture that rolls back everything; the warning says what it costs."""
    project.migrate(NOTED)
    assert alembic_ext.operations is not None
    with engine.connect() as connection, connection.begin():
        op = Operations(MigrationContext.configure(connection))

        with pytest.warns(UserWarning, match="blocks writers"):
            op.create_partitioned_index("ix_events_note", "events", ["note"])  # type: ignore[attr-defined]

        made = connection.exec_driver_sql("SELECT to_regclass('ix_events_note') IS NOT NULL").scalar()

    assert made
