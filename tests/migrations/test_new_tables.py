"""A declared table that the database has not: CREATE TABLE as ever, and its first partitions."""

from datetime import UTC, datetime

import pytest

from tests.migrations.project import COUNTRIES, EVENTS, Project, body


def test_a_new_table_is_created_and_then_provisioned(project: Project) -> None:
    written = project.migrate(EVENTS)

    assert "postgresql_partition_by='RANGE (created_at)'" in body(written)
    assert "info=" not in written
    assert "op.provision_partitions('events', PartitionByRange('created_at', interval='1 month', premake=2))" in written
    assert 3 == len(project.partitions("events"))


def test_partitions_are_computed_when_the_upgrade_runs_and_not_when_the_file_is_written(project: Project) -> None:
    project.models(EVENTS)
    written = project.revision()

    assert not any(f"p{year}" in written for year in range(2020, 2100))


def test_an_insert_works_at_once(project: Project) -> None:
    project.migrate(EVENTS)

    project.execute("INSERT INTO events (created_at, kind) VALUES (:now, 'x')", now=datetime.now(UTC))

    assert [1] == project.rows("SELECT count(*) FROM events")


def test_down_and_up_again_ends_in_the_same_place(project: Project) -> None:
    project.migrate(EVENTS + COUNTRIES)
    before = project.partitions("events"), project.partitions("orders")

    project.downgrade()
    gone = project.exists("events"), project.exists("orders_eu")
    project.upgrade()
    project.check()

    assert (False, False) == gone
    assert before == (project.partitions("events"), project.partitions("orders"))


def test_the_downgrade_says_nothing_of_partitions(project: Project) -> None:
    written = project.migrate(EVENTS)

    assert ["op.drop_index(op.f('ix_events_kind'), table_name='events')", "op.drop_table('events')"] == body(
        written, "downgrade"
    ).splitlines()


def test_several_new_tables_refer_to_each_other(project: Project) -> None:
    """Referenced first, whatever the order of declaration; both partitioned."""
    models = """
class Zebra(Partitioned, Base):
    __tablename__ = "a_comments"
    __partition__ = PartitionByHash("post_id", modulus=2)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    post_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[date]
    __table_args__ = (sa.ForeignKeyConstraint(["post_id", "at"], ["z_posts.id", "z_posts.at"]),)

class Post(Partitioned, Base):
    __tablename__ = "z_posts"
    __partition__ = PartitionByRange("at", interval="1 day", premake=1)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    at: Mapped[date] = mapped_column(primary_key=True)

class Reader(Base):
    __tablename__ = "readers"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    post_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[date]
    __table_args__ = (sa.ForeignKeyConstraint(["post_id", "at"], ["z_posts.id", "z_posts.at"]),)
"""
    written = body(project.migrate(models))
    project.downgrade()
    project.upgrade()
    project.check()

    assert written.index("'z_posts'") < written.index("op.create_table('a_comments'")
    assert 2 == len(project.partitions("z_posts")) == len(project.partitions("a_comments"))


def test_the_file_holds_structure_only(project: Project) -> None:
    """Retention and what a select() or a callable gives stay with the maintainer."""
    models = """
def tenants():
    return ["a", "b"]

class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("tenant", values=tenants, default=True, subpartition=PartitionByRange(
        "at", interval="1 month", retention=Retention("2 years", then="drop")))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    tenant: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[date] = mapped_column(primary_key=True)
"""
    written = project.migrate(models)

    assert "PartitionByList('tenant', default=True, subpartition=PartitionByRange('at', interval='1 month'))" in written
    assert {"events_default": "DEFAULT"} == project.partitions("events")


def test_a_table_whose_tenants_come_at_run_time_has_nothing_to_provision(project: Project) -> None:
    models = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("tenant", values=lambda: ["a"])
    tenant: Mapped[str] = mapped_column(primary_key=True)
"""
    assert "provision" not in project.migrate(models)


def test_columns_are_named_as_in_the_database(project: Project) -> None:
    models = """
events = Table("the table's name", metadata,
    Column("order", BigInteger, primary_key=True, key="id"),
    Column('TS "key"', DateTime(timezone=True), primary_key=True, key="at"),
    PartitionByRange("at", interval="1 day", premake=0, subpartition=PartitionByHash("id", modulus=2)))
"""
    written = project.migrate(models)

    assert "PartitionByRange('TS \"key\"', interval='1 day', premake=0" in written
    assert "PartitionByHash('order', modulus=2)" in written
    assert [4] == project.rows("SELECT count(*) FROM pg_partition_tree('\"the table''s name\"'::regclass)")


@pytest.mark.parametrize(
    ("column", "declaration", "imported"),
    [
        ("mapped_column(sa.Uuid, primary_key=True)", "PartitionByRange('k', interval='1 day')", "PartitionByRange"),
        (
            "mapped_column(BigInteger, primary_key=True)",
            "PartitionByRange('k', interval='1 day', codec=Epoch('ms'))",
            "Epoch",
        ),
        (
            "mapped_column(BigInteger, primary_key=True)",
            "PartitionByRange('k', interval='1 day', codec=Snowflake(epoch=1288834974657))",
            "Snowflake",
        ),
        (
            "mapped_column(BigInteger, primary_key=True)",
            "PartitionByRange('k', interval=1000, premake=1)",
            "sa_partman",
        ),
        ("mapped_column(sa.Uuid, primary_key=True)", "PartitionByHash('k', modulus=3)", "PartitionByHash"),
    ],
)
def test_every_key_goes_through_the_file(project: Project, column: str, declaration: str, imported: str) -> None:
    models = f"""
class Thing(Partitioned, Base):
    __tablename__ = "things"
    __partition__ = {declaration}
    k: Mapped[Any] = {column}
"""
    written = project.migrate("from typing import Any\n" + models)

    assert imported in written
    assert project.partitions("things")


def test_an_expression_key_goes_through_the_file(project: Project) -> None:
    models = """
events = Table("events", metadata, Column("at", DateTime, nullable=False),
    PartitionByRange(KeyExpression("date_trunc('day', at)", "timestamp"), interval="1 day", premake=1))
"""
    written = project.migrate(models)

    assert "from sa_partman import KeyExpression" in written
    assert 2 == len(project.partitions("events"))


def test_all_levels_are_provisioned(project: Project) -> None:
    models = """
class Sample(Partitioned, Base):
    __tablename__ = "samples"
    __partition__ = PartitionByList("pipeline", values=["p1", "p2"], subpartition=PartitionByRange(
        "at", interval="1 day", premake=1, subpartition=PartitionByHash("id", modulus=2, unlogged=True)))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    pipeline: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[date] = mapped_column(primary_key=True)
"""
    project.migrate(models)

    assert [8] == project.rows(
        "SELECT count(*) FROM pg_class WHERE relispartition AND relpersistence = 'u' AND relkind = 'r'"
    )


def test_a_table_beside_it_is_alembics_own_business(project: Project) -> None:
    written = project.migrate(EVENTS + 'plain = Table("plain", metadata, Column("id", Integer, primary_key=True))')

    assert "op.create_table('plain'" in written
    assert 1 == written.count("op.provision_partitions")


def test_provisioning_again_makes_what_is_missing_and_no_more(project: Project) -> None:
    project.migrate(EVENTS)
    before = project.partitions("events")
    project.execute(f"DROP TABLE {max(before)}")

    project.written(
        "op.provision_partitions('events', PartitionByRange('created_at', interval='1 month', premake=2))",
        imports="from sa_partman import PartitionByRange",
    )
    project.upgrade()

    assert before == project.partitions("events")
