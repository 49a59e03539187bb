"""Options of the command line that are refused, and where it listens."""

from __future__ import annotations

from sqlalchemy import make_url

from sa_partman.observe.health import Health
from sa_partman.observe.http import Listener, listening
from tests.remedies.row import Box, Meant, Models, Row, Step
from tests.remedies.rows.archives import ARCHIVED, archived, restore
from tests.remedies.rows.models import EVENTS, PLAIN

OTHER = "    __table_args__ = {'schema': 'other'}\n"
KEEPING = EVENTS.replace("premake=2", "premake=2, retention=Retention('1 month', then='drop')")
OLD = (
    "CREATE TABLE events_p20300101 PARTITION OF events FOR VALUES FROM ('2030-01-01 00:00+00') TO ('2030-02-01 00:00+00')",
    "COMMENT ON TABLE events_p20300101 IS 'sa_partman: created'",
)


def searched(schema: str) -> Step:
    def plan(box: Box) -> str:
        url = make_url(box.url).update_query_dict({"options": f"-csearch_path={schema}"})
        return box.do(f"sa-partman convert events --plan --url {url.render_as_string(hide_password=False)}")

    return plan


def many(name: str) -> Step:
    return f"CREATE SCHEMA {name}; CREATE TABLE {name}.events (id bigint PRIMARY KEY, created_at timestamptz NOT NULL)"


OPTIONS = (
    Row(
        "convert takes one table: name its schema in the model, or search_path in the URL",
        (
            (Models(EVENTS + OTHER), Meant("sa-partman convert other.events --plan")),
            searched("other"),
        ),
        EVENTS,
        (many("other"),),
        "sa-partman convert events --plan --schema other",
        None,
    ),
    Row(
        "convert takes its table without --table: sa-partman convert TABLE",
        (Meant("sa-partman convert events --plan"),),
        EVENTS,
        (PLAIN,),
        "sa-partman convert events --plan --table events",
        None,
    ),
    Row(
        "--lead 1 month: write weeks, days, hours or minutes",
        (
            Meant("sa-partman convert events --plan --lead '4 weeks'"),
            Meant("sa-partman convert events --plan --lead '90 minutes'"),
        ),
        EVENTS,
        (PLAIN,),
        "sa-partman convert events --plan --lead '1 month'",
        None,
    ),
    Row(
        "--unique u: write NAME=local or NAME=drop",
        (
            Meant("sa-partman convert events --plan --unique u=local"),
            Meant("sa-partman convert events --plan --unique u=drop"),
        ),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD code text", "CREATE UNIQUE INDEX u ON events (code)"),
        "sa-partman convert events --plan --unique u",
        None,
    ),
    Row(
        "convert events: needs --yes where nobody can be asked; nothing was changed",
        (Meant("sa-partman convert events --yes"),),
        EVENTS,
        (PLAIN,),
        "sa-partman convert events",
        None,
    ),
    Row(
        "1 partition will be dropped: removing data needs --yes where nobody can be asked; nothing was changed",
        (Meant("sa-partman prune --yes"),),
        KEEPING,
        (Box.create, *OLD),
        "sa-partman prune",
        None,
    ),
    Row(
        "run --every removes what expires at every run: it needs --yes where nobody can be asked; nothing was changed",
        (Meant("sa-partman run --yes"),),
        KEEPING,
        (Box.create,),
        "sa-partman run --every 1h",
        None,
    ),
    Row(
        "--table names the one table to restore to; nothing was restored",
        (restore("--table events"),),
        ARCHIVED,
        (archived,),
        restore("--table events --table orders"),
        None,
    ),
)


def _never() -> Health:
    raise AssertionError("it is not asked for")


def listen(where: str) -> Step:
    def once(box: Box) -> None:
        listener = Listener(listening(where.replace("9187", "0")), _never)
        listener.start()
        listener.stop()

    return once


def taken(box: Box) -> str:
    first = Listener(listening("127.0.0.1:0"), _never)
    first.start()
    try:
        Listener(listening(first.address or ""), _never).start()
    finally:
        first.stop()
    raise AssertionError("it listened")


LISTENING = (
    Row(
        "--listen *:9187: what is served there is for everybody who can reach it, so write the address out: "
        "127.0.0.1:9187 for this machine only, 0.0.0.0:9187 for every network",
        (listen("127.0.0.1:9187"), listen("0.0.0.0:9187")),
        attempt=lambda box: listening("*:9187"),
        again=None,
        server=False,
    ),
    Row(
        "--listen localhost: no port in it; write it as 127.0.0.1:9187",
        (listen("127.0.0.1:9187"),),
        attempt=lambda box: listening("localhost"),
        again=None,
        server=False,
    ),
    Row(
        "can't listen on 127.0.0.1:…: …; choose another",
        (listen("127.0.0.1:9187"),),
        attempt=taken,
        again=None,
        server=False,
    ),
)

GIVEN: tuple[Row, ...] = (*OPTIONS, *LISTENING)
