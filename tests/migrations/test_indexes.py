"""Indexes on partitioned tables: autogenerate chooses the form that does not block writers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError

import alembic_ext.operations
from tests.migrations.project import EVENTS, Project
from tests.support.waits import Bell, busy

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


BLOCK = """
with op.get_context().autocommit_block():
    {0}
"""
BUILT = "op.create_partitioned_index('ix_events_note', 'events', ['note'])"
IMPORT = "import alembic_ext.operations  # noqa: F401"


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to the server meanwhile."""
    seen: list[str] = []

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_an_autocommit_block_around_it_is_what_it_needs(project: Project) -> None:
    """The usual wrapping of CREATE INDEX CONCURRENTLY; it is no transaction of the caller's."""
    project.migrate(NOTED)
    project.written(BLOCK.format(BUILT), BLOCK.format("op.drop_partitioned_index('ix_events_note', 'events')"), IMPORT)

    with statements() as seen:
        project.upgrade()

    assert 3 == len([sql for sql in seen if sql.startswith("CREATE INDEX CONCURRENTLY ")])
    assert ([True], 0) == (valid(project), project.scalar(LEAVES))

    project.downgrade("-1")

    assert [] == valid(project)


@pytest.mark.parametrize(
    ("before", "level", "said"),
    [
        ("", logging.INFO, "nothing was changed before"),
        ("op.execute('CREATE TABLE before_it (id int)')", logging.WARNING, "was done before it stays"),
    ],
    ids=["alone", "behind another step"],
)
def test_what_it_does_to_the_transaction_is_said(
    project: Project, caplog: pytest.LogCaptureFixture, before: str, level: int, said: str
) -> None:
    project.migrate(NOTED)
    project.written(f"{before}\n{BUILT}\nop.execute('SELECT 1 / 0')", imports=IMPORT)
    caplog.set_level(logging.INFO, "alembic_ext")

    with pytest.raises(sa.exc.DataError):
        project.upgrade()

    records = [(each.levelno, each.getMessage()) for each in caplog.records if each.name.startswith("alembic_ext")]
    assert [level] == [found for found, _ in records]
    assert records[0][1].startswith("op.create_partitioned_index('ix_events_note', ...)")
    assert said in records[0][1]
    assert [True] == valid(project)


def test_an_index_outside_of_any_transaction_is_built_concurrently(project: Project, engine: sa.Engine) -> None:
    """Our own look into the catalog is no transaction of the caller's."""
    project.migrate(NOTED)
    with engine.connect() as connection:
        Operations(MigrationContext.configure(connection)).create_partitioned_index(  # type: ignore[attr-defined]
            "ix_events_note", "events", ["note"]
        )

    assert ([True], 0) == (valid(project), project.scalar(LEAVES))


def test_a_script_says_that_its_index_blocks_writers(project: Project) -> None:
    project.migrate(NOTED)
    project.written(BUILT, imports=IMPORT)

    script = project.sql("head")

    assert "-- op.create_partitioned_index('ix_events_note', ...): this blocks writers; only on a connection" in script


def test_a_writer_is_not_queued_behind(project: Project, engine: sa.Engine) -> None:
    """The short lock on the table is asked for under a timeout of ours; the session's own comes back afterwards."""
    project.migrate(NOTED)
    with statements() as seen:
        project.migrate(INDEXED)

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

    with pytest.raises(CommandError, match=r"is no index of public\.events; nothing was changed"):
        project.upgrade()


class TestForeignTables:
    """Cold storage behind a foreign data wrapper: PostgreSQL counts such a partition, and it can have no index."""

    @pytest.fixture
    def cold(self, project: Project) -> Project:
        project.migrate(NOTED)
        project.execute("ALTER TABLE events DROP CONSTRAINT events_pkey")  # which foreign partitions forbid
        project.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w")
        project.execute(
            "CREATE FOREIGN TABLE cold PARTITION OF events FOR VALUES FROM ('2001-01-01') TO ('2001-02-01') SERVER far"
        )
        return project

    def test_local_partitions_are_built_concurrently_and_taken_over(self, cold: Project) -> None:
        cold.written(BUILT, imports=IMPORT)

        with statements() as seen:
            cold.upgrade()

        assert 3 == len([sql for sql in seen if sql.startswith("CREATE INDEX CONCURRENTLY ")])
        assert ([True], 1) == (valid(cold), cold.scalar(LEAVES))
        assert 3 == cold.scalar(
            "SELECT count(*) FROM pg_index WHERE indrelid::regclass::text LIKE 'events_p%' "
            "AND pg_get_indexdef(indexrelid) LIKE '%(note)'"
        )

    def test_a_unique_index_is_refused(self, cold: Project) -> None:
        cold.written("op.create_partitioned_index('ux', 'events', ['id', 'created_at'], unique=True)", imports=IMPORT)

        with pytest.raises(CommandError, match=r"public\.ux is unique, and public\.cold is a foreign table"):
            cold.upgrade()

        assert [None] == cold.rows("SELECT to_regclass('ux')")

    def test_what_was_begun_in_the_other_way_has_to_go(self, cold: Project) -> None:
        """Its parts can't be taken from it; the remedy is the one that the message names."""
        cold.execute("CREATE INDEX ix_events_note ON ONLY events (note)")
        cold.written(BUILT, imports=IMPORT)

        with pytest.raises(CommandError, match=r'DROP INDEX "public"\."ix_events_note", and run this again'):
            cold.upgrade()
        cold.execute('DROP INDEX "public"."ix_events_note"')
        cold.upgrade()

        assert [True] == valid(cold)


