"""Why a table can't be planned, and what a maintainer is asked for in vain."""

from __future__ import annotations

from typing import Any

from sa_partman import Maintainer
from tests.remedies.row import Box, Models, Row, Step
from tests.remedies.rows.models import EVENTS, ORDERS

RULED = EVENTS.replace("premake=2", "premake=2, retention=lambda tenant: {}")
TENANTS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("tenant", "created_at", interval="1 month", premake=1, tenants=[1])
    tenant: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""


def provision(*tenants: Any) -> Step:
    return lambda box: box.maintainer().provision(tenants=tenants)


def narrowed(*names: Any) -> Step:
    return lambda box: box.maintainer().check(tables=names)


def placed(schemas: Any) -> Step:
    return lambda box: box.maintainer(schemas=schemas).run()


def on_sqlite(box: Box) -> Any:
    from sqlalchemy import create_engine

    return Maintainer(create_engine("sqlite://"), box.metadata).run()


CALLABLES = (
    Row(
        "declaration: public.events can't be planned: retention=<function Event.<lambda>…> failed for the tenant "
        "None: ZeroDivisionError('division by zero'); correct it, or return None; nothing was changed -> fix the "
        "declaration; the other tables were not affected",
        (Models(RULED.format("Retention('1 year')")), Models(RULED.format("None"))),
        RULED.format("1 / 0"),
        (Box.create,),
    ),
    Row(
        "retention=<function Event.<lambda>…> gave '1 year' for the tenant None; return a Retention, or None",
        (Models(RULED.format("Retention('1 year')")), Models(RULED.format("None"))),
        RULED.format("'1 year'"),
        (Box.create,),
    ),
)

TENANTS_ASKED = (
    Row(
        "tenants= were given, and no table has a level of tenants or list values; leave them out",
        (provision(),),
        EVENTS,
        (Box.bare,),
        provision(7),
        None,
    ),
    Row(
        "events takes 1 tenants, one for each of its levels that has them, and (1, 2) has more; nothing was changed",
        (provision((1,)),),
        TENANTS,
        (Box.bare,),
        provision((1, 2)),
        None,
    ),
    Row(
        "events: the tenant 'two' is not of type integer; nothing was changed",
        (provision("2"),),
        TENANTS,
        (Box.bare,),
        provision("two"),
        None,
    ),
)

NARROWED = (
    Row(
        "orders: not declared as partitioned; declared are: events",
        (narrowed("events"),),
        EVENTS,
        (Box.create,),
        narrowed("orders"),
        None,
    ),
    Row(
        "tables= takes names of tables, and got Table('events', …)",
        (narrowed("events"),),
        EVENTS,
        (Box.create,),
        lambda box: box.maintainer().check(tables=box.metadata.sorted_tables),  # type: ignore[arg-type]
        None,
    ),
    Row(
        "events stands for a.events, b.events; nothing was changed. Name one schema with schemas=.",
        (lambda box: box.maintainer(schemas=["a"]).drop_branch("events", "de"),),
        ORDERS.replace("orders", "events"),
        (
            lambda box: [
                box.do(
                    f"CREATE SCHEMA {each}; CREATE TABLE {each}.events (country varchar) PARTITION BY LIST (country)"
                )
                for each in "ab"
            ],
            lambda box: box.maintainer(schemas=["a", "b"]).provision(),
        ),
        lambda box: box.maintainer(schemas=["a", "b"]).drop_branch("events", "de"),
        None,
    ),
)

SCHEMAS = (
    Row(
        "schemas= are names or maps of names, and 7 is neither",
        (placed(["public"]), placed([{None: "public"}])),
        EVENTS,
        (Box.bare,),
        placed(7),
        None,
    ),
    Row(
        "schemas= holds '', which is no name of a schema",
        (placed(["public"]),),
        EVENTS,
        (Box.bare,),
        placed([""]),
        None,
    ),
)

PLANNING: tuple[Row, ...] = (*CALLABLES, *TENANTS_ASKED, *NARROWED, *SCHEMAS)
