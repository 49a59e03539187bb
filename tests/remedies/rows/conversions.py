"""Conversions that have begun and not ended, and what Alembic's own operations are told about partitions."""

from contextlib import suppress
from typing import Any

from sqlalchemy import event

from sa_partman.postgres import journal
from tests.remedies.row import Box, Meant, Row
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.support.killing import at_point


def stopped(box: Box) -> None:
    """Between the new table and the swap."""

    def report(step: object, seconds: float) -> None:
        if getattr(step, "id", "") == "parent":
            raise KeyError(step)

    try:
        box.converter(now=box.now).convert("events", report=report)
    except KeyError:
        return
    raise AssertionError("it was not stopped")


def overtaken(box: Box) -> None:
    """When it has built an index, its right is lost, and another process notes that first."""
    seen: list[str] = []

    def stop(step: object, seconds: float) -> None:
        raise KeyError(step)

    def before(connection: Any, cursor: Any, text: str, *rest: Any) -> None:
        if "INDEX CONCURRENTLY" in text and not seen:
            seen.append(text)
        elif "pg_advisory_xact_lock" in text and len(seen) == 1:
            seen.append(text)
            box.do("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            with suppress(KeyError):
                box.converter().resume("events", report=stop)

    event.listen(box.engine, "before_cursor_execute", before)
    try:
        box.converter(now=box.now).convert("events")
    finally:
        event.remove(box.engine, "before_cursor_execute", before)


def older(box: Box) -> None:
    """What version 0.1.0 stored of the table."""
    with box.engine.begin() as connection:
        rows = {
            key: {**row, "fingerprint": "oids", "version": "0.1.0"} for key, row in journal._rows(connection).items()
        }
        journal._write(connection, rows)


def renamed_meanwhile(box: Box) -> None:
    """Right before its triggers are read."""

    def rename(_: object) -> None:
        with box.superuser.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE events RENAME TO moved")

    with at_point(box.engine, 1, rename, "pg_get_triggerdef"):
        box.converter(now=box.now).plan("events")


LEFT = (
    'DROP TABLE "public"."events_pnew"; ALTER TABLE "public"."events" DROP CONSTRAINT "events_history_bound"; '
    'DROP INDEX CONCURRENTLY "public"."events_pkey_new"'
)


def taken_back(box: Box) -> None:
    """Each by itself: one of them can't run in a transaction."""
    for statement in LEFT.split("; "):
        box.do(statement)


def batch(recreate: str) -> str:
    return (
        f"op.execute('SELECT 1')\nimport sqlalchemy as sa\nwith op.batch_alter_table('events'{recreate}) as batch:\n"
        + ("    batch.add_column(sa.Column('extra', sa.Integer))")
    )


CONVERSIONS = (
    Row(
        "conversion-in-progress: a conversion of public.events is in progress; next step: swap: public.events becomes "
        "the partition events_history of the partitioned table -> go on: sa-partman convert public.events --resume, or "
        "take it back: sa-partman convert public.events --abort",
        (
            lambda box: box.do("sa-partman convert public.events --resume --yes"),
            lambda box: box.do("sa-partman convert public.events --abort --yes"),
        ),
        EVENTS,
        (PLAIN, stopped),
    ),
    Row(
        "conversion-lost: an unfinished conversion of public.events left the table public.events_pnew, the constraint "
        "events_history_bound, the index public.events_pkey_new, and its record is gone: the table "
        f"sa_partman.conversion was dropped, or does not have it -> run, and convert it again then: {LEFT}",
        ((taken_back, Meant("sa-partman convert events --yes")),),
        EVENTS,
        (PLAIN, stopped, "DROP SCHEMA sa_partman CASCADE"),
    ),
    Row(
        "public.events: taking back the step 'parent' failed: cannot drop table public.events_pnew because other "
        "objects depend on it DETAIL: view public.v depends on table public.events_pnew; the steps before it stay. Go "
        "on with --resume, or take everything back with --abort. Until then it holds: promise [MINVALUE, 2030-07-01) "
        "for new rows.",
        (
            (Meant("DROP VIEW v"), Meant("sa-partman convert public.events --resume --yes")),
            (Meant("DROP VIEW v"), Meant("sa-partman convert public.events --abort --yes")),
        ),
        EVENTS,
        (PLAIN, stopped, "CREATE VIEW v AS SELECT * FROM events_pnew"),
        "sa-partman convert public.events --abort --yes",
        None,
    ),
    Row(
        "op.batch_alter_table('events'): it is partitioned, and would be made anew as a plain table, and dropped; "
        "nothing was changed. Leave recreate='always' out: PostgreSQL alters the table in place.",
        (Meant(batch("")),),
        EVENTS,
        (Box.create,),
        batch(", recreate='always'"),
        None,
    ),
    Row(
        "the server reads or rewrites a table: …; the step was stopped and rolled back, and the steps before it stay. "
        "What makes this scan needless is missing: somebody has dropped the CHECK of the conversion, or an index. Take "
        "the conversion back with --abort, and begin again. If nothing was dropped, please report this with `--plan`.",
        ((Meant("sa-partman convert events --abort --yes"), Meant("sa-partman convert events --yes")),),
        EVENTS,
        (PLAIN, stopped, "ALTER TABLE events DROP CONSTRAINT events_history_bound"),
        "sa-partman convert events --resume --yes",
    ),
    Row(
        "public.events: another process has worked on this conversion meanwhile; this step was rolled back. How far it "
        "is: sa-partman convert public.events --state; go on with --resume, or take it back with --abort.",
        (
            ("sa-partman convert public.events --state", Meant("sa-partman convert events --resume --yes")),
            Meant("sa-partman convert events --abort --yes"),
        ),
        EVENTS,
        (PLAIN,),
        overtaken,
    ),
    Row(
        "public.events: version 0.1.0 began this, and what it stored of the table can't be compared with the table by "
        "this version; nothing was changed. Take it back and begin again: sa-partman convert public.events --abort",
        ((Meant("sa-partman convert public.events --abort --yes"), Meant("sa-partman convert events --yes")),),
        EVENTS,
        (PLAIN, stopped, older),
        "sa-partman convert events --resume --yes",
    ),
    Row(
        "public.events was changed while it was read (CREATE TRIGGER t …); nothing was changed by us. Try again, and "
        "report this if it stays.",
        ((Meant("ALTER TABLE moved RENAME TO events"), Meant("sa-partman convert events --yes")),),
        EVENTS,
        (
            PLAIN,
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER t AFTER INSERT ON events EXECUTE FUNCTION f()",
        ),
        renamed_meanwhile,
        None,
    ),
)
