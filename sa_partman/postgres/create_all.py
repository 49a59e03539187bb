"""``metadata.create_all()`` makes the first partitions too, so that an insert works at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, event, text
from sqlalchemy.exc import ProgrammingError

from sa_partman.compare.context import Context
from sa_partman.ddl.render import render
from sa_partman.orm.registry import PARTITION_BY, declared, spec_of
from sa_partman.plan.provision import first_partitions
from sa_partman.postgres.contents import tenants_of
from sa_partman.spec.declared import DeclaredTable
from sa_partman.spec.list_spec import Labelled


# SQLAlchemy puts postgresql_partition_by into CREATE TABLE as it is, and some drivers take % for a parameter.
@event.listens_for(Table, "before_create")
def _before_create(target: Table, connection: Any, **_: Any) -> None:
    if spec_of(target) is None or connection.dialect.name != "postgresql":
        return
    written = declared(target).level.partition_by
    doubled = getattr(connection.dialect.identifier_preparer, "_double_percents", False)
    if "%" in written:
        target.dialect_kwargs[PARTITION_BY] = written.replace("%", "%%") if doubled else written


@event.listens_for(Table, "after_create")
def _on_create(target: Table, connection: Any, **_: Any) -> None:
    if spec_of(target) is not None and connection.dialect.name == "postgresql":
        target.dialect_kwargs[PARTITION_BY] = declared(target).level.partition_by
        create_first_partitions(connection, declared(target))


def create_first_partitions(connection: Any, table: DeclaredTable, now: datetime | None = None) -> None:
    """
    Makes every partition that the new, empty *table* needs, in the caller's transaction.

    Args:
        connection: A Connection, or the mock of ``create_mock_engine``, which has no clock and no tenants.
        now: Instead of the server's clock; aware.
    """
    context = Context(now or datetime.now(UTC))
    if isinstance(connection, Connection):
        clock = now or connection.execute(text("SELECT pg_catalog.clock_timestamp()")).scalar_one()
        context = Context(clock, tenants=_tenants(connection, table))
    for action in first_partitions(table.level, table.name, context):
        for statement in render(action):
            connection.execute(statement)


def _tenants(connection: Connection, table: DeclaredTable) -> dict[int, Labelled]:
    """The tenants so far; none when the table that they are selected from is not there yet."""
    try:
        with connection.begin_nested():
            return tenants_of(connection, table)
    except ProgrammingError:
        return {}
