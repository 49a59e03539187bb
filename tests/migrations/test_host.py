"""What Alembic promises to everybody holds beside us: ``nox -s host`` runs its own suite, these are what it found."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, inspect

import alembic_ext.autogenerate  # noqa: F401
from sa_partman import PartitionByList


def test_a_batch_outside_of_a_transaction_is_committed(database_url: str) -> None:
    """Alembic commits it unless a transaction has begun, and a look into the catalog begins one."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE foo (id int)")
    with (
        engine.connect() as connection,
        Operations(MigrationContext.configure(connection)).batch_alter_table("foo") as batch,
    ):
        batch.add_column(Column("data", Text))
        batch.alter_column("id", type_=Text)
        batch.create_check_constraint("filled", "data <> ''")

    assert ["id", "data"] == [column["name"] for column in inspect(engine).get_columns("foo")]
    engine.dispose()


def test_a_filter_of_names_is_asked_about_what_exists(database_url: str) -> None:
    """And about a table of the metadata only where it is one of ours: it may count on what Alembic passes."""
    metadata = MetaData()
    for name in ("lacking", "there"):
        Table(name, metadata, Column("id", Integer))
    Table("parts", metadata, Column("k", Text, nullable=False), PartitionByList("k", values=["a"]))
    asked: list[tuple[str | None, Any]] = []

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "table":
            asked.append((name, parents["schema_qualified_table_name"]))
        return True

    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE there (id int)")
    with engine.connect() as connection:
        opts = {"target_metadata": metadata, "include_name": include_name}
        produce_migrations(MigrationContext.configure(connection, opts=opts), metadata)
    engine.dispose()

    assert [("there", "there")] == asked
