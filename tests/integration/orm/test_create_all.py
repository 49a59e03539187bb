"""``create_all()`` makes the first partitions, so that an insert works at once."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    Enum,
    Identity,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    create_mock_engine,
    func,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sa_partman import (
    ULID,
    Epoch,
    KeyExpression,
    PartitionByHash,
    PartitionByList,
    PartitionByRange,
    Partitioned,
    Snowflake,
)
from sa_partman.spec.base import PartitionSpec
from tests.support.database import codes, leaves, new_table, partitions, put, scalar, sql, upkeep


class Colour(enum.Enum):
    red = "R"
    green = "G"


NOW_KEYS: list[tuple[PartitionSpec, Callable[[], Column[Any]], Any]] = [
    (
        PartitionByRange("k", interval="1 month"),
        lambda: Column("k", DateTime(timezone=True), nullable=False),
        func.now(),
    ),
    (PartitionByRange("k", interval="1 day"), lambda: Column("k", Date, nullable=False), func.current_date()),
    (
        PartitionByRange("k", interval="15 minutes"),
        lambda: Column("k", DateTime, nullable=False),
        text("now() at time zone 'utc'"),
    ),
    (PartitionByRange("k", interval=100), lambda: Column("k", BigInteger, nullable=False), 250),
    (PartitionByRange("k", interval=100), lambda: Column("k", Numeric(20, 2), nullable=False), 250),
    (PartitionByRange("k", interval=10), lambda: Column("k", SmallInteger, nullable=False), 25),
    (
        PartitionByRange("k", interval="1 week", codec=Epoch("ms")),
        lambda: Column("k", BigInteger, nullable=False),
        text("(extract(epoch from now()) * 1000)::bigint"),
    ),
    (
        PartitionByRange("k", interval="1 week", codec=Snowflake("2015-01-01")),
        lambda: Column("k", BigInteger, nullable=False),
        text("((extract(epoch from now()) * 1000)::bigint - 1420070400000) << 22"),
    ),
    (PartitionByList("k", values={"eu": ["de", "fr"], "none": [None]}), lambda: Column("k", Text), "fr"),
    (PartitionByList("k", values={"eu": ["de", "fr"], "none": [None]}), lambda: Column("k", String(2)), None),
    (PartitionByList("k", values=[1, -2]), lambda: Column("k", BigInteger, nullable=False), -2),
    (PartitionByList("k", values=[True, False]), lambda: Column("k", Boolean, nullable=False), False),
    (PartitionByList("k", values=[date(2024, 1, 1)]), lambda: Column("k", Date, nullable=False), date(2024, 1, 1)),
    (
        PartitionByList("k", values=[Colour.red, Colour.green]),
        lambda: Column("k", Enum(Colour), nullable=False),
        Colour.green,
    ),
    (PartitionByList("k", values=["a"], default=True), lambda: Column("k", Text), "elsewhere"),
    (PartitionByHash("k", modulus=4), lambda: Column("k", Text), "anything"),
    (
        PartitionByRange(KeyExpression("date_trunc('day', k)", "timestamp"), interval="1 week"),
        lambda: Column("k", DateTime, nullable=False),
        func.now(),
    ),
    (
        PartitionByList("k", values=["a"], subpartition=PartitionByRange("created_at", interval="1 day")),
        lambda: Column("k", Text, nullable=False),
        "a",
    ),
    (
        PartitionByRange(
            "created_at", interval="1 month", subpartition=PartitionByRange("created_at", interval="1 day")
        ),
        lambda: Column("k", Text),
        "a",
    ),
    (
        PartitionByHash("k", modulus=2, subpartition=PartitionByList("region", values=[None, "x"])),
        lambda: Column("k", Text),
        "a",
    ),
]


@pytest.mark.parametrize(
    ("spec", "column", "value"), NOW_KEYS, ids=lambda item: repr(item)[:70] if isinstance(item, PartitionSpec) else ""
)
def test_an_insert_works_at_once(
    engine: Engine, spec: PartitionSpec, column: Callable[[], Column[Any]], value: Any
) -> None:
    """Whatever the strategy and the type; and the maintainer finds nothing left to do, and nothing wrong."""
    table = new_table(spec, column())
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert().values(id=1, created_at=func.now(), k=value))

    ahead = isinstance(value, int) and not isinstance(value, bool) and spec.strategy == "RANGE"
    assert ahead == bool(upkeep(engine, table).plan())
    upkeep(engine, table).run()
    assert "nothing to do" == str(upkeep(engine, table).plan())
    assert [] == [code for code in codes(upkeep(engine, table).check()) if code != "default-rows"]


def test_uuidv7_and_ulid(engine: Engine) -> None:
    """Keys that an application makes now find their place."""
    millis = int(datetime.now(UTC).timestamp() * 1000)
    seven = uuid.UUID(int=millis << 80 | 0x7ABC << 64 | 0x8123 << 48 | 42)
    metadata = MetaData()
    by_uuid = new_table(PartitionByRange("ref", interval="1 month"), metadata=metadata)
    by_ulid = new_table(
        PartitionByRange("k", interval="1 month", codec=ULID()),
        Column("k", String(26, collation="C"), nullable=False),
        metadata=metadata,
        name="ulids",
    )
    metadata.create_all(engine)
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    ulid = "".join(alphabet[millis >> shift & 31] for shift in range(45, -1, -5)) + "ABCDEFGHJKMNPQRS"
    with engine.begin() as connection:
        connection.execute(by_uuid.insert().values(id=1, created_at=func.now(), ref=seven))
        connection.execute(by_ulid.insert().values(id=1, created_at=func.now(), k=ulid))

    assert () == upkeep(engine, metadata).check()


def test_the_bound_of_a_uuidv7_range(engine: Engine) -> None:
    """48 bits of milliseconds, then version and variant and nothing."""
    table = new_table(PartitionByRange("ref", interval="1 month", start="2024-01-01", premake=0))
    table.metadata.create_all(engine)

    lower = "018cc251-f400-7000-8000-000000000000"
    assert partitions(engine)["events_p20240101"].startswith(f"FOR VALUES FROM ('{lower}') TO ('018d")
    assert "'0194bece-a000-7000-8000-000000000000'" in partitions(engine)["events_p20250201"]


def test_a_mapped_class(engine: Engine) -> None:
    """The session's defaults and the identity work through the partitions."""

    class Base(DeclarativeBase):
        pass

    class Event(Partitioned, Base):
        __tablename__ = "events"
        __partition__ = PartitionByRange("created_at", interval="1 month", premake=3)
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
        created_at: Mapped[datetime] = mapped_column(
            DateTime(timezone=True), primary_key=True, server_default=func.now()
        )

    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Event(), Event()])
        session.commit()

        assert [1, 2] == sorted(session.scalars(select(Event.id)))
    assert 4 == len(partitions(engine))


