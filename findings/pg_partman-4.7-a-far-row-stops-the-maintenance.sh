#!/usr/bin/env bash
# pg_partman 4.7.2 (Debian 12), PostgreSQL 15.20: one row of the far future in the default partition ends run_maintenance.
#
# A guess from "rows that no partition takes land in the default": a row dated 2031 stays there and does no harm. It
# becomes the newest data of the set: run_maintenance wants the partitions from now to then, starts with the one that
# holds the row, and fails ("updated partition constraint for default partition would be violated by some row"). No
# partition of next month is made either, until somebody moves or deletes the row.
. "$(dirname "$0")/lib/prepare.sh"
server "$(debian postgresql-15=15.20-0+deb12u1 postgresql-15-partman=4.7.2-1)"
psql -qX -v ON_ERROR_STOP=1 <<'SQL'
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT partman.create_parent('public.events', 'at', 'native', 'monthly', p_premake := 2) \g /dev/null
INSERT INTO events VALUES (now());
SELECT partman.run_maintenance('public.events') \g /dev/null
UPDATE partman.part_config SET premake = 4;
INSERT INTO events VALUES (date_trunc('year', now()) + interval '5 years');
SQL
count="SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
before=$(psql -qXAt -c "$count")
psql -qX -c "SELECT partman.run_maintenance('public.events')" >"$work/said" 2>&1 && { echo "it did not fail"; exit 1; }
head -2 "$work/said"
grep -q 'updated partition constraint for default partition "events_default" would be violated by some row' "$work/said"
[ "$before" = "$(psql -qXAt -c "$count")" ]
psql -qX -c "DELETE FROM events WHERE at > now() + interval '1 year'" -c "SELECT partman.run_maintenance('public.events')" >/dev/null
[ "$before" -lt "$(psql -qXAt -c "$count")" ] # without that row two more months are made
echo "seen: one row of the far future, and pg_partman 4.7.2 makes no partition any more"