def test_the_partition_that_lacked_its_part_may_be_gone(project: Project) -> None:
    """PostgreSQL counts again when a part is attached once more."""
    project.migrate(NOTED)
    first, second, third = project.partitions("events")
    project.execute("CREATE INDEX ix_events_note ON ONLY events (note)")
    for each in (first, second):
        project.execute(f"CREATE INDEX {each}_i ON {each} (note); ALTER INDEX ix_events_note ATTACH PARTITION {each}_i")
    project.execute(f"DROP TABLE {third}")
    project.written(BUILT, imports=IMPORT)
    assert [False] == valid(project)

    project.upgrade()

    assert ([True], 0) == (valid(project), project.scalar(LEAVES))


@pytest.mark.parametrize("divided", [False, True], ids=["one level", "two levels"])
def test_an_index_that_was_begun_for_partitions_that_are_gone(project: Project, divided: bool) -> None:
    project.migrate(NOTED)
    project.execute("CREATE INDEX ix_events_note ON ONLY events (note)")
    for each in project.partitions("events"):
        project.execute(f"DROP TABLE {each}")
    if divided:
        project.execute("CREATE TABLE part (LIKE events) PARTITION BY RANGE (id)")
        project.execute("ALTER TABLE events ATTACH PARTITION part FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')")
    project.written(BUILT, imports=IMPORT)

    project.upgrade()

    assert [True] == valid(project)


def test_a_branch_counts_again_before_its_table_does(project: Project) -> None:
    project.migrate(NOTED)
    project.execute("CREATE TABLE part (LIKE events) PARTITION BY RANGE (id)")
    project.execute("CREATE TABLE part_a PARTITION OF part FOR VALUES FROM (0) TO (9)")
    project.execute("CREATE TABLE part_b PARTITION OF part FOR VALUES FROM (9) TO (19)")
    project.execute("CREATE INDEX part_i ON ONLY part (note)")
    project.execute("CREATE INDEX part_a_i ON part_a (note); ALTER INDEX part_i ATTACH PARTITION part_a_i")
    project.execute("ALTER TABLE events ATTACH PARTITION part FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')")
    project.execute(
        "CREATE INDEX ix_events_note ON ONLY events (note); ALTER INDEX ix_events_note ATTACH PARTITION part_i"
    )
    project.execute("DROP TABLE part_b")
    project.written(BUILT, imports=IMPORT)

    project.upgrade()

    assert ([True], 0) == (valid(project), project.scalar(LEAVES))


def test_what_a_build_waits_for_is_said(project: Project, engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> None:
    """By a logger of Alembic's, so that alembic.ini shows it; the migration goes on when that transaction has ended."""
    caplog.set_level(logging.INFO, "alembic.sa_partman")
    project.migrate(NOTED)
    with busy(engine, "SELECT 1", isolation="REPEATABLE READ") as (pid, bell), ringing(bell):
        project.migrate(INDEXED)

    said = [each.getMessage() for each in caplog.records if each.name == "alembic.sa_partman"]
    assert [True] == valid(project)
    assert "waiting for the end of older transactions, to build public.events_p" in said[0]
    assert f"held up by pid {pid} (nightly report) idle in transaction" in said[0]
    assert "no longer waiting for" in said[1]


@contextmanager
def ringing(bell: Bell) -> Iterator[None]:
    """The bell rings when the log says that somebody waits."""

    class Ringing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            bell.release()

    handler = Ringing()
    logger = logging.getLogger("alembic.sa_partman")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
