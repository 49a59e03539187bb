"""
Real input: the 336,776 flights that left New York City in 2013 (public domain; see examples/data/README.md), into the
table.
"""

from __future__ import annotations

import csv
import lzma
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import Connection, sql

FILE = "flights-2013.csv.xz"
PLACES = (Path(__file__).parent / "data", Path(__file__).parents[2] / "examples" / "data")
"""Inside an installed package; in a checkout."""


class Flight(NamedTuple):
    """One flight; a cancelled one has no delays and no time in the air."""

    time_hour: datetime
    origin: str
    carrier: str
    flight: int
    dest: str
    distance: int
    tailnum: str | None
    air_time: int | None
    dep_delay: int | None
    arr_delay: int | None


def read_flights() -> Iterator[Flight]:
    """
    Every flight, in the order of ``time_hour`` (aware, UTC; the hour of scheduled departure).

    Distances are in miles, times in minutes; a negative delay is early.
    """
    with lzma.open(_file(), "rt", encoding="ascii", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        for time_hour, origin, carrier, flight, dest, distance, tailnum, air_time, dep_delay, arr_delay in rows:
            yield Flight(
                datetime.fromisoformat(time_hour),
                origin,
                carrier,
                int(flight),
                dest,
                int(distance),
                tailnum or None,
                int(air_time) if air_time else None,
                int(dep_delay) if dep_delay else None,
                int(arr_delay) if arr_delay else None,
            )


def read_chunks(size: int = 1 << 18) -> Iterator[bytes]:
    """The same as CSV with a header, as COPY reads it; its columns are the fields of `Flight`."""
    with lzma.open(_file()) as stream:
        while chunk := stream.read(size):
            yield chunk


def _file() -> Path:
    for place in PLACES:
        if (place / FILE).is_file():
            return place / FILE
    raise FileNotFoundError(f"{FILE} is neither in {' nor in '.join(map(str, PLACES))}: install sa-partman again")


def load_flights(uri: str) -> int:
    """COPY every flight through the partitioned table; how many there are."""
    columns = sql.SQL(", ").join(map(sql.Identifier, Flight._fields))
    command = sql.SQL("COPY flights ({}) FROM STDIN (FORMAT csv, HEADER)").format(columns)
    with psycopg.connect(uri) as connection:
        with connection.cursor() as cursor:
            with cursor.copy(command) as copy:
                for chunk in read_chunks():
                    copy.write(chunk)
            loaded = cursor.rowcount
        _analyze(connection)
    return loaded


def rows_of_partitions(uri: str) -> Sequence[tuple[str, int]]:
    """Each partition that holds rows, with their number, by name."""
    with psycopg.connect(uri) as connection:
        return connection.execute(
            "SELECT CAST(CAST(tableoid AS regclass) AS text), count(*) FROM flights GROUP BY 1 ORDER BY 1"
        ).fetchall()


def _analyze(connection: Connection[tuple[object, ...]]) -> None:
    """So that the planner, and ``status``, know how much there is."""
    connection.commit()
    connection.autocommit = True
    connection.execute("ANALYZE flights")
