#!/usr/bin/env bash
# PostgreSQL 15.20 (Debian 12): every column of a new relation has an option that nobody set and nobody can reset.
#
# A guess: pg_attribute.attoptions is NULL until ALTER COLUMN ... SET (n_distinct = ...). In 15.20 it holds
# pg_attver=<number>; SET and RESET take the name without an error and change nothing, and pg_dump leaves it out.
# Whoever compares attoptions of two tables, or copies them, sees a difference that is none. 15.18 has no such option.
. "$(dirname "$0")/lib/prepare.sh"
server "$(debian postgresql-15=15.20-0+deb12u1)"
options="SELECT string_agg(attname || ' ' || coalesce(attoptions::text, '-'), '; ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 0"
psql -qX -v ON_ERROR_STOP=1 -c "CREATE TABLE plain (id bigint, note text)"
first=$(psql -qXAt -c "$options")
psql -qX -v ON_ERROR_STOP=1 -c "ALTER TABLE plain ALTER id RESET (pg_attver)" -c "ALTER TABLE plain ALTER id SET (pg_attver = 7)"
second=$(psql -qXAt -c "$options")
echo "$first"
[[ "$first" =~ ^'id {pg_attver='[0-9]+'}; note {pg_attver='[0-9]+'}'$ ]]
[ "$first" = "$second" ]
psql -qX -v ON_ERROR_STOP=1 -c "ALTER TABLE plain ALTER id SET (n_distinct = 5)"
[[ "$(psql -qXAt -c "$options")" == *",n_distinct=5}; note {pg_attver="* ]]
echo "seen: 15.20 keeps pg_attver in attoptions, whatever is set"
