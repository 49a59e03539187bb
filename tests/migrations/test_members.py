"""A partition that an operation creates has what its table has: owner, grants, row security, policies."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.migrations.project import COUNTRIES, Project
from tests.support.database import sql
from tests.support.membership import APP, OWNER, has, owner_of, roles

EVENTS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange(
        "created_at", interval="1 month", premake=1, subpartition=PartitionByHash("id", modulus=2)
    )
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""
GUARDED = (
    "ALTER TABLE {table} OWNER TO " + OWNER,
    "GRANT SELECT, INSERT ON {table} TO " + APP,
    "GRANT UPDATE (id) ON {table} TO " + APP,
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON {table} FOR SELECT TO " + APP + " USING (id > 0)",
    "ALTER TABLE {table} REPLICA IDENTITY FULL",
)


def guard(engine: Engine, table: str) -> None:
    sql(engine, f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}")
    for statement in GUARDED:
        sql(engine, statement.format(table=table))


def test_one_that_is_created(project: Project, engine: Engine) -> None:
    project.migrate(COUNTRIES)
    with roles(engine, OWNER, APP):
        guard(engine, "orders")
        project.written("op.create_partition('orders_it', 'orders', values=['it'])")
        project.upgrade()

        assert OWNER == owner_of(engine, "orders_it")
        assert has(engine, "orders") == has(engine, "orders_it")


def test_those_that_are_provisioned(project: Project, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every level; what follows in the migration is done by the role that connected."""
    monkeypatch.setenv("SA_PARTMAN_AT", "2030-01-15")
    project.migrate(EVENTS)
    monkeypatch.setenv("SA_PARTMAN_AT", "2030-02-15")
    with roles(engine, OWNER, APP):
        guard(engine, "events")
        project.written(
            """
            op.provision_partitions("events", PartitionByRange("created_at", interval="1 month", premake=1,
                subpartition=PartitionByHash("id", modulus=2)))
            op.execute("CREATE TABLE later (id bigint)")
            """,
            imports="from sa_partman import PartitionByHash, PartitionByRange",
        )
        project.upgrade()

        made = ["events_p20300301", "events_p20300301_h0", "events_p20300301_h1"]
        assert [has(engine, "events")] * 3 == [has(engine, name) for name in made]
        assert project.scalar("SELECT CAST(session_user AS text)") == owner_of(engine, "later")


def test_a_plain_table_gets_no_statement_more(project: Project, engine: Engine) -> None:
    project.migrate(COUNTRIES)
    project.written("op.create_partition('orders_it', 'orders', values=['it'])")
    project.upgrade()

    assert has(engine, "orders") == has(engine, "orders_it") | {"grants": has(engine, "orders")["grants"]}
    assert project.scalar("SELECT relacl IS NULL FROM pg_class WHERE relname = 'orders_it'")
