"""Autogenerate with many partitions: as many queries and rows as with none, and little more work for the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, event

import alembic_ext.autogenerate  # noqa: F401
from tests.migrations.project import Project

MODELS = """
class Day(Partitioned, Base):
    __tablename__ = "days"
    __partition__ = PartitionByRange("at", interval="1 day", premake=1)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    at: Mapped[date] = mapped_column(primary_key=True)

class Item(Partitioned, Base):
    __tablename__ = "items"
    __partition__ = PartitionByList("country", values={"eu": ["de"], "us": ["us"]},
        subpartition=PartitionByRange("at", interval="1 day", premake=0))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    country: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[date] = mapped_column(primary_key=True)
"""
NOTES = """
class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    day_id: Mapped[int] = mapped_column(BigInteger, index=True)
    day: Mapped[date]
    __table_args__ = (sa.ForeignKeyConstraint(["day_id", "day"], ["days.id", "days.at"], name="fk"),)
"""
MANY = """
for number in range(110):
    Table(f"t{number}", metadata, Column("id", BigInteger, primary_key=True), Column("x", Integer, index=True))
"""
YOUNG = """
Table("young", metadata, Column("id", BigInteger, primary_key=True), Column("x", Integer, index=True))
"""
MORE = 300
CATALOG = ("pg_attribute", "pg_class", "pg_constraint", "pg_index", "pg_inherits", "pg_type")
READ = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_sys_tables WHERE relid = 'pg_attribute'::regclass"


@dataclass(frozen=True)
class Effort:
    """
    Args:
        queries: As sent.
        rows: All that they returned.
        columns: Rows of pg_attribute that the server looked at.
    """

    queries: list[str]
    rows: int
    columns: int


@contextmanager
def counted(engine: Engine) -> Iterator[tuple[list[str], list[int]]]:
    sent: list[str] = []
    rows: list[int] = []

    def note(connection: Connection, cursor: Any, statement: str, *_: object) -> None:
        sent.append(statement)
        rows.append(cursor.rowcount)

    event.listen(engine, "after_cursor_execute", note)
    yield sent, rows
    event.remove(engine, "after_cursor_execute", note)


def effort(project: Project) -> Effort:
    engine = project.engine
    with engine.connect() as connection:
        with counted(engine) as (sent, rows):
            assert [] == compare_metadata(MigrationContext.configure(connection), project.metadata())
        columns = connection.exec_driver_sql(READ).scalar_one()
    engine.dispose()
    return Effort(sent, sum(rows), columns)


def add(project: Project, parents: tuple[str, ...], more: int) -> None:
    """Partitions, and what autovacuum does afterwards."""
    engine = project.engine
    for parent in parents:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                f"DO $$ BEGIN FOR d IN 0..{more - 1} LOOP EXECUTE format("
                f"'CREATE TABLE {parent}_x%%s PARTITION OF {parent} FOR VALUES FROM (%%L) TO (%%L)', d, "
                "date '1950-01-01' + d, date '1950-01-02' + d); END LOOP; END $$"
            )
    analyzed(engine)
    engine.dispose()


def analyzed(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in CATALOG:
            connection.exec_driver_sql(f"VACUUM ANALYZE pg_catalog.{name}")


def prepared(project: Project, models: str) -> None:
    project.migrate(models)
    project.execute("DROP TABLE alembic_version")
    engine = project.engine
    analyzed(engine)
    engine.dispose()


@pytest.mark.parametrize("models", [MODELS, MODELS + NOTES, MODELS + NOTES + MANY], ids=["bare", "referred", "many"])
def test_queries_and_rows_do_not_depend_on_the_number_of_partitions(project: Project, models: str) -> None:
    """With more than a hundred tables Alembic asks for all that there are."""
    prepared(project, models)
    few = effort(project)
    add(project, ("days", "items_eu"), MORE)
    many = effort(project)

    assert few.queries == many.queries
    assert few.rows == many.rows


@pytest.mark.parametrize("models", [MODELS, MODELS + NOTES], ids=["bare", "referred"])
def test_the_server_does_not_look_at_the_columns_of_partitions(project: Project, models: str) -> None:
    """Also where a table is younger than they: then nothing ends a merge join early."""
    prepared(project, models + YOUNG)
    few = effort(project)
    project.execute("DROP TABLE young")
    add(project, ("days", "items_eu"), MORE)
    project.execute("CREATE TABLE young (id bigint PRIMARY KEY, x int)")
    project.execute("CREATE INDEX ix_young_x ON young (x)")
    many = effort(project)

    # Each has three columns and six of the system; then there are those of their indexes.
    assert 2 * MORE > many.columns - few.columns
