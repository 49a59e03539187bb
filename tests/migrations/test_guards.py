"""
Every operation of Alembic's on a partitioned table and on a partition: carried, refused in one sentence, or as ever.

The table below has a row for each of them; whatever Alembic adds fails the first test until it has one.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from alembic.operations import Operations, ops
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from sa_partman.marks import mark_of
from tests.migrations.project import EVENTS, Project

IMPORTS = "import alembic_ext.operations\nfrom sa_partman import PartitionByRange"
BATCH = "with op.batch_alter_table({name!r}, recreate={recreate!r}) as batch:\n    batch."


@dataclass(frozen=True, slots=True)
class Row:
    """
    What becomes of an operation.

    Args:
        table: On the partitioned table: "" when it is done, else what is said.
        partition: The same on one of its partitions.
        holds: SQL that is true afterwards on the table; {name} is the table.
    """

    operation: type[ops.MigrateOperation]
    call: str
    table: str = ""
    partition: str = ""
    holds: str = "true"


ALL = (
    "(SELECT count(*) FROM pg_partition_tree('events') t WHERE {}) = (SELECT count(*) FROM pg_partition_tree('events'))"
)
COLUMN = ALL.format("EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.relid AND a.attname = '{}' AND {})")
CONSTRAINT = ALL.format("EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = t.relid AND c.contype = '{}')")
NO_CONSTRAINT = ALL.format("NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = t.relid AND c.contype = '{}')")
INDEX = ALL.format(
    "EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.relid AND pg_get_indexdef(i.indexrelid) LIKE '%%({})')"
)

ROWS = [
    # Columns: PostgreSQL changes all partitions with the table, and no partition alone.
    Row(
        ops.AddColumnOp,
        "op.add_column({name!r}, sa.Column('extra', sa.Integer))",
        partition="cannot add column to a partition",
        holds=COLUMN.format("extra", "true"),
    ),
    Row(
        ops.DropColumnOp,
        "op.drop_column({name!r}, 'note')",
        partition="cannot drop inherited column",
        holds=COLUMN.format("created_at", "true"),
    ),
    Row(
        ops.DropColumnOp,
        "op.drop_column({name!r}, 'created_at')",
        "partition key of events, and PostgreSQL can't drop",
        "cannot drop inherited column",
    ),
    Row(
        ops.AlterColumnOp,
        "op.alter_column({name!r}, 'note', type_=sa.String(200))",
        partition="cannot alter inherited column",
        holds=COLUMN.format("note", "a.atttypmod = 204"),
    ),
    Row(
        ops.AlterColumnOp,
        "op.alter_column({name!r}, 'created_at', type_=sa.DateTime())",
        "partition key of events, and PostgreSQL can't change the type",
        "cannot alter inherited column",
    ),
    Row(
        ops.AlterColumnOp,
        "op.alter_column({name!r}, 'created_at', new_column_name='at')",
        partition="cannot rename inherited column",
        holds=COLUMN.format("at", "true"),
    ),
    Row(
        ops.AlterColumnOp,
        "op.alter_column({name!r}, 'note', server_default='x')",
        holds=COLUMN.format("note", "a.atthasdef"),
    ),
    Row(
        ops.AlterColumnOp,
        "op.alter_column({name!r}, 'note', nullable=False)",
        holds=COLUMN.format("note", "a.attnotnull"),
    ),
    Row(ops.AlterColumnOp, "op.alter_column({name!r}, 'note', comment='said')"),
    # Constraints: those of the table are its partitions' too; a key holds the partition key.
    Row(
        ops.CreateCheckConstraintOp,
        "op.create_check_constraint('positive', {name!r}, 'id > 0')",
        holds=CONSTRAINT.format("c"),
    ),
    Row(
        ops.CreateUniqueConstraintOp,
        "op.create_unique_constraint('once', {name!r}, ['note', 'created_at'])",
        holds=CONSTRAINT.format("u"),
    ),
    Row(
        ops.CreateUniqueConstraintOp,
        "op.create_unique_constraint('once', {name!r}, ['note'])",
        "must include all partitioning columns",
    ),
    Row(
        ops.CreateForeignKeyOp,
        "op.create_foreign_key('kind', {name!r}, 'kinds', ['id'], ['id'])",
        holds=CONSTRAINT.format("f"),
    ),
    Row(
        ops.DropConstraintOp,
        "op.drop_constraint('events_pkey', {name!r}, type_='primary')",
        partition="does not exist",
        holds=NO_CONSTRAINT.format("p"),
    ),
    Row(
        ops.CreatePrimaryKeyOp,
        "op.create_primary_key('again', {name!r}, ['created_at', 'id'])",
        "multiple primary keys",
        "multiple primary keys",
    ),
    Row(
        ops.CreatePrimaryKeyOp,
        "op.drop_constraint('events_pkey', 'events')\nop.create_primary_key('again', {name!r}, ['created_at', 'id'])",
        holds="to_regclass('again') IS NOT NULL",
    ),
    # Indexes: of the table on all partitions, in one transaction; concurrently they have an operation of ours.
    Row(ops.CreateIndexOp, "op.create_index('by_note', {name!r}, ['note'])", holds=INDEX.format("note")),
    Row(
        ops.CreateIndexOp,
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('by_note', {name!r}, ['note'], postgresql_concurrently=True)",
        r"PostgreSQL can't do that; nothing was changed. op.create_partitioned_index\(\)",
    ),
    Row(
        ops.DropIndexOp,
        "op.create_index('by_note', {name!r}, ['note'])\nop.drop_index('by_note', {name!r})",
        holds="to_regclass('by_note') IS NULL",
    ),
    Row(
        ops.DropIndexOp,
        "op.create_index('by_note', {name!r}, ['note'])\nwith op.get_context().autocommit_block():\n"
        "    op.drop_index('by_note', {name!r}, postgresql_concurrently=True)",
        r"op.drop_partitioned_index\(\) locks the table for an instant",
    ),
    # Tables.
    Row(
        ops.CreateTableOp,
        "op.create_table({name!r}, sa.Column('id', sa.Integer))",
        "already exists",
        "already exists",
    ),
    Row(
        ops.DropTableOp,
        "op.drop_table({name!r})",
        partition="is a partition of public.events, and its rows would be lost",
        holds="to_regclass('events') IS NULL",
    ),
    Row(
        ops.RenameTableOp,
        "op.rename_table({name!r}, 'later')",
        holds="(SELECT count(*) FROM pg_partition_tree('later')) > 1",
    ),
    Row(
        ops.CreateTableCommentOp,
        "op.create_table_comment({name!r}, 'said')",
        holds="obj_description('events'::regclass) = 'said'",
    ),
    Row(ops.DropTableCommentOp, "op.drop_table_comment({name!r})"),
    # Rows and plain SQL are left alone.
    Row(
        ops.BulkInsertOp,
        "columns = (sa.column('id', sa.BigInteger), sa.column('created_at', sa.DateTime(True)))\n"
        "op.bulk_insert(sa.table({name!r}, *columns), [{{'id': 900, 'created_at': now}}])",
        holds="EXISTS (SELECT FROM events WHERE id = 900)",
    ),
    Row(
        ops.ExecuteSQLOp,
        "op.execute('ALTER TABLE {name} SET SCHEMA app')",
        holds="to_regclass('app.events') IS NOT NULL",
    ),
]
PARTITION = "events_now"
SETUP = f"""
CREATE TABLE events (id bigint, created_at timestamptz, note text, PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE {PARTITION} PARTITION OF events FOR VALUES FROM ('2000-01-01') TO ('2100-01-01');
CREATE TABLE kinds (id bigint PRIMARY KEY);
INSERT INTO kinds VALUES (1);
INSERT INTO events VALUES (1, '2026-01-01', 'a');
CREATE SCHEMA app
"""


@pytest.fixture
def table(project: Project) -> Project:
    for statement in SETUP.split(";"):
        project.execute(statement.replace(":", r"\:"))
    return project


def tried(project: Project, call: str, said: str) -> None:
    """Runs *call* in a migration; *said* is why it fails, if it does."""
    project.written(
        call, imports=f"{IMPORTS}\nfrom datetime import datetime, UTC\nnow = datetime(2026, 1, 1, tzinfo=UTC)"
    )
    if not said:
        project.upgrade()
        return
    with pytest.raises((CommandError, DBAPIError), match=said):
        project.upgrade()


def test_every_operation_of_alembic_has_a_row() -> None:
    known = {row.operation for row in ROWS}
    implemented = {kind for kind, _ in Operations._to_impl._registry if kind.__module__.startswith("alembic.")}
    constraints = {
        each for each in vars(ops).values() if isinstance(each, type) and issubclass(each, ops.AddConstraintOp)
    }

    assert set() == (implemented | constraints) - known - {ops.AddConstraintOp}


def _label(row: Row) -> str:
    return row.call.replace("{name!r}", "...")[:60]


@pytest.mark.parametrize("row", ROWS, ids=_label)
def test_on_a_partitioned_table(table: Project, row: Row) -> None:
    rows = table.rows("SELECT id, note FROM events")
    tried(table, row.call.format(name="events"), row.table)

    assert [True] == table.rows(f"SELECT {row.holds}".replace(":", r"\:")) or row.table
    if row.table:
        assert rows == table.rows("SELECT id, note FROM events")


@pytest.mark.parametrize("row", ROWS, ids=_label)
def test_on_a_partition(table: Project, row: Row) -> None:
    """Refused, or done to it alone; it stays a partition."""
    tried(table, row.call.format(name=PARTITION), row.partition)

    assert [1] == table.rows(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass".replace(":", r"\:")
    ) or ("SET SCHEMA" in row.call)


@pytest.mark.parametrize("name", ["events", PARTITION])
@pytest.mark.parametrize("recreate", ["always", "auto", "never"])
def test_a_batch_makes_no_plain_table_of_it(table: Project, name: str, recreate: str) -> None:
    call = BATCH.format(name=name, recreate=recreate) + "create_check_constraint('positive', 'id > 0')"
    said = r"it is (partitioned|a partition of events), and would be made anew as a plain.*Leave recreate='always' out"
    tried(table, call, said if recreate == "always" else "")

    assert [("p", 1)] == table.rows(
        "SELECT CAST(relkind AS text), (SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid) "
        "FROM pg_class c WHERE relname = 'events'"
    )
    assert [1] == table.rows("SELECT count(*) FROM events")


def test_a_batch_outside_of_a_transaction_is_committed(table: Project) -> None:
    """What looks first leaves no transaction open that nobody commits."""
    call = "with op.get_context().autocommit_block():\n    with op.batch_alter_table('events') as batch:\n"
    tried(
        table, call + "        batch.add_column(sa.Column('extra', sa.Integer))\n        batch.drop_column('note')", ""
    )

    assert [1] == table.rows(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'events' AND column_name = 'extra'"
    )


@pytest.mark.parametrize("recreate", ["always", "auto"])
def test_a_batch_on_an_ordinary_table_goes_on_as_ever(table: Project, recreate: str) -> None:
    call = BATCH.format(name="kinds", recreate=recreate) + "add_column(sa.Column('extra', sa.Integer))"
    tried(table, call, "")

    assert [1] == table.rows("SELECT id FROM kinds WHERE extra IS NULL")


# -- with --sql --------------------------------------------------------------------------------------------------------

COPY = (
    "with op.batch_alter_table({name!r}, recreate='always', copy_from=sa.Table({name!r}, sa.MetaData(), "
    "sa.Column('id', sa.BigInteger))) as batch:\n    batch.add_column(sa.Column('extra', sa.Integer))"
)


@pytest.mark.parametrize("name", ["events", PARTITION])
def test_the_script_of_a_batch_asks_before_it_makes_a_table_anew(table: Project, name: str) -> None:
    table.written(COPY.format(name=name), imports=IMPORTS)
    script = table.sql()

    with pytest.raises(DBAPIError, match="would be made anew as a plain table"):
        _typed(table, script)

    assert [1] == table.rows("SELECT count(*) FROM events")


def test_the_script_of_a_batch_on_an_ordinary_table_runs(table: Project) -> None:
    table.written(COPY.format(name="kinds"), imports=IMPORTS)

    _typed(table, table.sql())

    assert [1] == table.rows("SELECT id FROM kinds WHERE extra IS NULL")


def test_the_script_of_a_dropped_table_asks_whether_it_is_a_partition(table: Project) -> None:
    """Under a name of which format() would make something, too."""
    table.execute(f'ALTER TABLE {PARTITION} RENAME TO "50%s of it"')
    table.written("op.drop_table('50%s of it')", imports=IMPORTS)
    script = table.sql()

    with pytest.raises(DBAPIError, match=r"op.drop_table\('50%s of it'\): it is a partition of events, and its rows"):
        _typed(table, script)

    assert [1] == table.rows("SELECT count(*) FROM events")


def test_the_script_of_a_dropped_table_drops_an_ordinary_one(table: Project) -> None:
    table.written(
        "op.create_table('made', sa.Column('id', sa.Integer))\nop.drop_table('made')\nop.drop_table('kinds')",
        imports=IMPORTS,
    )
    script = table.sql()
    _typed(table, script)

    assert not table.exists("kinds")
    assert 1 == script.count("is a partition of")


MADE = (
    "op.create_table('items', sa.Column('at', sa.Date, nullable=False), postgresql_partition_by='RANGE (at)')\n"
    "op.create_partition('items_2026', 'items', lower='2026-01-01', upper='2027-01-01')\n"
)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("op.drop_table('items_2026')", "this script makes it a partition"),
        (COPY.format(name="items"), "partitioned, or a partition"),
        (COPY.format(name="items_2026"), "partitioned, or a partition"),
    ],
    ids=["drop", "batch", "batch-of-a-partition"],
)
def test_what_a_script_has_made_itself_it_does_not_ruin(project: Project, call: str, said: str) -> None:
    project.written(MADE + call, imports=IMPORTS)

    with pytest.raises(CommandError, match=said):
        project.sql()


def test_what_a_script_has_detached_it_may_drop(project: Project) -> None:
    project.written(MADE + "op.detach_partition('items_2026', 'items')\nop.drop_table('items_2026')", imports=IMPORTS)

    _typed(project, project.sql())

    assert not project.exists("items_2026")


# -- what is carried -------------------------------------------------------------------------------------------------


def detached(project: Project) -> None:
    """Two tables with our mark; one has a comment of the user's, too."""
    project.migrate(EVENTS)
    names = list(project.partitions("events"))
    project.execute(f"COMMENT ON TABLE {names[0]} IS 'mine: 100%'")
    calls = [f"op.detach_partition({name!r}, 'events')" for name in names[:2]]
    project.written("\n".join(calls), imports=IMPORTS)
    project.upgrade()


def marks(project: Project) -> list[str]:
    comments = project.rows(
        "SELECT description FROM pg_description WHERE objsubid = 0 AND classoid = CAST('pg_class' AS regclass) "
        "AND description LIKE 'sa_partman: detached%' ORDER BY 1"
    )
    return [str(mark.parent) for comment in comments if (mark := mark_of(comment)) is not None]


@pytest.mark.parametrize("offline", [False, True], ids=["online", "sql"])
@pytest.mark.parametrize("name", ["later", 'O"dd 100%', "events2"])
def test_a_table_that_is_renamed_keeps_what_was_detached_from_it(project: Project, name: str, offline: bool) -> None:
    """Our marks name it; the user's comments behind them stay."""
    detached(project)
    project.execute(
        'CREATE TABLE events2x (); COMMENT ON TABLE events2x IS \'sa_partman: detached from "public"."events2x"\''
    )
    project.written(f"op.rename_table('events', {name!r})", imports=IMPORTS)
    if offline:
        head = project.scalar("SELECT version_num FROM alembic_version")
        _typed(project, project.sql(f"{head}:head"))
    else:
        project.upgrade()

    assert sorted([f"public.{name}"] * 2 + ["public.events2x"]) == sorted(marks(project))
    assert 1 == project.scalar("SELECT count(*) FROM pg_description WHERE description LIKE :said", said="%mine: 100%")


def test_a_comment_on_a_detached_table_keeps_our_mark(project: Project) -> None:
    """Without it autogenerate would drop the table, and retention would never."""
    detached(project)
    before = marks(project)
    (name,) = project.rows(
        "SELECT CAST(objoid AS regclass)::text FROM pg_description WHERE description LIKE '%mine: 100%'".replace(
            "::", r"\:\:"
        )
    )
    project.written(f"op.create_table_comment({name!r}, 'yours')", f"op.drop_table_comment({name!r})", IMPORTS)
    project.upgrade()

    assert before == marks(project)
    assert 1 == project.scalar("SELECT count(*) FROM pg_description WHERE description LIKE E'sa_partman%\\nyours'")

    project.downgrade("-1")

    assert before == marks(project)


def test_the_type_of_a_key_changes_while_the_table_is_plain(project: Project) -> None:
    """What the message says."""
    project.migrate(EVENTS)
    project.written(
        "declaration = PartitionByRange('created_at', interval='1 month', premake=2)\n"
        "op.unpartition_table('events', declaration, primary_key=['id', 'created_at'])\n"
        "op.alter_column('events', 'created_at', type_=sa.DateTime())\n"
        "op.partition_table('events', declaration, primary_key=['id', 'created_at'])",
        imports=IMPORTS,
    )

    project.upgrade()

    assert ["RANGE (created_at)"] == project.rows("SELECT pg_get_partkeydef(CAST('events' AS regclass))")
    assert ["timestamp without time zone"] == project.rows(
        "SELECT data_type FROM information_schema.columns WHERE table_name = 'events' AND column_name = 'created_at'"
    )


def _typed(project: Project, script: str) -> None:
    """The script, as psql would run it."""
    engine = project.engine
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(script.replace("%", "%%"))
    finally:
        engine.dispose()


def test_a_detached_table_that_a_batch_makes_anew_keeps_our_mark(project: Project) -> None:
    detached(project)
    before = marks(project)
    (name,) = project.rows(
        "SELECT CAST(CAST(objoid AS regclass) AS text) FROM pg_description WHERE description LIKE '%mine: 100%'"
    )
    project.written(
        BATCH.format(name=name, recreate="always") + "add_column(sa.Column('extra', sa.Integer))", imports=IMPORTS
    )
    project.upgrade()

    assert before == marks(project)
