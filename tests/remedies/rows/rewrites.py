"""Rows that move into other partitions: what is asked for wrongly, what is refused, and what has not ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text

from sa_partman import PartmanError, Rewriter
from tests.remedies.row import Box, Meant, Row, Step, Way
from tests.remedies.rows.models import EVENTS, ORDERS, PLAIN

HISTORY = (
    "CREATE TABLE events_history PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2030-06-01 00:00+00')",
    "COMMENT ON TABLE events_history IS 'sa_partman: created'",
    "INSERT INTO events (created_at) SELECT timestamptz '2030-06-01 00:00+00' - i * interval '10 minutes' "
    "FROM generate_series(1, 12000) i",
    "ANALYZE events",
)
SPLIT = "sa-partman split events_history --into '1 month' --yes"
DEFAULT = "CREATE TABLE events_default PARTITION OF events DEFAULT"
NUMBERS = """
class Item(Partitioned, Base):
    __tablename__ = "items"
    __partition__ = PartitionByRange("id", interval=1000, premake=1)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
"""
TREE = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange(
        "created_at", interval="1 month", premake=2, subpartition=PartitionByHash("id", modulus=2)
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""
KINDS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList(
        "kind", values=["a"], subpartition=PartitionByRange("created_at", interval="1 month", premake=1)
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""


def rewriter(box: Box) -> Rewriter:
    return Rewriter(box.engine, box.metadata, now=box.now)


def stopped(step: str, act: Callable[..., Any]) -> Callable[[Box], None]:
    """*act*, killed behind *step*."""

    def begin(box: Box) -> None:
        def report(done: Any, seconds: float) -> None:
            if done.id == step:
                raise PartmanError("killed")

        with pytest.raises(PartmanError, match="killed"):
            act(rewriter(box), report=report)

    return begin


def splitting(rewriter: Rewriter, **more: Any) -> None:
    rewriter.split("events_history", into="1 month", **more)


def undoing(rewriter: Rewriter, **more: Any) -> None:
    rewriter.undo("events", **more)


def yes(command: str) -> Callable[[Box], str]:
    return lambda box: box.do(f"{command} --yes")


def patched(name: str, value: Any, step: str) -> Step:
    """*step*, while something is otherwise than it can be made from outside."""

    def attempt(box: Box) -> str:
        with patch(f"sa_partman.{name}", value):
            return box.do(step)

    return attempt


LOGICAL = patched("postgres.rewriting._IS_LOGICAL", text("SELECT true"), SPLIT)
"""As on a server with wal_level=logical."""


def gone_after_the_first(box: Box) -> str:
    """The partition is there when its table is looked for, and not when it is planned."""
    from sa_partman.postgres.rewrite_plan import find_partition

    asked: list[Any] = []

    def find(*given: Any) -> Any:
        asked.append(find_partition(*given))
        return asked[0] if len(asked) == 1 else None

    with patch("sa_partman.maintenance.rewriter.find_partition", find):
        return box.do(SPLIT)


def as_another(box: Box) -> str:
    """By a role that may read and no more, and that sees no row."""
    name = f"remedy_{uuid4().hex[:8]}"
    box.do(f"CREATE ROLE {name}; GRANT SELECT ON events, events_history TO {name}")
    box.do("ALTER TABLE events ENABLE ROW LEVEL SECURITY; ALTER TABLE events_history ENABLE ROW LEVEL SECURITY")
    url = make_url(box.url).update_query_dict({"options": f"-crole={name}"})
    try:
        return box.do(
            f"sa-partman split events_history --at 2030-05-01 --yes --url {url.render_as_string(hide_password=False)}"
        )
    finally:
        box.do(f"DROP OWNED BY {name}; DROP ROLE {name}; ALTER TABLE events DISABLE ROW LEVEL SECURITY")
        box.do("ALTER TABLE events_history DISABLE ROW LEVEL SECURITY")


def read_since(box: Box) -> str:
    """A transaction with a snapshot from before, and little patience."""
    connection = box.other.enter_context(box.superuser.connect()).execution_options(isolation_level="REPEATABLE READ")
    connection.exec_driver_sql("SELECT count(*) FROM pg_class")
    return box.do(f"{SPLIT} --budget 1ms")


def reader_ended(box: Box) -> None:
    box.other.close()


def wrong(says: str, attempt: Step, *ways: Way, given: tuple[Step, ...] = (), models: str = EVENTS) -> Row:
    return Row(says, ways, models, (Box.create, *(HISTORY if models == EVENTS else ()), *given), attempt, None)


def refused(says: str, attempt: Step, *ways: Way, given: tuple[Step, ...] = (), models: str = EVENTS) -> Row:
    return wrong(
        f"public.events can't be rewritten; nothing was changed: … {says}", attempt, *ways, given=given, models=models
    )


ASKED = (
    wrong(
        "name two or more partitions, or one table with --older-than",
        "sa-partman merge events_p20300601 --yes",
        Meant("sa-partman merge events_p20300601 events_p20300701 --yes"),
        Meant("sa-partman merge events --older-than '1 year' --yes"),
    ),
    wrong(
        "--resume takes one name, that of the table",
        "sa-partman merge events_p20300601 events_p20300701 --resume",
    ),
    wrong(
        "split takes its table without --table, see: sa-partman split --help",
        f"{SPLIT} --table events",
        Meant(SPLIT),
    ),
    wrong(
        "--throttle 'speed=5': 'speed=5' is no limit; write rows=N (a second), lag=SECONDS (that a replica may be "
        "behind) and pause=SECONDS (between two pieces), with commas between them",
        f"{SPLIT} --throttle speed=5",
        Meant(f"{SPLIT} --throttle rows=500000,lag=10,pause=0.01"),
    ),
    wrong(
        "--into '1 moon': …. Give an interval such as '1 month', or a number for an integer key",
        "sa-partman split events_history --into '1 moon' --yes",
        Meant(SPLIT),
    ),
    wrong(
        "--older-than 'long': …. Give a length such as '14 months', or a number for an integer key",
        "sa-partman split events_history --older-than long --yes",
        Meant("sa-partman split events_history --older-than '2 months' --yes"),
    ),
    wrong(
        "--at 'soon': …; nothing was changed. Give a date such as 2026-06-01",
        "sa-partman split events_history --at soon --yes",
        Meant("sa-partman split events_history --at 2030-05-01 --yes"),
    ),
    wrong(
        "--into 7: …; nothing was changed. Give an interval, such as '1 month'",
        "sa-partman split events_history --into 7 --yes",
        Meant(SPLIT),
    ),
    wrong(
        "--older-than '7' does not fit the key: …; nothing was changed. Give for example '14 months', or a number for "
        "integers",
        "sa-partman split events_history --older-than 7 --yes",
        Meant("sa-partman split events_history --older-than '2 months' --yes"),
    ),
    wrong(
        "--into 1 month is no width of integers; nothing was changed. Give a number, such as 100000",
        "sa-partman split items_p0 --into '1 month' --yes",
        Meant("sa-partman split items_p0 --into 500 --yes"),
        models=NUMBERS,
    ),
    wrong(
        "[MINVALUE, 2030-06-01) would become more than 1,000 partitions; nothing was changed. Choose a longer "
        "interval, or split it in two first: --at ...",
        "sa-partman split events_history --into '1 hour' --yes",
        Meant(SPLIT),
        Meant("sa-partman split events_history --at 2030-05-01 --yes"),
    ),
    wrong(
        "no declared table has a partition nothing; nothing was changed. See: sa-partman status",
        "sa-partman split nothing --yes",
        "sa-partman status",
    ),
    wrong(
        "public.events is the table itself; nothing was changed. Name its partition: sa-partman status",
        "sa-partman split events --yes",
        "sa-partman status",
    ),
    wrong("public.events has no partition events_history any more; nothing was changed", gone_after_the_first),
    wrong(
        "public.events_default is the default partition: sa-partman drain, so it can't be split; nothing was changed",
        "sa-partman split events_default --yes",
        Meant("sa-partman drain events --yes"),
        given=(DEFAULT,),
    ),
    wrong("public.events has no default partition; nothing was changed", "sa-partman drain events --yes"),
    wrong(
        "public.orders is PARTITION BY LIST (country), and this is for ranges of one column; nothing was changed",
        "sa-partman drain orders --yes",
        models=ORDERS,
    ),
    wrong(
        "only ranges of one parent can be merged; nothing was changed",
        "sa-partman merge orders_de orders_fr --yes",
        models=ORDERS,
    ),
    wrong(
        "name two or more range partitions to merge; nothing was changed",
        "sa-partman merge events_history events_default --yes",
        Meant("sa-partman merge events_history events_p20300601 --yes"),
        given=(DEFAULT,),
    ),
    wrong(
        "public.events_p20300601 ends at another point than where public.events_p20300801 begins, so they can't be "
        "merged; nothing was changed. Name neighbours, or fill the gap first: sa-partman provision",
        "sa-partman merge events_p20300601 events_p20300801 --yes",
        Meant("sa-partman merge events_p20300601 events_p20300701 --yes"),
        ("sa-partman provision", Meant("sa-partman merge events_p20300601 events_p20300701 --yes")),
    ),
    Row(
        "public.events is no partitioned table in the database; nothing was changed",
        (),
        EVENTS,
        (PLAIN,),
        "sa-partman drain events --yes",
        None,
    ),
    wrong(
        "public.events: there is no rewrite in progress; nothing was changed. See: sa-partman status",
        "sa-partman split events --resume --yes",
        "sa-partman status",
    ),
    wrong(
        "public.events does not exist any more; nothing was changed",
        patched("maintenance.moving.marks", lambda *_: None, SPLIT),
    ),
    wrong(
        "public.events was changed meanwhile; nothing was changed. Try again.",
        patched("maintenance.moving.marks", lambda *_: None, "sa-partman split events --undo --yes"),
        Meant("sa-partman split events --undo --yes"),
        given=(SPLIT,),
    ),
)

REFUSED = (
    wrong(
        "[MINVALUE, 2030-06-01) spans several tenants, and no single line of cells; nothing was changed",
        patched("plan.rewrite.pieces.line_of", lambda *_: None, SPLIT),
    ),
    refused(
        "no row of public.events can be known again: it has no primary key, and no unique index over columns that are "
        "NOT NULL; add one (it has to contain the partition key)",
        SPLIT,
        (Meant("ALTER TABLE events ADD PRIMARY KEY (id, created_at)"), Meant(SPLIT)),
        given=("ALTER TABLE events DROP CONSTRAINT events_pkey",),
    ),
    refused(
        "public.events_p20300601 is partitioned itself; rewrite the partitions that hold its rows … the partitions of "
        "public.events are to be PARTITION BY HASH (id) themselves, and rows are not moved into such a tree yet; rewrite "
        "the partitions below, one parent at a time",
        "sa-partman split events_p20300601 --at 2030-06-10 --yes",
        models=TREE,
    ),
    refused(
        "public.events_history has for itself, and its successors would not have: …; drop it first",
        SPLIT,
        (Meant("DROP INDEX own"), Meant(SPLIT)),
        given=("CREATE INDEX own ON events_history (id)",),
    ),
    refused(
        "the name public.events_rewrite, which this needs, is taken; rename or drop that table",
        SPLIT,
        (Meant("DROP TABLE events_rewrite"), Meant(SPLIT)),
        (Meant("ALTER TABLE events_rewrite RENAME TO other"), Meant(SPLIT)),
        given=("CREATE TABLE events_rewrite ()",),
    ),
    refused(
        "the foreign key itself of public.events refers to the table itself; drop it, and add it again",
        SPLIT,
        (Meant("ALTER TABLE events DROP CONSTRAINT itself"), Meant(SPLIT)),
        given=(
            "ALTER TABLE events ADD other bigint, ADD CONSTRAINT itself FOREIGN KEY (other, created_at) REFERENCES events",
        ),
    ),
    refused(
        "the constraint c of public.events is NOT VALID, and a copy of a row that breaks it would be refused; prove it "
        "(VALIDATE CONSTRAINT c), or drop it",
        SPLIT,
        (Meant("ALTER TABLE events VALIDATE CONSTRAINT c"), Meant(SPLIT)),
        (Meant("ALTER TABLE events DROP CONSTRAINT c"), Meant(SPLIT)),
        given=("ALTER TABLE events ADD CONSTRAINT c CHECK (id > 0) NOT VALID",),
    ),
    replace(
        refused(
            "the publication p sends the partitions of public.events under their own names; take the table out of the publication while this is done, or publish it via its root",
            LOGICAL,
            (Meant("ALTER PUBLICATION p DROP TABLE events"), LOGICAL),
            (Meant("ALTER PUBLICATION p SET (publish_via_partition_root = true)"), LOGICAL),
            given=("CREATE PUBLICATION p FOR TABLE events",),
        ),
        since=15,
    ),
    replace(
        refused(
            "PostgreSQL 14 would not send what is written into the new partitions after the swap to subscribers of the "
            "publication p, because they were written to before they were partitions; upgrade to PostgreSQL 15, or "
            "take the table out of the publication while this is done",
            LOGICAL,
            (Meant("ALTER PUBLICATION p DROP TABLE events"), LOGICAL),
            given=("CREATE PUBLICATION p FOR TABLE events WITH (publish_via_partition_root = true)",),
        ),
        until=14,
    ),
    refused(
        "row level security hides rows of public.events_history from this role; connect as a role with BYPASSRLS, or "
        "as an owner without FORCE ROW LEVEL SECURITY",
        as_another,
        Meant(SPLIT),
    ),
    refused("…; grant it, or connect as the owner", as_another, Meant(SPLIT)),
    Row(
        "public.events can't be rewritten; nothing was changed: … public.notes is partitioned and refers to public.events: "
        "PostgreSQL … can add that foreign key again only by reading all its rows while everybody waits; upgrade to "
        "PostgreSQL 18, or drop that foreign key, and add it again afterwards",
        ((Meant("ALTER TABLE notes DROP CONSTRAINT k"), Meant(SPLIT)),),
        EVENTS,
        (
            Box.create,
            *HISTORY,
            "CREATE TABLE notes (id bigint, at timestamptz, CONSTRAINT k FOREIGN KEY (id, at) REFERENCES events) "
            "PARTITION BY RANGE (at)",
        ),
        SPLIT,
        None,
        until=17,
    ),
    wrong(
        "public.events is referred to by foreign keys, which can't be given to the partitions of public.events_a alone; "
        "nothing was changed",
        "sa-partman split events_a_p20300601 --at 2030-06-10 --yes",
        models=KINDS,
        given=("CREATE TABLE notes (kind text, at timestamptz, FOREIGN KEY (kind, at) REFERENCES events)",),
    ),
)

UNFINISHED = (
    Row(
        "outlived: rows older than 1 month stay in public.events_history until …, when all of it expires at once; the "
        "planner estimates … of them now -> cut it in intervals: sa-partman split public.events_history",
        (yes("sa-partman split public.events_history"),),
        EVENTS.replace("premake=2", "premake=2, retention=Retention('1 month')"),
        (Box.create, *HISTORY),
    ),
    wrong(
        "…: it would not see the rows any more that it sees now… End it (it is REPEATABLE READ, or a dump), then go on "
        "with --resume.",
        read_since,
        (reader_ended, yes("sa-partman split events --resume")),
    ),
    wrong(
        "…, and its rows would come back with the old ones; nothing was changed. Keep the new ones: sa-partman "
        "split public.events --finalize",
        "sa-partman split events --undo --yes",
        yes("sa-partman split public.events --finalize"),
        given=(SPLIT, "DROP TABLE events_p20300401"),
    ),
    Row(
        "rewrite-kept: the split of public.events is done, and the partitions from before it are kept on disk -> drop "
        "them: sa-partman split public.events --finalize, or take it back: sa-partman split public.events --undo",
        (yes("sa-partman split public.events --finalize"), yes("sa-partman split public.events --undo")),
        EVENTS,
        (Box.create, *HISTORY, SPLIT),
    ),
    Row(
        "rewrite-in-progress: the split of public.events is in progress; next step: … -> go on: sa-partman split "
        "public.events --resume, or take it back: sa-partman split public.events --abort",
        (yes("sa-partman split public.events --resume"), yes("sa-partman split public.events --abort")),
        EVENTS,
        (Box.create, *HISTORY, stopped("catch_up", splitting)),
    ),
    wrong(
        "public.events: rows change faster than the changes are replayed, so the swap was given up 0 times; nothing of "
        "it was done. Go on when less is written: --resume, or take everything back: --abort",
        patched("engine.conversion.TRIES", 0, SPLIT),
        yes("sa-partman split events --resume"),
        yes("sa-partman split events --abort"),
    ),
)
