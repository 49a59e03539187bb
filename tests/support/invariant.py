"""
What must hold after a successful run, whatever happened before it: read from the catalog and the rows themselves, by
SQL and arithmetic of their own, without a line of the package.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Engine

from tests.support.database import sql

DAY = timedelta(days=1)
MARK = "sa_partman: detached from "

Row = tuple[int, datetime]
Piece = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Promise:
    """
    What is to be kept of one table, in plain words: a partition for each interval since the epoch.

    Args:
        table: With ``id`` and ``created_at``; in ``public``.
        premake: Intervals after the current one.
        keep: How long rows stay after the end of their interval; None: for ever.
        then: ``"drop"``; ``"detach"``: the table stays, with our mark; ``"grace"``: it stays for *grace*;
            ``"archive"``: its rows are in a file.
        width: Of an interval.
        default: It has a default partition.
    """

    table: str
    premake: int
    keep: timedelta | None = None
    then: str = "drop"
    width: timedelta = DAY
    default: bool = False
    grace: timedelta = timedelta()

    def floor(self, instant: datetime) -> datetime:
        """The beginning of the interval that holds *instant*."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return epoch + (instant - epoch) // self.width * self.width

    def horizon(self, now: datetime) -> datetime:
        return self.floor(now) + self.width * (self.premake + 1)

    def expired(self, instant: datetime, now: datetime) -> bool:
        """Whether the interval that holds *instant* is over for as long as it is kept."""
        return self.keep is not None and self.floor(instant) + self.width <= now - self.keep


