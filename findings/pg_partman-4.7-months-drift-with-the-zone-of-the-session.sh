#!/usr/bin/env bash
# pg_partman 4.7.2 (Debian 12), PostgreSQL 15.20: months of a zone drift by an hour when the maintenance runs in UTC.
#
# A guess: create_parent() in a session of New York fixes where months begin. It fixes the first bounds; each later one
# is the one before plus an interval in the zone of whoever runs the maintenance. A background worker in UTC carries the
# 05:00 of January on, so that April begins at one o'clock in the morning of New York, under the name of April.
. "$(dirname "$0")/lib/prepare.sh"
server "$(debian postgresql-15=15.20-0+deb12u1 postgresql-15-partman=4.7.2-1)"
psql -qXAt -v ON_ERROR_STOP=1 >"$work/seen" <<'SQL'
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at);
SET timezone = 'America/New_York';
SELECT partman.create_parent('public.events', 'at', 'native', 'monthly', p_premake := 1, p_start_partition := '2025-06-01') \g /dev/null
SET timezone = 'UTC';
INSERT INTO events VALUES (now());
UPDATE partman.part_config SET premake = 14;
SELECT partman.run_maintenance('public.events') \g /dev/null
SET timezone = 'America/New_York';
WITH months AS (
  SELECT c.oid, substring(pg_get_expr(c.relpartbound, c.oid) FROM $$FROM \('([^']+)'\)$$)::timestamptz AS lower
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass
)
SELECT DISTINCT to_char(lower, 'HH24:MI') FROM months WHERE lower IS NOT NULL ORDER BY 1;
SQL
cat "$work/seen"
[ "$(tr '\n' ' ' <"$work/seen")" = "00:00 01:00 " ] || [ "$(tr '\n' ' ' <"$work/seen")" = "00:00 23:00 " ]
echo "seen: the months that the maintenance made begin at other hours of New York"
