"""Detached tables that can't be archived, or not be dropped afterwards; and places that take no archive."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest

from sa_partman import StepEvent
from sa_partman.archive.places import Directory
from sa_partman.ports import before
from tests.remedies.row import Box, Failed, Meant, Models, Row, Step, ran, run_once
from tests.remedies.rows.archives import APRIL, ARCHIVED, data, expired
from tests.remedies.rows.command_line import unimportable
from tests.remedies.rows.held import let_go
from tests.remedies.rows.overtaken import blind
from tests.support.database import sql
from tests.support.object_store import object_store

RUN = Meant("sa-partman run --yes")
NO_URL = "sa-partman archive list s3://bucket/kept?nonsense=1"
PARQUET = ARCHIVED.replace("'kept'", "'kept', 'parquet'")
NOTED = PARQUET + "    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))\n"
DROPPING = ARCHIVED.replace("Archive('kept')", "'drop'")
OLD = "CREATE TABLE events_p20300401 (LIKE events); COMMENT ON TABLE events_p20300401 IS '{}'"
MARKED = 'sa_partman: detached from "public"."events" at 2030-05-01T00:00:00+00:00'


def meanwhile(deed: Callable[[Box], object]) -> Step:
    """Between archive and drop."""

    def run(box: Box) -> str:
        @before("drop")
        def do(event: StepEvent) -> None:
            deed(box)

        return ran(box, hooks=[do])

    return run


def other_sql(statement: str) -> Callable[[Box], object]:
    return lambda box: sql(box.superuser, statement)


def emptied(box: Box) -> None:
    for each in (box.folder / "kept").iterdir():
        each.unlink()


def cut(box: Box) -> None:
    data(box).write_bytes(data(box).read_bytes()[:-3])


def overtaken(says: str, deed: Callable[[Box], object]) -> Row:
    """What happens meanwhile; the next run does it all."""
    return Row(says, (RUN,), ARCHIVED, (expired,), meanwhile(deed), run_once)


def unmarked_and_hidden(box: Box) -> None:
    """Where the table could be looked at again, the step would be one that nobody needs any more."""
    other_sql("COMMENT ON TABLE events_p20300401 IS NULL")(box)
    blind(box)


DROPPED = (
    overtaken(
        "public.events_p20300401 has 2 rows (SHA-256 …), and no archive has the same rows; nothing was removed. The next "
        "run archives the table again.",
        other_sql("INSERT INTO events_p20300401 (id, created_at) VALUES (9, '2030-04-21')"),
    ),
    overtaken(
        "public.events_p20300401 has no archive at kept; nothing was removed. The next run archives the table again.",
        emptied,
    ),
    overtaken(
        "its bytes are not those that were written; nothing was changed. The next run archives the table again.",
        cut,
    ),
    Row(
        "public.events_p20300401 is no longer the table that was detached from public.events; nothing was changed; a "
        "transaction holds ACCESS EXCLUSIVE on events or one of its partitions, so its partition key can't be read",
        ((let_go, RUN),),
        ARCHIVED,
        (expired,),
        meanwhile(unmarked_and_hidden),
        run_once,
    ),
    overtaken(
        "public.events_p20300401 is no longer the table that was detached from public.events; nothing was changed. The next "
        "run plans from what is there then.",
        other_sql(f"ALTER TABLE events ATTACH PARTITION events_p20300401 {APRIL}".replace(":", r"\:")),
    ),
    Row(
        "public.events_p20300401: its comment does not say which bound it had, and it has 1 rows that are not expired; "
        "nothing was removed. Drop it yourself, or keep it: COMMENT ON TABLE public.events_p20300401 IS NULL",
        (Meant("DROP TABLE events_p20300401"), "COMMENT ON TABLE public.events_p20300401 IS NULL"),
        DROPPING,
        (Box.create, OLD.format(MARKED), "INSERT INTO events_p20300401 (id, created_at) VALUES (1, '2030-06-10')"),
        run_once,
        run_once,
    ),
)


def without_room(box: Box) -> None:
    full = OSError(28, "No space left on device")
    box.other.enter_context(patch.object(Directory, "create", side_effect=full))


def with_room(box: Box) -> None:
    box.other.close()


def unknown_driver(box: Box) -> None:
    box.engine.dialect.driver = "pg8000"


def known_driver(box: Box) -> None:
    box.moved(box.url)


def with_pyarrow(*steps: Step) -> tuple[Step, ...]:
    """Where it is not installed, the row has nothing to show."""
    return (lambda _: pytest.importorskip("pyarrow") and None, *steps)


def said(step: Step) -> Step:
    """What is printed, although it fails."""

    def attempt(box: Box) -> str:
        try:
            return box.do(step)
        except Failed as error:
            return str(error)

    return attempt


WRITTEN = (
    Row(
        "public.events_p20300401: the archive at kept failed: … No space left on device; nothing was removed. Check that the "
        "directory is writable and has room; the next run tries again.",
        ((with_room, RUN),),
        ARCHIVED,
        (expired, without_room),
        run_once,
        run_once,
    ),
    Row(
        "public.events_p20300401: archives need COPY, and not by pg8000; connect with psycopg or asyncpg",
        ((known_driver, run_once),),
        ARCHIVED,
        (expired, unknown_driver),
        run_once,
        run_once,
    ),
    Row(
        "seen_at (timestamp with time zone) holds 'infinity', which Parquet can't represent; nothing was removed. Archive "
        "this table with format='csv.gz'.",
        ((Models(NOTED.replace("'kept', 'parquet'", "'kept', format='csv.gz'")), RUN),),
        NOTED,
        with_pyarrow(expired, "UPDATE events SET seen_at = 'infinity'"),
        run_once,
        run_once,
    ),
    Row(
        "archives in Parquet need pyarrow; install it with: pip install 'sa-partman[archive]'",
        ((lambda _: pytest.importorskip("pyarrow") and None, RUN),),
        PARQUET,
        (expired,),
        unimportable("pyarrow", run_once),
        run_once,
    ),
    Row(
        "archives at s3:// need pyarrow; install it with: pip install 'sa-partman[archive]'",
        (lambda _: pytest.importorskip("pyarrow") and None,),
        attempt=unimportable("pyarrow", NO_URL),
        again=said(NO_URL),
        server=False,
    ),
)


def without_bucket(box: Box) -> None:
    """The models archive into an object store."""
    box.store = box.stack.enter_context(object_store())
    box.models(ARCHIVED.replace("'kept'", repr(box.store.url("kept", "missing"))))
    expired(box)


def created(box: Box) -> None:
    box.store.ask("PUT", "missing")


def corrected(box: Box) -> None:
    box.models(ARCHIVED.replace("'kept'", repr(box.store.url("kept"))))


STORES = (
    Row(
        "s3://bucket/kept?nonsense=1: Unexpected query parameter in S3 URI: 'nonsense'; nothing was archived or read. "
        "Correct the URL.",
        (
            (
                lambda box: (box.folder / "kept").mkdir(),
                lambda box: box.do(f"sa-partman archive list file://{box.folder}/kept"),
            ),
        ),
        given=with_pyarrow(),
        attempt=NO_URL,
        again=None,
        server=False,
    ),
    Row(
        "s3://missing/kept?…: the store has no bucket 'missing'; nothing was archived or read. Create it, or correct the "
        "URL.",
        ((created, RUN), (corrected, RUN)),
        ARCHIVED,
        (without_bucket,),
        run_once,
        run_once,
    ),
)