@dataclass
class Ledger:
    """
    What the application was told is committed, by table.

    Args:
        rows: They must be there, once.
        unsure: Nobody knows: the connection was lost before the answer. They may be there, once.
        errors: What the application did not deserve, in words.
        slowest: Seconds of its slowest statement.
    """

    rows: dict[str, set[Row]] = field(default_factory=dict)
    unsure: dict[str, set[Row]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    slowest: float = 0.0
    last: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def number(self) -> int:
        """An id that no row had before."""
        with self.lock:
            self.last += 1
            return self.last

    def add(self, table: str, row: Row, *, sure: bool = True) -> None:
        with self.lock:
            (self.rows if sure else self.unsure).setdefault(table, set()).add(row)

    def forget(self, table: str, gone: Iterable[Row]) -> None:
        """Rows that were taken away on purpose."""
        with self.lock:
            lost = set(gone)
            self.rows.setdefault(table, set()).difference_update(lost)
            self.unsure.setdefault(table, set()).difference_update(lost)


@dataclass(frozen=True)
class Partition:
    """A partition as the catalog prints it."""

    name: str
    text: str
    pending: bool

    @cached_property
    def bound(self) -> Piece | None:
        """None: the default partition."""
        found = re.fullmatch(r"FOR VALUES FROM \('(.*?)'\) TO \('(.*?)'\)", self.text)
        return (datetime.fromisoformat(found[1]), datetime.fromisoformat(found[2])) if found else None


def violations(
    engine: Engine,
    promises: Iterable[Promise],
    ledger: Ledger | None,
    now: datetime,
    since: datetime,
    beside: Iterable[str] = (),
    archive: Path | None = None,
) -> list[str]:
    """
    All that is wrong after a successful run at *now*; empty when the promise is kept.

    Args:
        ledger: None: the caller knows better which rows there must be.
        since: When the tables were made: nothing before has to be covered.
        archive: Where rows are written to.
        beside: Tables that nothing is promised of; and all whose names begin with ``other``.
    """
    promised = tuple(promises)
    found = [*_residues(engine, (*beside, *(each.table for each in promised)))]
    for promise in promised:
        found += _coverage(engine, promise, now, since)
        found += _members(engine, promise)
        if ledger is not None:
            found += _rows(engine, promise, ledger, now, archive)
    return found + (ledger.errors if ledger is not None else [])


def fingerprint(engine: Engine) -> tuple[object, ...]:
    """Every table, index, bound, comment and pending detach: the same as long as no DDL takes effect."""
    return tuple(
        map(
            tuple,
            sql(
                engine,
                "SELECT c.oid, CAST(c.oid AS regclass)::text, CAST(c.relkind AS text), c.relispartition, "
                "CAST(c.relpartbound AS text), i.inhparent, i.inhdetachpending, x.indisvalid, "
                "obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_index x ON x.indexrelid = c.oid "
                "WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY c.oid",
            ),
        )
    )


def partitions(engine: Engine, table: str) -> list[Partition]:
    """Of the first level; bounds in UTC."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
        connection.exec_driver_sql("SET LOCAL DateStyle = 'ISO, YMD'")
        rows = connection.exec_driver_sql(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), i.inhdetachpending FROM pg_inherits i "
            f"JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'public.{table}'::regclass ORDER BY c.oid"
        )
        return [Partition(*row) for row in rows]


def detached(engine: Engine, table: str) -> list[str]:
    """Tables that bear the mark of having left *table*, and left it."""
    found = sql(
        engine,
        "SELECT c.oid::regclass::text FROM pg_class c WHERE NOT c.relispartition AND c.relkind IN ('r', 'p') "
        "AND obj_description(c.oid, 'pg_class') LIKE :mark ORDER BY c.oid",
        mark=f'{MARK}"public"."{table}"%',
    )
    return [row[0] for row in found]


def rows_of(engine: Engine, table: str) -> list[Row]:
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
        rows = connection.exec_driver_sql(f"SELECT id, created_at FROM {table}".replace("%", "%%"))
        return [(row[0], row[1].astimezone(UTC)) for row in rows]


def _coverage(engine: Engine, promise: Promise, now: datetime, since: datetime) -> Iterator[str]:
    """From the cutoff or the start to the horizon without gap or overlap, and nothing that is expired."""
    table, found = promise.table, partitions(engine, promise.table)
    pieces = sorted((each.bound, each.name) for each in found if each.bound is not None)
    if promise.default and not any(each.bound is None for each in found):
        yield f"{table}: no default partition"
    first = max(promise.floor(since), promise.floor(now - promise.keep) if promise.keep else promise.floor(since))
    for (one, name), (other, after) in pairwise(pieces):
        if one[1] > other[0]:
            yield f"{table}: {name} overlaps {after}"
        if one[1] < other[0] and other[0] > first and one[1] < promise.horizon(now):
            yield f"{table}: nothing takes rows from {one[1]} to {other[0]}"
    if not pieces or pieces[0][0][0] > first:
        yield f"{table}: covered from {pieces[0][0][0] if pieces else 'nowhere'}, not from {first}"
    if not pieces or pieces[-1][0][1] < promise.horizon(now):
        yield f"{table}: covered to {pieces[-1][0][1] if pieces else 'nowhere'}, not to {promise.horizon(now)}"
    if promise.keep is not None:
        cutoff = now - promise.keep
        yield from (f"{table}: {name} is expired and there" for (_, upper), name in pieces if upper <= cutoff)


def _rows(engine: Engine, promise: Promise, ledger: Ledger, now: datetime, archive: Path | None) -> Iterator[str]:
    """Unexpired ones once through the parent; expired ones where they were promised to be, and nowhere else."""
    table = promise.table
    seen = Counter(rows_of(engine, f"public.{table}"))
    kept, unsure = ledger.rows.get(table, set()), ledger.unsure.get(table, set())
    alive = {row for row in kept if not promise.expired(row[1], now)}
    yield from _compared(f"{table}: through the parent", alive, seen, unsure)
    beside = Counter(row for name in detached(engine, table) for row in rows_of(engine, name))
    if promise.then == "archive":
        yield from _compared(f"{table}: in its archive", kept - alive, Counter(archived(archive)), unsure)
    if promise.then == "grace":
        # Not from the moment when it expired, but from the run that detached it.
        safe = {row for row in kept - alive if not promise.expired(row[1], now - promise.grace)}
        yield from _compared(f"{table}: in what waits to be dropped", safe, beside, unsure | (kept - alive))
    else:
        wanted = kept - alive if promise.then == "detach" else set()
        yield from _compared(f"{table}: in what was detached", wanted, beside, unsure)


def archived(folder: Path | None) -> Iterator[Row]:
    """Rows of every file that has a manifest beside it; any other file would be the rest of a run that was cut off."""
    files = {each for each in folder.rglob("*") if each.is_file()} if folder is not None else set()
    manifests = sorted(each for each in files if each.suffix == ".json")
    for manifest in manifests:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        data = manifest.parent / found["file"]
        files -= {manifest, data}
        with gzip.open(data, "rt", encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == found["rows"], f"{data}: {len(lines)} rows, and its manifest says {found['rows']}"
        for line in lines:
            yield int(line["id"]), datetime.fromisoformat(line["created_at"]).astimezone(UTC)
    assert not files, f"files without a manifest: {files}"


def _compared(where: str, wanted: set[Row], seen: Counter[Row], unsure: set[Row]) -> Iterator[str]:
    missing = sorted(wanted - seen.keys())
    strange = sorted(seen.keys() - wanted - unsure)
    twice = sorted(row for row, count in seen.items() if count > 1)
    for what, rows in (("rows are missing", missing), ("rows do not belong", strange), ("rows are there twice", twice)):
        if rows:
            yield f"{where} {len(rows)} {what}, such as {rows[0]}"


def _members(engine: Engine, promise: Promise) -> Iterator[str]:
    """Every leaf has a valid index for each of the parent's, and its constraints are proven."""
    found = sql(
        engine,
        "SELECT t.relid::regclass::text, (SELECT count(*) FROM pg_index x WHERE x.indrelid = t.relid AND x.indisvalid "
        "AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = x.indexrelid)) "
        "FROM pg_partition_tree(CAST(:table AS regclass)) t WHERE t.isleaf AND t.level > 0",
        table=f"public.{promise.table}",
    )
    wanted = sql(
        engine, "SELECT count(*) FROM pg_index WHERE indrelid = CAST(:t AS regclass)", t=f"public.{promise.table}"
    )[0][0]
    yield from (f"{name} has {count} of {wanted} indexes" for name, count in found if count != wanted)


def _residues(engine: Engine, known: tuple[str, ...]) -> Iterator[str]:
    """What a run that was cut off may leave behind."""
    for name, what in sql(engine, _RESIDUES, tables=list(known), mark=f"{MARK}%"):
        yield f"{name}: {what}"


_RESIDUES = """
WITH ours AS (
    SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
)
SELECT c.oid::regclass::text, 'a pending detach' FROM ours c JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE i.inhdetachpending
UNION ALL
SELECT c.oid::regclass::text, 'an invalid index' FROM ours c JOIN pg_index x ON x.indexrelid = c.oid
WHERE NOT (x.indisvalid AND x.indisready AND x.indislive)
UNION ALL
SELECT c.oid::regclass::text, 'a table that belongs to nothing and bears no mark' FROM ours c
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL (CAST(:tables AS text[]))
    AND c.relnamespace = CAST('public' AS regnamespace) AND c.relname NOT LIKE 'other%'
    AND coalesce(obj_description(c.oid, 'pg_class'), '') NOT LIKE :mark
UNION ALL
SELECT k.conrelid::regclass::text, 'a CHECK that is not validated: ' || k.conname
FROM pg_constraint k JOIN ours c ON c.oid = k.conrelid WHERE NOT k.convalidated
UNION ALL
SELECT c.oid::regclass::text, 'attached, and with our mark' FROM ours c
WHERE c.relispartition AND c.relkind IN ('r', 'p') AND obj_description(c.oid, 'pg_class') LIKE :mark
UNION ALL
SELECT 'pid ' || coalesce(l.pid::text, '-'), 'an advisory lock' FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
