"""The flights into the table, and where they went."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import Connection, sql

from sa_partman.demo.flights import Flight, read_chunks


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
