"""COPY, which every driver does in its own way: rows out into a function, rows in from an iterator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.engine.background import awaited, beside
from sa_partman.errors import ConfigurationError
from sa_partman.names import QualifiedName, quote

Sink = Callable[[bytes], object]

_PIECE = 1 << 18
"""Bytes that are worth a thread."""

_OUT = "FORMAT csv, FORCE_QUOTE *, ENCODING 'UTF8'"
_IN = "FORMAT csv, ENCODING 'UTF8'"


def copy_out(connection: Connection, query: str, sink: Sink) -> None:
    """
    Gives *sink* what ``COPY (query) TO STDOUT`` gives: CSV in UTF-8 with every value quoted, so that NULL is what is
    not. Under an event loop *sink* is called in threads, with larger pieces.

    Raises:
        DBAPIError: The server refused.
        ConfigurationError: The driver is none that we know.
    """
    _run(connection, _OUTS, query, sink)


def copy_in(connection: Connection, table: QualifiedName, columns: tuple[str, ...], source: Iterable[bytes]) -> None:
    """
    Feeds ``COPY table (columns) FROM STDIN`` what `copy_out` gave.

    Raises:
        DBAPIError: The server refused.
    """
    _run(connection, _INS, table, columns, source)


def _run(connection: Connection, ways: dict[str, Callable[..., None]], *given: Any) -> None:
    dialect = connection.dialect
    way = ways.get(dialect.driver + " async" * dialect.is_async)
    if way is None:
        raise ConfigurationError(f"archives need COPY, and not by {dialect.driver}; connect with psycopg or asyncpg")
    driver = connection.connection.driver_connection
    try:
        way(driver, *given)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError("COPY", None, error) from error
    except Exception as error:
        if isinstance(getattr(error, "sqlstate", None), str):  # asyncpg's own, which SQLAlchemy did not see
            raise DBAPIError("COPY", None, error) from error
        raise


def _psycopg_out(driver: Any, query: str, sink: Sink) -> None:
    with driver.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT WITH ({_OUT})".encode()) as copy:
        for data in copy:
            sink(bytes(data))


def _psycopg_async_out(driver: Any, query: str, sink: Sink) -> None:
    async def whole() -> None:
        statement = f"COPY ({query}) TO STDOUT WITH ({_OUT})".encode()
        async with driver.cursor() as cursor, cursor.copy(statement) as copy:
            pieces = _Pieces(sink)
            async for data in copy:
                await pieces.add(bytes(data))
            await pieces.end()

    awaited(whole())


def _asyncpg_out(driver: Any, query: str, sink: Sink) -> None:
    async def whole() -> None:
        pieces = _Pieces(sink)
        form: dict[str, Any] = {"format": "csv", "force_quote": True, "encoding": "UTF8"}
        await driver.copy_from_query(query, output=pieces.add, timeout=None, **form)
        await pieces.end()

    awaited(whole())


class _Pieces:
    """Gathers what comes row by row, and gives it to *sink* in a thread: a loop must wait for no disk and no store."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._held, self._size = sink, list[bytes](), 0

    async def add(self, data: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._size >= _PIECE:
            await self.end()

    async def end(self) -> None:
        whole = b"".join(self._held)
        self._held, self._size = [], 0
        await beside(lambda: self._sink(whole))


def _psycopg_in(driver: Any, table: QualifiedName, columns: tuple[str, ...], source: Iterable[bytes]) -> None:
    with driver.cursor() as cursor, cursor.copy(_copy_from(table, columns)) as copy:
        for data in source:
            copy.write(data)


def _psycopg_async_in(driver: Any, table: QualifiedName, columns: tuple[str, ...], source: Iterable[bytes]) -> None:
    async def whole() -> None:
        async with driver.cursor() as cursor, cursor.copy(_copy_from(table, columns)) as copy:
            async for data in _drawn(source):
                await copy.write(data)

    awaited(whole())


def _asyncpg_in(driver: Any, table: QualifiedName, columns: tuple[str, ...], source: Iterable[bytes]) -> None:
    awaited(
        driver.copy_to_table(
            table.name,
            schema_name=table.schema,
            columns=list(columns),
            source=_drawn(source),
            format="csv",
            encoding="UTF8",
            timeout=None,
        )
    )


async def _drawn(source: Iterable[bytes]) -> AsyncIterator[bytes]:
    """What *source* gives, which may read files or ask a store for it."""
    pieces = iter(source)
    while (data := await beside(lambda: next(pieces, None))) is not None:
        yield data


def _copy_from(table: QualifiedName, columns: tuple[str, ...]) -> bytes:
    return f"COPY {table.quoted} ({', '.join(map(quote, columns))}) FROM STDIN WITH ({_IN})".encode()


_OUTS: dict[str, Callable[..., None]] = {
    "psycopg": _psycopg_out,
    "psycopg async": _psycopg_async_out,
    "asyncpg async": _asyncpg_out,
}
_INS: dict[str, Callable[..., None]] = {
    "psycopg": _psycopg_in,
    "psycopg async": _psycopg_async_in,
    "asyncpg async": _asyncpg_in,
}
