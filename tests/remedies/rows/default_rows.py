"""Rows of a default partition: what a run does with them, and what moves or removes the others."""

import pytest

from tests.remedies.row import Box, Failed, Meant, Models, Row, run_once
from tests.remedies.rows.models import EVENTS, later

DEFAULT = EVENTS.replace("premake=2", "premake=1, default=True")
AHEAD = DEFAULT.replace("premake=1", "premake=3")
LISTS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("kind", values=["a"], default=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
"""
AUGUST = "[2030-08-01, 2030-09-01)"


def rows(instant: str, number: int = 1) -> str:
    return f"INSERT INTO events (created_at) SELECT '{instant}' FROM generate_series(1, {number})"


def in_default(number: int = 1) -> str:
    return f"default-rows: {number} rows sit in the default partition public.events_default"


def typed_as_printed(box: Box) -> None:
    """What the failing run prints for a published default partition, between its own lines."""
    with pytest.raises(Failed) as refused:
        box.do("sa-partman run")
    out, _, back = " ".join(str(refused.value).split()).partition("get both: ")[2].partition("; then this again; then ")
    box.do(out)
    box.do("sa-partman run")
    box.do(back.partition("; this step")[0].replace("the partitioned table", "events"))


DRAINED = (Meant("sa-partman drain events --yes"), Meant("sa-partman drain events --finalize --yes"))

DEFAULT_ROWS = (
    Row(
        f"{in_default()}; of these, the next run moves {AUGUST} (1 rows) into partitions that it makes -> run: "
        "sa-partman run",
        ("sa-partman run",),
        DEFAULT,
        (Box.create, rows("2030-08-20"), Models(AHEAD)),
    ),
    Row(
        f"{in_default()}; of these, {AUGUST} (1 rows) belong into partitions that are missing, and no run moves them: "
        "subscribers of p would get only one half of the move -> sa-partman run, which fails there, prints what to do",
        (typed_as_printed,),
        DEFAULT,
        (Box.create, rows("2030-08-20"), "CREATE PUBLICATION p FOR TABLE events", Models(AHEAD)),
    ),
    Row(
        f"{in_default()}; of these, {AUGUST} (1 rows) belong into partitions that are missing, and no run moves them: "
        "that would fire the row triggers t on public.events_default -> sa-partman run, which fails there, prints what "
        "to do",
        ((Meant("ALTER TABLE events DISABLE TRIGGER t"), "sa-partman run"),),
        DEFAULT,
        (
            Box.create,
            rows("2030-08-20"),
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
            "CREATE TRIGGER t BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION f()",
            Models(AHEAD),
        ),
    ),
    Row(
        f"{in_default(100001)}; of these, more than 100000 belong into one partition that is missing: {AUGUST} "
        "(100001 rows) -> move them while the application goes on, with sa-partman drain; or in a maintenance window, "
        "because nobody reads or writes them meanwhile: sa-partman run --max-rows 100001",
        (DRAINED, "sa-partman run --max-rows 100001"),
        DEFAULT,
        (Box.create, rows("2030-08-20", 100_001), Models(AHEAD)),
    ),
    Row(
        "100001 rows of public.events_default belong into the new partition events_p20300801, and at most 100000 are "
        "moved in one transaction, because nobody can read or write them meanwhile; nothing was changed. Move "
        "them while the application goes on, with sa-partman drain; or raise the limit in a maintenance window, with "
        "limit= of an operation, or: sa-partman run --max-rows 100001",
        (DRAINED, "sa-partman run --max-rows 100001"),
        DEFAULT,
        (Box.create, rows("2030-08-20", 100_001), Models(AHEAD)),
        run_once,
        run_once,
    ),
    Row(
        f"{in_default()}; of these, {AUGUST} (1 rows) lie ahead; the run that makes their partitions moves them",
        ((later("2030-07-15"), Meant("sa-partman run")),),
        DEFAULT,
        (Box.create, rows("2030-08-20")),
    ),
    Row(
        f"{in_default()}; of these, no run makes a partition for [2009-05-01, 2009-06-01) (1 rows) -> make one, which "
        "moves them: sa-partman provision --table events --at 2009-05-01T00:00:00+00:00",
        ("sa-partman provision --table events --at 2009-05-01T00:00:00+00:00",),
        DEFAULT,
        (Box.create, rows("2009-05-20")),
    ),
    Row(
        f"{in_default()}; of these, no run makes a partition for … (1 rows) -> declare what they belong to, make a "
        "partition in a migration, or delete them",
        (
            Models(LISTS.replace('["a"]', '["a", "b"]')),
            Meant("op.create_partition('events_b', 'events', values=['b'])"),
            Meant("DELETE FROM events_default WHERE kind = 'b'"),
        ),
        LISTS,
        (Box.create, "INSERT INTO events (kind) VALUES ('b')"),
    ),
    Row(
        f"{in_default()} -> look what they are: no run moves them",
        (lambda box: box.do("DELETE FROM events"),),
        DEFAULT,
        (Box.create, rows("infinity")),
    ),
)
