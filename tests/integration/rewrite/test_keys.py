"""Types of keys, names that need quotes, and what a table may have: moved, taken back, moved again and ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Date, DateTime, Engine, Integer, MetaData, Numeric, Table, Text, Uuid

from sa_partman import Maintainer, PartitionByRange, UUIDv7
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.rewrite.pieces import in_key_order
from tests.support.database import sql
from tests.support.moving import in_pieces
from tests.support.rewriting import NOW, left_behind, rewriter

UUID = "(lpad(to_hex({}), 12, '0') || '7000a000' || lpad(to_hex(i), 12, '0'))::uuid"
MILLISECONDS = "(1717200000000 + i * 864000::bigint)"


@dataclass(frozen=True)
class Case:
    """
    Args:
        type: Of the key column, for the model; *sql* for the table.
        value: Of row ``i`` of 3,000, over a year from June 2024; ``i`` from 1 up.
        bound: Of the partition that has them all.
        more: Columns and constraints.
        then: Statements about the table, ``{t}``, and its partition, ``{p}``.
        schema: Of the table; *name* is the table's and *key* that of the column.
        write: What the application does meanwhile, and afterwards.
    """

    type: Any
    sql: str
    value: str
    bound: str = "FROM (MINVALUE) TO ('2025-06-01')"
    spec: Callable[[str], Any] = lambda key: PartitionByRange(key, interval="1 month", premake=1)
    into: str = "1 month"
    more: str = ""
    then: tuple[str, ...] = ()
    schema: str = "public"
    name: str = "events"
    key: str = "created_at"
    id: str = "id"
    columns: tuple[str, ...] = field(default=("note",))


INSTANT = "timestamp{} '2024-06-01' + i * interval '170 minutes'"
CASES = {
    "date": Case(Date, "date", "date '2024-06-01' + i / 9"),
    "timestamp": Case(DateTime, "timestamp", INSTANT.format("")),
    "timestamptz(0)": Case(DateTime(timezone=True), "timestamptz(0)", INSTANT.format("tz")),
    "bigint": Case(
        BigInteger,
        "bigint",
        "i * 1000",
        "FROM (MINVALUE) TO (4000000)",
        lambda key: PartitionByRange(key, interval=500_000, premake=1),
        "500000",
    ),
    "integer": Case(
        Integer,
        "int",
        "i - 1500",
        "FROM (MINVALUE) TO (4000)",
        lambda key: PartitionByRange(key, interval=500, premake=1),
        "500",
    ),
    "numeric": Case(
        Numeric,
        "numeric(20, 0)",
        "i * 1000",
        "FROM (MINVALUE) TO (4000000)",
        lambda key: PartitionByRange(key, interval=500_000, premake=1),
        "500000",
    ),
    "uuid": Case(
        Uuid,
        "uuid",
        UUID.format(MILLISECONDS),
        "FROM (MINVALUE) TO ('01972a00-0000-0000-0000-000000000000')",
        lambda key: PartitionByRange(key, interval="1 month", premake=0, codec=UUIDv7()),
    ),
    "a domain": Case(
        DateTime(timezone=True),
        "moment",
        INSTANT.format("tz"),
    ),
    "odd names": Case(
        DateTime(timezone=True),
        "timestamptz",
        INSTANT.format("tz"),
        schema='My Schema % "x"',
        name="Event's Log",
        key="Created At",
        id="I.D",
        then=(
            """CREATE INDEX "an % Index" ON {t} (lower(note), "Created At")""",
            """ALTER TABLE {t} ADD CONSTRAINT "a % Check" CHECK (note <> 'it''s')""",
        ),
    ),
    "long names": Case(DateTime(timezone=True), "timestamptz", INSTANT.format("tz"), name="e" * 50, key="k" * 63),
    "generated columns": Case(
        DateTime(timezone=True),
        "timestamptz",
        INSTANT.format("tz"),
        more=", twice bigint GENERATED ALWAYS AS (id * 2) STORED, shout text GENERATED ALWAYS AS (upper(note)) STORED",
        then=("CREATE INDEX ON {t} (twice)",),
        columns=("note", "twice", "shout"),
    ),
    "an identity": Case(
        DateTime(timezone=True),
        "timestamptz",
        INSTANT.format("tz"),
        more=", serial bigint GENERATED ALWAYS AS IDENTITY",
        columns=("note", "serial"),
    ),
    "a replica identity": Case(
        DateTime(timezone=True),
        "timestamptz",
        INSTANT.format("tz"),
        then=(
            "CREATE UNIQUE INDEX other ON {t} (created_at, id)",
            "ALTER TABLE {t} REPLICA IDENTITY USING INDEX other",
            "ALTER TABLE {p} REPLICA IDENTITY USING INDEX {p}_created_at_id_idx",
        ),
    ),
    "a dropped column": Case(
        DateTime(timezone=True),
        "timestamptz",
        INSTANT.format("tz"),
        more=", gone int DEFAULT 7, kept int DEFAULT 8",
        then=("ALTER TABLE {t} DROP COLUMN gone",),
        columns=("note", "kept"),
    ),
}


@pytest.fixture(autouse=True)
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces(monkeypatch)


def quoted(*names: str) -> str:
    return ".".join('"' + each.replace('"', '""') + '"' for each in names)


@dataclass(frozen=True)
class Scene:
    engine: Engine
    case: Case
    metadata: MetaData

    def do(self, statement: str) -> list[Any]:
        with self.engine.begin() as connection:
            result = connection.exec_driver_sql(statement.replace("%", "%%"))
            return [tuple(row) for row in result] if result.returns_rows else []

    @property
    def table(self) -> str:
        return quoted(self.case.schema, self.case.name)

    @property
    def history(self) -> str:
        return f"{self.case.name[:40]}_history"

    def rows(self) -> list[Any]:
        listed = ", ".join(map(quoted, (self.case.id, self.case.key, *self.case.columns)))
        return self.do(f"SELECT {listed} FROM {self.table} ORDER BY 1, 2")

    def bounds(self) -> set[str]:
        return {row[0] for row in self.partitions("c.relname || pg_get_expr(c.relpartbound, c.oid)")}

    def partitions(self, what: str) -> list[Any]:
        literal = self.table.replace("'", "''")
        return self.do(
            f"SELECT {what} FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class t ON t.oid = "
            f"i.inhparent WHERE t.oid = CAST('{literal}' AS regclass)"
        )

    def write(self) -> None:
        """Updates, deletes, re-inserts, and rows that change their places."""
        id, key, table = quoted(self.case.id), quoted(self.case.key), self.table
        self.do(f"UPDATE {table} SET note = note || '!' WHERE {id} % 7 = 0")
        self.do(f"DELETE FROM {table} WHERE {id} % 11 = 0")
        new = f"SELECT (SELECT max({id}) FROM {table}) + {id}, {key}, note FROM {table}"
        self.do(f"INSERT INTO {table} ({id}, {key}, note) {new} WHERE {id} % 13 = 1 AND {id} < 5000")
        other = f"(SELECT {key} FROM {table} WHERE {id} < 500 ORDER BY 1 DESC LIMIT 1)"
        self.do(f"UPDATE {table} SET {key} = {other} WHERE {id} % 17 = 3")


def scene(engine: Engine, case: Case) -> Scene:
    metadata = MetaData()
    Table(
        case.name,
        metadata,
        Column(case.id, BigInteger, primary_key=True, autoincrement=False),
        Column(case.key, case.type, primary_key=True, autoincrement=False),
        Column("note", Text),
        case.spec(case.key),
        schema=None if case.schema == "public" else case.schema,
    )
    found = Scene(engine, case, metadata)
    found.do("CREATE DOMAIN moment AS timestamptz NOT NULL CHECK (VALUE > '2000-01-01')")
    if case.schema != "public":
        found.do(f"CREATE SCHEMA {quoted(case.schema)}")
    id, key, part = quoted(case.id), quoted(case.key), quoted(case.schema, found.history)
    columns = f"{id} bigint, {key} {case.sql}, note text DEFAULT ''{case.more}, PRIMARY KEY ({id}, {key})"
    found.do(f"CREATE TABLE {found.table} ({columns}) PARTITION BY RANGE ({key})")
    found.do(f"CREATE TABLE {part} PARTITION OF {found.table} FOR VALUES {case.bound}")
    for statement in case.then:
        found.do(statement.format(t=found.table, p=found.history))
    rows = f"SELECT i, {case.value}, 'n' || i FROM generate_series(1, 3000) i"
    found.do(f"INSERT INTO {found.table} ({id}, {key}, note) {rows}")
    Maintainer(engine, metadata, now=NOW).run()
    sql(engine, "ANALYZE")
    return found


@pytest.mark.parametrize("name", CASES)
def test_split_there_and_back_and_merged(name: str, engine: Engine) -> None:
    found = scene(engine, CASES[name])
    work, whole, before = rewriter(engine, found.metadata), quoted_name(found), found.bounds()

    def report(step: Any, seconds: float) -> None:
        if step.id.startswith("copy") or step.id == "verify":
            found.write()

    work.split(found.history, into=found.case.into, report=report)
    split = found.bounds()
    assert len(before) < len(split)
    assert not Maintainer(engine, found.metadata, now=NOW).plan()
    assert {(True,)} == {*found.partitions("c.relreplident = t.relreplident")}
    found.write()
    seen = found.rows()
    work.undo(whole)

    assert seen == found.rows()
    assert before == found.bounds()
    assert [] == left_behind(engine)

    work.split(found.history, into=found.case.into)
    work.finalize(whole)
    assert seen == found.rows()
    assert split == found.bounds()
    merge(work, found, split - before, report)
    seen = found.rows()
    work.undo(whole)
    assert seen == found.rows()
    assert split == found.bounds()
    assert [] == left_behind(engine)


def quoted_name(found: Scene) -> str:
    return found.case.name if found.case.schema == "public" else f"{found.case.schema}.{found.case.name}"


def merge(work: Rewriter, found: Scene, new: set[str], report: Any) -> None:
    """Two of those in the middle, which are neighbours."""
    view = work._view(quoted_name(found))
    assert view.found is not None
    ranges = [each for each in view.found.partitions if any(line.startswith(f"{each.name.name}FOR") for line in new)]
    first, second = in_key_order(ranges)[-3:-1]
    work.merge(first.name.name, second.name.name, report=report)
