"""Indexes on partitioned tables: autogenerate chooses the form that does not block writers."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError

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


def test_a_writer_is_not_queued_behind(project: Project, engine: sa.Engine) -> None:
    """The short lock on the table is asked for under a timeout of ours; the session's own comes back afterwards."""
    project.migrate(NOTED)
    seen: list[str] = []

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    try:
        project.migrate(INDEXED)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)

    only = next(place for place, sql in enumerate(seen) if " ON ONLY " in sql)
    timeouts = [sql for sql in seen if sql.startswith("SET lock_timeout")]
    assert "SET lock_timeout = '200ms'" in seen[:only]
    assert "SET lock_timeout = '0'" == timeouts[-1]


def test_an_index_of_that_name_on_another_table_is_refused(project: Project) -> None:
    project.migrate(NOTED)
    project.execute("CREATE TABLE other (note text)")
    project.execute("CREATE INDEX ix_events_note ON other (note)")
    project.models(INDEXED)
    project.written(
        "op.create_partitioned_index('ix_events_note', 'events', ['note'])",
        imports="import alembic_ext.operations  # noqa: F401",
    )

    with pytest.raises(CommandError, match="is no index of events"):
        project.upgrade()