def test_premake_and_start(engine: Engine) -> None:
    """From the start to the current month, and premake more."""
    table = new_table(PartitionByRange("created_at", interval="1 month", start="2024-01-15", premake=2))
    table.metadata.create_all(engine)
    months = scalar(engine, "SELECT (extract(year FROM now()) - 2024) * 12 + extract(month FROM now())")

    assert int(months) + 2 == len(partitions(engine))
    put(engine, table, "2024-01-02")


def test_create_all_twice(engine: Engine) -> None:
    """The table that is there is left alone."""
    table = new_table(PartitionByRange("created_at", interval="1 month"))
    table.metadata.create_all(engine)
    before = partitions(engine)
    table.metadata.create_all(engine)

    assert before == partitions(engine)


def test_drop_all(engine: Engine) -> None:
    """Partitions go with their table."""
    table = new_table(PartitionByRange("created_at", interval="1 month", subpartition=PartitionByHash("id", modulus=2)))
    table.metadata.create_all(engine)
    table.metadata.drop_all(engine)

    assert 0 == scalar(engine, "SELECT count(*) FROM pg_class WHERE relname LIKE 'events%'")


def test_a_schema_translate_map(engine: Engine) -> None:
    """Partitions go where their table goes."""
    table = new_table(PartitionByRange("created_at", interval="1 month"), schema="model")
    sql(engine, "CREATE SCHEMA real")
    with engine.execution_options(schema_translate_map={"model": "real"}).begin() as connection:
        table.metadata.create_all(connection)

    assert 5 == len(partitions(engine, "real.events"))


def test_without_a_server() -> None:
    """``create_mock_engine`` prints the partitions too, by this machine's clock."""
    printed: list[str] = []

    def show(statement: Any, *_: Any, **__: Any) -> None:
        printed.append(str(statement.compile(dialect=mock.dialect)))

    mock = create_mock_engine("postgresql+psycopg://", show)
    table = new_table(PartitionByHash("id", modulus=2))
    table.metadata.create_all(mock, checkfirst=False)

    assert ["CREATE", "CREATE", "COMMENT", "CREATE", "COMMENT"] == [each.split()[0] for each in printed]


def test_tenants_are_asked_for(engine: Engine) -> None:
    """Those that are there get their partitions; none, when their table does not exist yet."""
    metadata = MetaData()
    tenants = Table("tenants", metadata, Column("name", Text, primary_key=True))
    spec = PartitionByList("tenant", values=select(tenants.c.name))
    later = new_table(spec, metadata=MetaData(), name="a_first")
    later.metadata.create_all(engine)
    tenants.create(engine)
    sql(engine, "INSERT INTO tenants VALUES ('t1'), ('t1_2')")
    events = new_table(spec, metadata=metadata)
    events.create(engine)

    assert {} == partitions(engine, "a_first")
    assert ["events_t1", "events_t1_2"] == sorted(partitions(engine))


def test_unlogged_leaves(engine: Engine) -> None:
    """Only leaves hold rows, so only they are unlogged; PostgreSQL 18 refuses an unlogged partitioned table."""
    spec = PartitionByList(
        "tenant", values=["t1"], unlogged=True, subpartition=PartitionByHash("id", modulus=2, unlogged=True)
    )
    new_table(spec).metadata.create_all(engine)
    found = sql(engine, "SELECT relname, relpersistence::text FROM pg_class WHERE relname ~ '^events_t1_h[01]$'")

    assert ["u", "u"] == [row[1] for row in found]
    assert 2 == len(leaves(engine))
