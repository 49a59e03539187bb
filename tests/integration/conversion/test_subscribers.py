"""A real subscriber of a publication of all tables: conversions and audits leave its replication alone."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import Maintainer
from sa_partman.errors import ConversionRefused
from sa_partman.throwaway import Server
from tests.support.converting import NOW, TABLE, converter, metadata, set_up, until
from tests.support.database import scalar, sql
from tests.support.servers import start

ROOT = "WITH (publish_via_partition_root = true)"
LEAVES = "ALTER PUBLICATION p SET (publish_via_partition_root = false)"
SCHEMA_OF_SUBSCRIBER = """
CREATE TABLE orgs (id int PRIMARY KEY, name text);
CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz, org_id int, note text, hits int);
CREATE TABLE others (id int PRIMARY KEY);
"""


@dataclass
class Replication:
    """A publisher with the table ``events``, and its subscriber; *server* is the publisher's."""

    here: Engine
    there: Engine
    server: Server

    def follows(self) -> None:
        """What is written into any table now arrives at the subscriber."""
        number = scalar(self.here, "INSERT INTO others SELECT coalesce(max(id), 0) + 1 FROM others RETURNING id")
        until(self.there, "EXISTS (SELECT FROM others WHERE id = :number)", number=number)

    def same(self) -> None:
        """The subscriber has every row of the table, and no other one."""
        self.follows()
        counted = "SELECT count(*), sum(hits), max(id) FROM events"
        assert sql(self.here, counted) == sql(self.there, counted)


@pytest.fixture(scope="module")
def servers(server_target: str) -> Iterator[tuple[Server, Server]]:
    with start(server_target) as publisher, start(server_target) as subscriber:
        yield publisher, subscriber


@pytest.fixture
def replication(servers: tuple[Server, Server]) -> Iterator[Replication]:
    """From nothing, with a publication of all tables by their roots."""
    with ExitStack() as stack:
        here, there = (create_engine(server.url()) for server in servers)
        for engine in (here, there):
            stack.callback(engine.dispose)
        set_up(here, rows=50)
        sql(here, "CREATE TABLE others (id int PRIMARY KEY)")
        sql(here, f"CREATE PUBLICATION p FOR ALL TABLES {ROOT}")
        sql(there, SCHEMA_OF_SUBSCRIBER)
        alone = there.execution_options(isolation_level="AUTOCOMMIT")
        stack.callback(_clean, here, there)
        sql(alone, f"CREATE SUBSCRIPTION s CONNECTION '{servers[0].uri()}' PUBLICATION p".replace(":", r"\:"))
        until(there, "(SELECT count(*) FROM events) = 50")
        until(there, "NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')")
        yield Replication(here, there, servers[0])


