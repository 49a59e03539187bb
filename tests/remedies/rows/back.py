"""Going on with a conversion, taking one back, and making a table plain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from psycopg.pq import ExecStatus
from sqlalchemy import make_url

from sa_partman import StepEvent
from sa_partman.engine.migration import unpartition_inline
from sa_partman.errors import ExecutionError
from sa_partman.names import QualifiedName
from tests.remedies.row import Box, Meant, Models, Row, Step
from tests.remedies.rows.held import READ_COMMITTED, SERIALIZABLE, let_go, other
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.remedies.rows.refused import CONVERT, PLAN, UNDO, converted
from tests.remedies.rows.written import ONLINE, REVISION, UNDECLARED
from tests.support.database import scalar
from tests.support.killing import until

RESUME = "sa-partman convert events --resume --yes"
PLAINLY = (Models(UNDECLARED), Meant(REVISION), ONLINE)
KEYED = "op.unpartition_table('events', PartitionByRange('created_at', interval='1 month'), primary_key={})"
NOTHING = "public.events: there is no conversion in progress; nothing was changed"


def followed(box: Box) -> None:
    """A subscriber's slot; it has to go before the database does."""
    box.do("CREATE PUBLICATION p FOR TABLE events")
    box.do("SELECT pg_create_logical_replication_slot('sa_partman_rows', 'pgoutput')")
    box.stack.callback(box.do, "SELECT pg_drop_replication_slot('sa_partman_rows')")


@contextmanager
def subscribed(box: Box) -> Iterator[None]:
    """A subscriber at work."""
    url = make_url(box.url).set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(url, replication="database", autocommit=True)) as connection:
        options = b"(proto_version '1', publication_names 'p')"
        begun = connection.pgconn.exec_(b"START_REPLICATION SLOT sa_partman_rows LOGICAL 0/0 " + options)
        assert begun.status == ExecStatus.COPY_BOTH
        yield
    assert until(lambda: not scalar(box.superuser, "SELECT bool_or(active) FROM pg_replication_slots"))


def bound_of_history(box: Box) -> None:
    """As it was before."""
    box.do("ALTER TABLE events ATTACH PARTITION events_history FOR VALUES FROM (MINVALUE) TO ('2030-07-01')")


def detached(box: Box) -> None:
    box.do("ALTER TABLE events DETACH PARTITION events_history")


def plainly(box: Box) -> None:
    """What ``op.unpartition_table`` does when the table has become plain since it looked."""
    with box.engine.begin() as connection:
        unpartition_inline(connection, QualifiedName("public", "events"), ["id"])


GONE = (
    "public.events: the partition with the rows from before the conversion is gone (dropped or detached); nothing was "
    "changed. If it was detached, attach it again; or make the table plain as it is: take the declaration off the model, "
    "and alembic revision --autogenerate writes op.unpartition_table(...)"
)


def refused(says: str, attempt: Step, *ways: Step | tuple[Step, ...], given: tuple[Step, ...]) -> Row:
    return Row(says, ways, EVENTS, given, attempt, None)


def hooked(box: Box) -> str:
    """A converter whose hook fails."""

    def ready(event: StepEvent) -> None:
        raise RuntimeError("no line")

    with pytest.raises(ExecutionError) as caught:
        box.converter(hooks=[ready]).convert("public.events")
    return str(caught.value)


BACK = (
    refused(
        "public.events: before the step 'unique_index' the hook hooked.<locals>.ready failed: RuntimeError: no line; "
        "nothing was changed. Fix the hook, then go on: Converter.resume('public.events')",
        hooked,
        lambda box: box.converter().resume("public.events"),
        given=(PLAIN,),
    ),
    refused(f"{NOTHING}. Begin with: sa-partman convert public.events", RESUME, Meant(CONVERT), given=(PLAIN,)),
    refused(f"{NOTHING}. The last conversion of it is done.", RESUME, given=(PLAIN, CONVERT)),
    refused(
        "public.events: there is no finished conversion to take back; nothing was changed. It is partitioned, and there is "
        "no record of its conversion: it was created so, a migration converted it, or the table sa_partman.conversion was "
        "dropped. To make it plain, take the declaration off the model; alembic revision --autogenerate writes "
        "op.unpartition_table(...) then.",
        UNDO,
        PLAINLY,
        given=(Box.create,),
    ),
    refused(GONE, UNDO, (bound_of_history, Meant(UNDO)), PLAINLY, given=(converted, detached)),
    refused(
        "public.events: partitioned already, as the model declares it; nothing was changed.",
        CONVERT,
        given=(Box.create,),
    ),
    refused(
        "public.events is no partitioned table; see sa-partman status", plainly, "sa-partman status", given=(PLAIN,)
    ),
    refused(
        "the column nix of the wanted primary key does not exist; migrate that first",
        KEYED.format(["nix"]),
        Meant(KEYED.format(["id"])),
        (Meant("ALTER TABLE events ADD nix int NOT NULL DEFAULT 1"), Meant(KEYED.format(["nix"]))),
        given=(Box.create,),
    ),
    refused(
        "public.orders refers to it by k (id, created_at), which would not be unique; drop that foreign key before",
        KEYED.format(["id"]),
        (Meant("ALTER TABLE orders DROP CONSTRAINT k"), Meant(KEYED.format(["id"]))),
        given=(
            Box.create,
            "CREATE TABLE orders (id bigint, at timestamptz, CONSTRAINT k FOREIGN KEY (id, at) REFERENCES events)",
        ),
    ),
    refused(
        "the transaction is SERIALIZABLE, so it does not see rows that were committed after its first statement, and they "
        "would be lost; run the migration in READ COMMITTED: isolation_level='READ COMMITTED' for the engine in env.py",
        KEYED.format(["id"]),
        (READ_COMMITTED, Meant(KEYED.format(["id"]))),
        given=(Box.create, SERIALIZABLE),
    ),
    refused(
        "…, which belongs to single partitions; drop it before",
        KEYED.format(["id"]),
        (Meant("DROP TRIGGER t ON events_p20300601"), Meant(KEYED.format(["id"]))),
        given=(
            Box.create,
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER t AFTER INSERT ON events_p20300601 FOR EACH ROW EXECUTE FUNCTION f()",
        ),
    ),
    Row(
        "the publication p publishes partitions under their own names: subscribers (slots: sa_partman_rows) have no such "
        "tables, and would stop at the first row; ALTER PUBLICATION p SET (publish_via_partition_root = true), and they go "
        "on with the name of this table; where it publishes other partitioned tables, ALTER SUBSCRIPTION ... REFRESH "
        "PUBLICATION after that",
        ("ALTER PUBLICATION p SET (publish_via_partition_root = true)",),
        EVENTS,
        (PLAIN, followed),
        PLAN,
        PLAN,
    ),
    Row(
        "its changes are sent to subscribers under the name of the partitioned table (slots: sa_partman_rows), and "
        "PostgreSQL 14 can crash when it is made plain meanwhile; ALTER SUBSCRIPTION ... DISABLE there until the undo is "
        "done, or upgrade to PostgreSQL 15",
        (let_go,),
        EVENTS,
        (converted, followed, "ALTER PUBLICATION p SET (publish_via_partition_root = true)", other(subscribed)),
        UNDO,
        UNDO,
        until=14,
    ),
)
