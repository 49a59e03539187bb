"""A partitioned table whose history is to be split, and what is asked of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Engine, Identity, Integer, MetaData, Table, Text, func

from sa_partman import Converter, LockPolicy, Maintainer, PartitionByHash, PartitionByRange
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.postgres.journal import Conversion
from tests.support.builders import at
from tests.support.database import sql

NOW = at("2025-06-15")

BRISK = LockPolicy(lock_timeout=0.2, budget=20.0, pause=0.02, longest_pause=0.1)


def events(spec: Any = None, key: tuple[str, ...] = ("id", "created_at")) -> tuple[MetaData, Table]:
    """``events`` by month, with a primary key, two indexes and a CHECK."""
    metadata = MetaData()
    table = Table(
        "events",
        metadata,
        Column("id", BigInteger, Identity(), primary_key="id" in key),
        Column(
            "created_at",
            DateTime(timezone=True),
            primary_key="created_at" in key,
            nullable=False,
            server_default=func.now(),
        ),
        Column("tenant", Integer, primary_key="tenant" in key, autoincrement=False, nullable=False),
        Column("note", Text, nullable=False, server_default=""),
        Column("hits", Integer, nullable=False, server_default="0"),
        spec or PartitionByRange("created_at", interval="1 month", premake=1),
    )
    return metadata, table


def history(engine: Engine, rows: int = 20_000, *, months: int = 12, spec: Any = None) -> MetaData:
    """``events``, whose past is one partition without a lower end, up to June 2025."""
    metadata, _ = events(spec)
    metadata.create_all(engine)
    Maintainer(engine, metadata, now=NOW).run()
    sql(
        engine,
        "ALTER TABLE events ADD CONSTRAINT short CHECK (length(note) < 1000);"
        "CREATE INDEX ix_events_tenant ON events (tenant, created_at DESC);"
        "CREATE INDEX ix_events_note ON events (lower(note)) WHERE hits > 0;"
        "CREATE TABLE events_history PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2025-06-01+00');"
        "COMMENT ON TABLE events_history IS 'sa_partman: created';",
    )
    fill(engine, rows, months)
    return metadata


def fill(engine: Engine, rows: int, months: int = 12) -> None:
    """Rows over the *months* before June 2025, in no order of time; analyzed."""
    sql(
        engine,
        f"INSERT INTO events (created_at, tenant, note, hits) SELECT timestamptz '2025-06-01+00' - interval '1 second' "
        f"- ({months} * interval '30 days') * ((i::bigint * 7919) % {rows})::float8 / {rows}, "
        f"i % 10, 'note ' || i, i % 3 "
        f"FROM generate_series(1, {rows}) i",
    )
    sql(engine, "ANALYZE events")


def monthly(engine: Engine, rows: int = 20_000) -> MetaData:
    """``events``, whose past has a partition for each month."""
    metadata = history(engine, rows=0)
    made = "".join(
        f"CREATE TABLE events_p{begin:%Y%m%d} PARTITION OF events FOR VALUES FROM ('{begin}') TO ('{end}');"
        f"COMMENT ON TABLE events_p{begin:%Y%m%d} IS 'sa_partman: created';"
        for begin, end in pairwise(at(f"{2024 + month // 12}-{month % 12 + 1:02}-01") for month in range(5, 18))
    )
    first = "CREATE TABLE events_pmin PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2024-06-01+00');"
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE events_history;" + first + made)
    fill(engine, rows)
    return metadata


def defaulted(engine: Engine, rows: int = 20_000) -> MetaData:
    """``events``, whose past is in a default partition."""
    metadata = history(engine, rows=0)
    sql(engine, "DROP TABLE events_history; CREATE TABLE events_default PARTITION OF events DEFAULT")
    fill(engine, rows)
    return metadata


@dataclass(frozen=True, slots=True)
class Verb:
    """
    What moves rows.

    Args:
        prepare: Makes a table for it, with so many rows.
        move: Takes what the verb takes: ``throttle=``, ``report=``, ``progress=``.
        spec: The declaration by then; None: by month.
    """

    prepare: Callable[[Engine, int], MetaData]
    move: Callable[..., Conversion]
    spec: Any = None
    key: tuple[str, ...] = ("id", "created_at")

    @property
    def metadata(self) -> MetaData:
        return events(self.spec, self.key)[0]


def _split(work: Rewriter, **options: Any) -> Conversion:
    return work.split("events_history", into="1 month", **options)


def _merge(work: Rewriter, **options: Any) -> Conversion:
    return work.merge(*(f"events_p2024{month:02}01" for month in range(7, 13)), **options)


def _merge_older(work: Rewriter, **options: Any) -> Conversion:
    return work.merge_older("events", "2 months", into="3 months", **options)


def _drain(work: Rewriter, **options: Any) -> Conversion:
    return work.drain("events", **options)


def _regrid(work: Rewriter, **options: Any) -> Conversion:
    return work.regrid("events", **options)


def plain(engine: Engine, rows: int = 20_000) -> MetaData:
    """``events``, not partitioned, with what it has in the model, two indexes and a CHECK."""
    sql(
        engine,
        "CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY, created_at timestamptz NOT NULL DEFAULT "
        "now(), tenant int NOT NULL, note text NOT NULL DEFAULT '', hits int NOT NULL DEFAULT 0, "
        "CONSTRAINT events_pkey PRIMARY KEY (id), CONSTRAINT short CHECK (length(note) < 1000));"
        "CREATE INDEX ix_events_tenant ON events (tenant, created_at DESC);"
        "CREATE INDEX ix_events_note ON events (lower(note)) WHERE hits > 0",
    )
    fill(engine, rows)
    return VERBS["copy"].metadata


def _converter(work: Rewriter) -> Converter:
    return Converter(work.engine, work.metadata, now=NOW, lock=work.lock)


def _copy(work: Rewriter, **options: Any) -> Conversion:
    return _converter(work).convert("events", strategy="copy", **options)


def _unpartition(work: Rewriter, **options: Any) -> Conversion:
    return _converter(work).unpartition("events", **options)


VERBS = {
    "split": Verb(history, _split),
    "merge": Verb(monthly, _merge),
    "merge_older": Verb(monthly, _merge_older),
    "drain": Verb(defaulted, _drain),
    "regrid": Verb(monthly, _regrid, PartitionByRange("created_at", interval="3 months", premake=1)),
    "unpartition": Verb(monthly, _unpartition),
    "copy": Verb(plain, _copy, PartitionByHash("id", modulus=4), ("id",)),
}


def rewriter(engine: Engine, metadata: MetaData, **more: Any) -> Rewriter:
    return Rewriter(engine, metadata, **{"now": NOW, "lock": BRISK, **more})


def contents(engine: Engine, table: str = "events") -> list[tuple[Any, ...]]:
    """Every row of *table*, in order."""
    return [tuple(row) for row in sql(engine, f"SELECT * FROM {table} ORDER BY id, created_at")]


def left_behind(engine: Engine) -> list[str]:
    """What a rewrite makes beside the partitions, and should not leave: relations, functions and triggers."""
    names = r"relname LIKE '%\_rewrite' OR relname LIKE 'log\_%' OR relname LIKE '%\_new' OR relname LIKE '%\_old'"
    found = sql(
        engine,
        "SELECT CAST(relname AS text) FROM pg_class WHERE relkind IN ('r', 'p') AND relname <> 'pg_rewrite' "
        f"AND ({names}) "
        "UNION ALL SELECT CAST(proname AS text) FROM pg_proc WHERE pronamespace = to_regnamespace('sa_partman') "
        r"UNION ALL SELECT CAST(tgname AS text) FROM pg_trigger WHERE tgname LIKE 'sa\_partman%' "
        r"UNION ALL SELECT CAST(conname AS text) FROM pg_constraint WHERE conname LIKE '%\_bound' "
        r"OR conname LIKE '%\_excluded'",
    )
    return [row[0] for row in found]