def _clean(here: Engine, there: Engine) -> None:
    alone = there.execution_options(isolation_level="AUTOCOMMIT")
    sql(alone, "DROP SUBSCRIPTION s")
    for engine in (here, there):
        sql(engine, "DROP SCHEMA IF EXISTS sa_partman CASCADE")
        sql(engine, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    sql(here, "DROP PUBLICATION IF EXISTS p")


def undone(replication: Replication) -> None:
    """On PostgreSQL 14 not while changes are sent."""
    there = replication.there.execution_options(isolation_level="AUTOCOMMIT")
    if scalar(there, "SELECT current_setting('server_version_num')::int") < 150000:
        replication.follows()
        with pytest.raises(ConversionRefused, match=r"(?s)can't be made plain.*ALTER SUBSCRIPTION \.\.\. DISABLE"):
            converter(replication.here).undo(TABLE)
        sql(there, "ALTER SUBSCRIPTION s DISABLE")
        until(replication.here, "NOT EXISTS (SELECT FROM pg_replication_slots WHERE active)")
    converter(replication.here).undo(TABLE)
    sql(there, "ALTER SUBSCRIPTION s ENABLE")


@pytest.mark.everywhere
def test_a_subscriber_of_all_tables_follows_a_conversion_and_its_undo(replication: Replication) -> None:
    """It knows neither the record of the conversion, nor the partitions."""
    converter(replication.here).convert(TABLE)
    sql(replication.here, "INSERT INTO events (created_at, org_id, hits) VALUES ('2030-07-05', 1, 7)")
    sql(replication.here, "UPDATE events SET hits = 5 WHERE id = 3")
    replication.same()

    sql(replication.here, "DELETE FROM events WHERE hits = 7")  # no row has to move inside the swap
    undone(replication)
    sql(replication.here, "INSERT INTO events (created_at, org_id) VALUES ('2030-06-05', 1)")
    replication.same()


@pytest.mark.everywhere
def test_a_subscriber_can_refresh_its_publication_after_a_conversion(replication: Replication) -> None:
    """It has to have every table that is published then: nothing of ours is among them."""
    converter(replication.here).convert(TABLE)
    Maintainer(replication.here, metadata(), now=NOW, audit=True).run()
    alone = replication.there.execution_options(isolation_level="AUTOCOMMIT")
    sql(alone, "ALTER SUBSCRIPTION s REFRESH PUBLICATION WITH (copy_data = false)")

    assert ["events", "orgs", "others"] == sorted(
        row[0] for row in sql(replication.here, "SELECT tablename FROM pg_publication_tables")
    )
    replication.same()


def test_a_subscriber_of_all_tables_follows_audited_runs(replication: Replication) -> None:
    """The tables of the audit are UNLOGGED beside such a publication."""
    converter(replication.here).convert(TABLE)
    result = Maintainer(replication.here, metadata(), now=NOW, audit=True).run()

    assert [] == [each.code for each in result.findings if each.code.startswith("audit")]
    assert 1 == scalar(replication.here, "SELECT count(*) FROM sa_partman_runs")
    replication.same()


def test_audit_tables_that_would_be_published_are_not_written_into(replication: Replication) -> None:
    """They were made before the publication; what the finding says to do is enough."""
    here = replication.here
    converter(here).convert(TABLE)
    sql(here, "DROP PUBLICATION p")
    maintainer = Maintainer(here, metadata(), now=NOW, audit=True)
    maintainer.run()
    sql(here, f"CREATE PUBLICATION p FOR ALL TABLES {ROOT}")

    found = [each for each in maintainer.run().findings if each.code == "audit-failed"]
    assert 1 == scalar(here, "SELECT count(*) FROM sa_partman_runs")
    assert "the publication p would send the audit tables of schema public" in found[0].message
    for statement in found[0].message.partition("Run: ")[2].partition("; no step")[0].split("; "):
        sql(here, statement)

    assert [] == [each for each in maintainer.run().findings if each.code == "audit-failed"]
    assert 2 == scalar(here, "SELECT count(*) FROM sa_partman_runs")


def test_a_publication_of_partitions_by_their_own_names_is_refused_by_name(replication: Replication) -> None:
    """A subscriber has no such tables; what the refusal says to do is enough."""
    sql(replication.here, LEAVES)
    with pytest.raises(ConversionRefused, match=r"publication p \(FOR ALL TABLES\).*\(slots: s\)") as refused:
        converter(replication.here).convert(TABLE)
    sql(replication.here, refused.value.reasons[0].split("; ")[1].partition(", and they")[0])
    converter(replication.here).convert(TABLE)

    sql(replication.here, "INSERT INTO events (created_at, org_id) VALUES ('2030-07-05', 1)")
    replication.same()


@pytest.mark.parametrize("verb", ["convert", "undo"])
def test_a_record_that_version_0_1_0_made_is_no_longer_published(verb: str, replication: Replication) -> None:
    """It goes on in the comment as soon as something is written."""
    here = replication.here
    sql(here, "CREATE SCHEMA sa_partman; CREATE TABLE sa_partman.conversion (id bigint, steps jsonb)")
    converter(here).convert(TABLE)
    if verb == "undo":
        undone(replication)

    assert "u" == scalar(here, "SELECT relpersistence FROM pg_class WHERE oid = 'sa_partman.conversion'::regclass")
    replication.same()
