"""Tables that are published by the names of their partitions, with a real subscriber: what docs/reliability.md says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import PartitionByRange
from sa_partman.finding import Finding, Severity
from tests.support.converting import until
from tests.support.database import holding, new_table, sql, upkeep
from tests.support.servers import start

NOW, LATER = "2030-06-15", "2030-07-15"
TABLE = new_table(PartitionByRange("created_at", interval="1 month", premake=0))
CREATE = """
CREATE TABLE events (
    id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', region text,
    ref uuid NOT NULL DEFAULT gen_random_uuid(), PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE others (id int PRIMARY KEY)
"""


@dataclass
class Replication:
    """A publisher and its subscriber, each with a table ``events`` and its partition of June."""

    here: Engine
    there: Engine

    def write(self, number: int, moment: str = "2030-07-15 12:00Z") -> None:
        sql(self.here, "INSERT INTO events (id, created_at) VALUES (:id, :at)", id=number, at=moment)

    def arrives(self, number: int) -> None:
        until(self.there, "EXISTS (SELECT FROM events WHERE id = :id)", id=number)

    def follows(self) -> None:
        """What is written into another table now arrives."""
        sql(self.here, "INSERT INTO others SELECT coalesce(max(id), 0) + 1 FROM others")
        (number,) = sql(self.here, "SELECT max(id) FROM others")[0]
        until(self.there, "EXISTS (SELECT FROM others WHERE id = :id)", id=number)

    def refresh(self, options: str = "") -> None:
        alone = self.there.execution_options(isolation_level="AUTOCOMMIT")
        sql(alone, f"ALTER SUBSCRIPTION s REFRESH PUBLICATION {options}")


@pytest.fixture
def replication(server_target: str) -> Iterator[Replication]:
    with start(server_target) as publisher, start(server_target) as subscriber, ExitStack() as stack:
        here, there = (create_engine(server.url()) for server in (publisher, subscriber))
        for engine in (here, there):
            stack.callback(engine.dispose)
            sql(engine, CREATE)
            assert upkeep(engine, TABLE, NOW).run().ok
        sql(here, "CREATE PUBLICATION p FOR TABLE events, others")
        alone = there.execution_options(isolation_level="AUTOCOMMIT")
        sql(alone, f"CREATE SUBSCRIPTION s CONNECTION '{publisher.uri()}' PUBLICATION p".replace(":", r"\:"))
        until(there, "NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')")
        yield Replication(here, there)
        sql(alone, "DROP SUBSCRIPTION s")


def _said(engine: Engine, now: str = NOW) -> list[Finding]:
    return [each for each in upkeep(engine, TABLE, now).check() if each.code == "published-by-partition"]


def test_in_step(replication: Replication) -> None:
    """A row of a partition that the subscriber lacks waits there with everything behind it, and nothing is lost."""
    (said,) = _said(replication.here)
    assert upkeep(replication.here, TABLE, LATER).run().ok
    replication.write(1)
    stops = "EXISTS (SELECT FROM pg_stat_subscription_stats WHERE apply_error_count > 0)"
    if sql(replication.there, "SELECT to_regclass('pg_catalog.pg_stat_subscription_stats')")[0][0] is not None:
        until(replication.there, stops)
    assert upkeep(replication.there, TABLE, LATER).run().ok
    replication.refresh()

    assert Severity.WARNING is said.severity
    assert "publication p sends rows by the names of their partitions" in said.message
    replication.arrives(1)
    replication.write(2)
    replication.arrives(2)
    replication.follows()


def test_by_the_name_of_the_table(replication: Replication) -> None:
    """The change loses no row; afterwards there is nothing to say, and new partitions need nothing."""
    replication.write(1, "2030-06-10 12:00Z")
    with holding(replication.here, "LOCK TABLE events IN SHARE MODE"):
        sql(replication.here, "ALTER PUBLICATION p SET (publish_via_partition_root = true)")
        replication.refresh("WITH (copy_data = false)")
    replication.write(2, "2030-06-11 12:00Z")
    for engine in (replication.there, replication.here):
        assert upkeep(engine, TABLE, LATER).run().ok
    replication.write(3)

    for number in (1, 2, 3):
        replication.arrives(number)
    assert [] == _said(replication.here, LATER)


@pytest.mark.parametrize("scope", ["FOR ALL TABLES", "FOR TABLE events", "FOR TABLES IN SCHEMA public"])
def test_whatever_the_publication_names(engine: Engine, server_major: int, scope: str) -> None:
    """Without a subscriber it is worth a word and no more; a publication by the root, or of others, is not."""
    if "SCHEMA" in scope and server_major < 15:
        pytest.skip("PostgreSQL 15 has it first")
    sql(engine, CREATE)
    sql(
        engine,
        "CREATE PUBLICATION q FOR TABLE others; CREATE PUBLICATION r FOR TABLE events WITH "
        "(publish_via_partition_root = true)",
    )
    none = _said(engine)
    sql(engine, f'CREATE PUBLICATION "P 1" {scope}')
    (said,) = _said(engine)

    assert [] == none
    assert Severity.INFO is said.severity
    assert "publication P 1 sends" in said.message


def test_an_exception(engine: Engine, server_major: int) -> None:
    if server_major < 19:
        pytest.skip("PostgreSQL 19 has it first")
    sql(engine, CREATE)
    sql(engine, "CREATE PUBLICATION p FOR ALL TABLES EXCEPT (TABLE events)")

    assert [] == _said(engine)
