"""A published table is rewritten, with a real subscriber, which has the same rows after each verb."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman.errors import ConversionRefused
from sa_partman.plan.steps import Step
from tests.integration.maintenance.test_published import Replication
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import until
from tests.support.database import sql
from tests.support.moving import in_pieces
from tests.support.rewriting import VERBS, contents, left_behind, rewriter
from tests.support.servers import start

PLAIN = """
CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant int NOT NULL, note text NOT NULL,
    hits int NOT NULL, PRIMARY KEY (id, created_at)); CREATE TABLE others (id int PRIMARY KEY)
"""

WRITES = """
UPDATE events SET note = note || '!', hits = hits + 1 WHERE id % 7 = 0;
UPDATE events SET created_at = created_at - interval '40 days' WHERE id % 13 = 0;
DELETE FROM events WHERE id % 11 = 0;
INSERT INTO events (created_at, tenant) SELECT created_at, 77 FROM events WHERE id % 17 = 0;
UPDATE events SET id = id + 1000000 WHERE id % 19 = 0 AND id < 1000000
"""


@contextmanager
def replicated(target: str, verb: str, publication: str) -> Iterator[Replication]:
    """The publisher's table is prepared for *verb*; the subscriber's is plain."""
    with start(target) as publisher, start(target) as subscriber:
        here, there = create_engine(publisher.url()), create_engine(subscriber.url())
        alone = there.execution_options(isolation_level="AUTOCOMMIT")
        try:
            VERBS[verb].prepare(here, 1_000)
            sql(here, "CREATE TABLE others (id int PRIMARY KEY)")
            sql(there, PLAIN)
            sql(here, publication)
            sql(alone, f"CREATE SUBSCRIPTION s CONNECTION '{publisher.uri()}' PUBLICATION p".replace(":", r"\:"))
            until(there, "NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')")
            yield Replication(here, there)
            sql(alone, "DROP SUBSCRIPTION s")
        finally:
            here.dispose()
            there.dispose()


def same(pair: Replication) -> None:
    pair.follows()
    assert contents(pair.here) == contents(pair.there)


def writing(engine: Engine) -> Callable[[Step, float], None]:
    def report(step: Step, seconds: float) -> None:
        sql(engine, WRITES)

    return report


@pytest.mark.parametrize("small", [False, True], ids=["in-pieces", "at-once"])
@pytest.mark.parametrize("verb", ["split", "drain", "merge"])
def test_the_subscriber_has_the_same_rows(
    verb: str, small: bool, server_target: str, server_major: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server_major < 15:
        pytest.skip("it would not be sent what is written after the swap, see below")
    if not small:
        in_pieces(monkeypatch)
    by_root = "CREATE PUBLICATION p FOR TABLE events, others WITH (publish_via_partition_root = true)"
    with replicated(server_target, verb, by_root) as pair:
        work = rewriter(pair.here, VERBS[verb].metadata)
        same(pair)

        VERBS[verb].move(work, report=writing(pair.here))
        same(pair)
        sql(pair.here, WRITES)
        work.undo("events", report=writing(pair.here))
        same(pair)
        VERBS[verb].move(work)
        work.finalize("events", report=writing(pair.here))
        same(pair)

        assert [] == left_behind(pair.here)


@pytest.mark.parametrize(
    ("scope", "why"),
    [
        ("FOR TABLE events", r"p sends the partitions of public\.events under their own names"),
        ("FOR ALL TABLES", r"p \(FOR ALL TABLES\) would send each copied row again"),
    ],
)
def test_what_would_send_rows_twice_is_refused(scope: str, why: str, engine: Engine) -> None:
    metadata = VERBS["split"].prepare(engine, 100)
    sql(engine, f"CREATE PUBLICATION p {scope}")
    before = snapshot(engine)

    with pytest.raises(ConversionRefused, match=why):
        rewriter(engine, metadata).split("events_history", into="1 month")

    assert "" == difference(before, snapshot(engine))


def test_what_would_not_be_sent_is_refused(server_target: str, server_major: int) -> None:
    """On PostgreSQL 14, whose senders do not notice that a table which they know has become a partition."""
    if server_major >= 15:
        pytest.skip("they notice it")
    with start(server_target) as server:
        engine = create_engine(server.url())
        try:
            metadata = VERBS["split"].prepare(engine, 100)
            sql(engine, "CREATE PUBLICATION p FOR TABLE events WITH (publish_via_partition_root = true)")

            with pytest.raises(ConversionRefused, match="would not send what is written into the new partitions"):
                rewriter(engine, metadata).split("events_history", into="1 month")

            sql(engine, "ALTER PUBLICATION p DROP TABLE events")
            rewriter(engine, metadata).split("events_history", into="1 month")
        finally:
            engine.dispose()
