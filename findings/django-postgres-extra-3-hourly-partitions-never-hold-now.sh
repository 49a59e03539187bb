#!/usr/bin/env bash
# django-postgres-extra 3.0.1, Django 5.2.19: hourly partitioning makes the first hours of today, not the current ones.
#
# A guess from "count: the amount of partitions to create ahead from the current date/time": with hours=1 and count=3 a
# run at 15:30 makes 15:00, 16:00 and 17:00. It makes 00:00, 01:00 and 02:00, so rows written now have no partition
# unless count reaches the rest of the day. Sizes in hours are new in 3.0; 2.0.9 had none.
. "$(dirname "$0")/lib/prepare.sh"
packages django-postgres-extra==3.0.1 django==5.2.19 'psycopg[binary]==3.3.9' time-machine==2.19.0
PYTHONPATH=$(dirname "$0")/lib "$python" - <<'PY'
from django_ground import *
import time_machine

with time_machine.travel("2026-11-29 15:30+00:00", tick=False):
    seen = bounds(hours=1, count=3)
print(seen)
assert seen == [
    ("2026-11-29 00:00:00", "2026-11-29 01:00:00"),
    ("2026-11-29 01:00:00", "2026-11-29 02:00:00"),
    ("2026-11-29 02:00:00", "2026-11-29 03:00:00"),
]
PY
echo "seen: at 15:30 django-postgres-extra 3.0.1 makes 00:00 to 03:00"
