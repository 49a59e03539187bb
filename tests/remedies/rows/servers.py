"""What the server refuses beside the steps that change something."""

from collections.abc import Callable

from sa_partman.postgres.columns import relation_of
from sa_partman.postgres.connect import connected
from tests.remedies.row import Box, Row
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.support.keeper import slow_to_greet


def planned_while_held(box: Box) -> None:
    with box.engine.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        box.converter().plan("events")


def first_word(options: str) -> Callable[[Box], None]:
    """What the driver asks first takes longer than a role may have for a statement."""

    def connect(box: Box) -> None:
        with slow_to_greet(box.url, 0.4, options) as engine, connected(engine):
            pass

    return connect


def looked_at(box: Box) -> None:
    with box.engine.connect() as connection:
        relation_of(connection, oid=1)


SERVERS = (
    Row(
        "the relation 1 was dropped while it was looked at; nothing was changed. Try again.",
        models=EVENTS,
        attempt=looked_at,
    ),
    Row(
        "events: the server refused: canceling statement due to lock timeout; what was done before stays. How far it "
        "is: sa-partman convert events --state",
        ("sa-partman convert events --state",),
        EVENTS,
        (PLAIN,),
        planned_while_held,
        None,
    ),
    Row(
        "… let us in and ended our first statement: canceling statement due to statement timeout; nothing was changed. "
        "Connect with options='-c statement_timeout=0 -c transaction_timeout=0', or raise what the role has (ALTER "
        "ROLE ... SET)",
        (first_word("-c statement_timeout=0 -c transaction_timeout=0"),),
        attempt=first_word("-c statement_timeout=200"),
        again=None,
        since=17,
    ),
)
