"""Tables whose expired partitions are archived, and what lies in the archives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, Table
from sqlalchemy.schema import CreateTable

from sa_partman import Archive, PartitionByRange, Retention
from tests.support.database import new_table, put, scalar, sql, upkeep

OLD = "events_p20260101"
"""The partition that has expired in March."""
JANUARY, MARCH = "2026-01-15", "2026-03-15"


def kept(then: Literal["detach", "drop"] | Archive, **options: Any) -> PartitionByRange:
    """Monthly, kept for a month."""
    return PartitionByRange(
        "created_at", interval="1 month", premake=0, retention=Retention("1 month", then, **options)
    )


def monthly(then: Literal["detach", "drop"] | Archive, *columns: Any, **options: Any) -> Table:
    """``events`` with such a declaration; its partition of January is not there yet."""
    return new_table(kept(then, **options), *columns)


def january(engine: Engine, table: Table, rows: int = 5, **values: Any) -> None:
    """The table with its partition of January, and some rows in it."""
    with engine.begin() as connection:
        connection.execute(CreateTable(table))  # create_all() would make the partition of today
    upkeep(engine, table, JANUARY).run()
    put(engine, table, *(f"2026-01-{1 + index % 28:02} 12:00" for index in range(rows)), **values)


def manifests(folder: Path) -> list[dict[str, Any]]:
    """What lies there, by name."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.manifest.json"))]


def lines(folder: Path) -> list[str]:
    """The rows of the one archive there, without the header."""
    (path,) = folder.glob("*.csv.gz")
    return gzip.open(path, "rt", encoding="utf-8").read().splitlines()[1:]


def is_there(engine: Engine, name: str = OLD) -> bool:
    return bool(scalar(engine, "SELECT to_regclass(:name) IS NOT NULL", name=name))


def count(engine: Engine, name: str = OLD) -> int:
    return int(scalar(engine, f"SELECT count(*) FROM {name}"))


def comment(engine: Engine, name: str = OLD) -> str | None:
    found: str | None = sql(engine, "SELECT obj_description(CAST(to_regclass(:name) AS oid), 'pg_class')", name=name)[
        0
    ][0]
    return found
