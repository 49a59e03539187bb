"""
Partitions that go, or are locked, while they are looked at.

A split or a merge on PostgreSQL 19 does so, and any drop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.schema import CreateTable

from sa_partman import PartitionByRange
from sa_partman.bounds.bound import RangeBound
from sa_partman.engine.unchanged import Overtaken, require_partition
from sa_partman.errors import CatalogError
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.relations import relation_of
from sa_partman.postgres.session import pin
from tests.support.builders import at
from tests.support.database import another, holding, new_table, scalar, sql, upkeep

TABLE = new_table(PartitionByRange("created_at", interval="1 month", premake=1))
WANTED = declared(TABLE).renamed(QualifiedName("public", TABLE.name))
FIRST = QualifiedName("public", f"{TABLE.name}_p20300601")
SPLIT = f"""
DROP TABLE {FIRST};
CREATE TABLE {FIRST} PARTITION OF {TABLE.name} FOR VALUES FROM ('2030-06-01 00:00+00') TO ('2030-06-15 00:00+00');
CREATE TABLE second PARTITION OF {TABLE.name} FOR VALUES FROM ('2030-06-15 00:00+00') TO ('2030-07-01 00:00+00')
"""


@pytest.fixture
def made(engine: Engine) -> Engine:
    """June and July."""
    with engine.begin() as connection:
        connection.execute(CreateTable(TABLE))
    upkeep(engine, TABLE, "2030-06-15").provision()
    return engine


@contextmanager
def old_snapshot(engine: Engine) -> Iterator[Connection]:
    """A session that still sees June, which is gone."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        pin(connection, 1.0)
        sql(engine, f"DROP TABLE {FIRST}")
        yield connection


def test_what_came_in_place_of_a_partition_is_seen(made: Engine) -> None:
    """It is split between the query for the partitions and that for their bounds."""
    todo = [SPLIT]

    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "pg_get_expr(c.relpartbound, 0),\n    pg_catalog.hashtextextended" in statement and todo:
            script = todo.pop()
            with made.connect() as other, other.begin():
                other.exec_driver_sql(script)

    event.listen(made, "before_cursor_execute", before)
    with made.connect() as connection, connection.begin():
        pin(connection, 1.0)
        found = reflect(connection, [WANTED])[WANTED.name]
    event.remove(made, "before_cursor_execute", before)

    assert not todo
    names = sorted(each.name.name for each in found.partitions)
    assert ["events_p20300601", "events_p20300701", "second"] == names


def test_a_snapshot_shows_the_bounds_that_it_has(made: Engine) -> None:
    with old_snapshot(made) as connection:
        found = reflect(connection, [WANTED])[WANTED.name]

        assert RangeBound((at("2030-06-01"),), (at("2030-07-01"),)) in {each.bound for each in found.partitions}


def test_a_locked_partition_is_read_at_once(made: Engine) -> None:
    """Where its bound was not read before, as in a new process."""
    with (
        holding(made, f"LOCK TABLE {FIRST} IN ACCESS EXCLUSIVE MODE"),
        another(made) as fresh,
        fresh.connect() as connection,
    ):
        pin(connection, 0.2)
        found = reflect(connection, [WANTED])[WANTED.name]

    assert FIRST in {each.name for each in found.partitions}


def test_a_relation_that_is_gone_is_said(made: Engine) -> None:
    oid = scalar(made, f"SELECT '{FIRST}'::regclass::oid")
    with old_snapshot(made) as connection, pytest.raises(CatalogError, match="was dropped while it was looked at"):
        relation_of(connection, oid)
    with made.connect() as connection, pytest.raises(CatalogError, match="was dropped while it was looked at"):
        relation_of(connection, oid)


def test_a_partition_that_is_gone_is_not_the_one_to_remove(made: Engine) -> None:
    bound = RangeBound((at("2030-06-01"),), (at("2030-07-01"),))
    with old_snapshot(made) as connection, pytest.raises(Overtaken, match="is not a partition of"):
        require_partition(connection, FIRST, WANTED.name, bound, WANTED.level.key)
