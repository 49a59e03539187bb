"""Conversions that have begun and not ended, and what Alembic's own operations are told about partitions."""

from tests.remedies.row import Box, Meant, Row
from tests.remedies.rows.models import EVENTS, PLAIN


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
)
