"""Autogenerate with many partitions: as many queries as with none."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, event, text

import alembic_ext.autogenerate  # noqa: F401
from sa_partman import PartitionByRange  # noqa: F401
from tests.migrations.project import Project

MODELS = """
class Day(Partitioned, Base):
    __tablename__ = "days"
    __partition__ = PartitionByRange("at", interval="1 day", premake=1)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[date] = mapped_column(primary_key=True)

class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    day_id: Mapped[int] = mapped_column(BigInteger)
    day: Mapped[date]
    __table_args__ = (sa.ForeignKeyConstraint(["day_id", "day"], ["days.id", "days.at"], name="fk"),)

class Item(Partitioned, Base):
    __tablename__ = "items"
    __partition__ = PartitionByList("country", values={"eu": ["de"], "us": ["us"]},
        subpartition=PartitionByRange("at", interval="1 day", premake=0))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    country: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[date] = mapped_column(primary_key=True)
"""


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def queries(project: Project) -> int:
    engine = project.engine
    with statements(engine) as seen, engine.connect() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection), project.metadata())
    engine.dispose()
    return len(seen)


@pytest.mark.parametrize("more", [300])
def test_the_number_of_queries_does_not_depend_on_the_number_of_partitions(project: Project, more: int) -> None:
    project.migrate(MODELS)
    project.execute("DROP TABLE alembic_version")
    few = queries(project)
    engine = project.engine
    with engine.begin() as connection:
        for parent in ("days", "items_eu"):
            for day in range(more):
                low, high = date.fromordinal(700_000 + day), date.fromordinal(700_001 + day)
                sql = f"CREATE TABLE {parent}_x{day} PARTITION OF {parent} FOR VALUES FROM ('{low}') TO ('{high}')"
                connection.execute(text(sql))
    engine.dispose()

    assert few == queries(project)
