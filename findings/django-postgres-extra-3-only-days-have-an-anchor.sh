#!/usr/bin/env bash
# django-postgres-extra 3.0.1, Django 5.2.19: several days are anchored, several weeks, months or years are not.
#
# A guess from the new argument anchor= (days since 1970): a size of three months begins with a quarter whenever the
# command runs. Only days look at the anchor. Three months begin in the current month, two weeks in the current week: a
# run in the next month plans a partition that overlaps the one of this month.
. "$(dirname "$0")/lib/prepare.sh"
packages django-postgres-extra==3.0.1 django==5.2.19 'psycopg[binary]==3.3.9' time-machine==2.19.0
PYTHONPATH=$(dirname "$0")/lib "$python" - <<'PY'
from django_ground import *
import time_machine

def first(now, **size):
    with time_machine.travel(now, tick=False):
        return tuple(text[:10] for text in bounds(count=1, **size)[0])

for size in ({"months": 3}, {"weeks": 2}, {"days": 10}):
    print(size, [first(now, **size) for now in ("2026-11-18 00:30+00:00", "2026-11-25 00:30+00:00", "2026-12-18 00:30+00:00")])
assert first("2026-11-18 00:30+00:00", months=3) == ("2026-11-01", "2027-02-01")
assert first("2026-12-18 00:30+00:00", months=3) == ("2026-12-01", "2027-03-01")
assert first("2026-11-18 00:30+00:00", weeks=2) == ("2026-11-16", "2026-11-30")
assert first("2026-11-25 00:30+00:00", weeks=2) == ("2026-11-23", "2026-12-07")
assert first("2026-11-14 00:30+00:00", days=10) == first("2026-11-22 00:30+00:00", days=10) == ("2026-11-13", "2026-11-23")
PY
echo "seen: in django-postgres-extra 3.0.1 three months begin whenever the command runs"
