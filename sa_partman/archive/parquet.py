"""
Parquet: numbers, times, texts and bytes in types of their own, everything else as its text.

What PostgreSQL prints of a value is made of the file's value again, so an archive is checked to the last character.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from sa_partman.archive.manifest import ArchivedColumn
from sa_partman.archive.places import require_pyarrow
from sa_partman.archive.records import fields, record
from sa_partman.errors import ExecutionError, VerificationFailed

ROW_GROUP = 8 << 20
"""Bytes of text that make up one row group: what is held in memory at a time."""

_COARSE = 2.0**48
"""Below this, what lies halfway between two numbers has more digits than one ever prints."""

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_TIMESTAMP = re.compile(r"timestamp(?:\(\d\))? (with|without) time zone")
_TEXT = re.compile(r"text|character varying.*|character.*")


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """
    How the values of a column are kept.

    Args:
        type: Of pyarrow.
        read: From PostgreSQL's text; a ValueError when the type can't hold it.
        print: As PostgreSQL does.
    """

    type: Any
    read: Callable[[str], Any]
    print: Callable[[Any], str]


def kind_of(sql: str) -> ColumnKind:
    """For a column of the type *sql*, as ``format_type`` prints it."""
    import pyarrow as pa

    plain: dict[str, ColumnKind] = {
        "smallint": ColumnKind(pa.int16(), int, str),
        "integer": ColumnKind(pa.int32(), int, str),
        "bigint": ColumnKind(pa.int64(), int, str),
        "boolean": ColumnKind(pa.bool_(), "t".__eq__, lambda value: "t" if value else "f"),
        "double precision": ColumnKind(pa.float64(), float, print_double),
        "bytea": ColumnKind(pa.large_binary(), lambda text: bytes.fromhex(text[2:]), lambda value: "\\x" + value.hex()),
        "date": ColumnKind(pa.date32(), date.fromisoformat, date.isoformat),
    }
    if sql in plain:
        return plain[sql]
    if number := _NUMERIC.fullmatch(sql):
        precision, scale = int(number[1]), int(number[2])
        if precision <= 38 and scale <= precision:
            return ColumnKind(pa.decimal128(precision, scale), _decimal, lambda value: format(value, "f"))
    if stamp := _TIMESTAMP.fullmatch(sql):
        zone = "UTC" if stamp[1] == "with" else None
        return ColumnKind(pa.timestamp("us", tz=zone), datetime.fromisoformat, _print_time)
    return ColumnKind(pa.large_string(), str, str)


def print_double(value: float) -> str:
    """
    As PostgreSQL prints a ``double precision``: the shortest digits that give the value again.

    Source: PostgreSQL, ``src/common/d2s.c``: unlike Python, it never takes a number that lies halfway to the next one.
    """
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    sign, digits, exponent = _shortest(value).as_tuple()
    assert isinstance(exponent, int)
    figures = "".join(map(str, digits))
    kept = figures.lstrip("0").rstrip("0")
    if not kept:
        return "-0" if sign else "0"
    exponent += len(figures) - len(figures.rstrip("0"))
    point = len(kept) + exponent
    if -4 < point <= 15:
        if exponent >= 0:
            text = kept + "0" * exponent
        else:
            text = f"{kept[:point]}.{kept[point:]}" if point > 0 else f"0.{'0' * -point}{kept}"
    else:
        rest = f".{kept[1:]}" if len(kept) > 1 else ""
        text = f"{kept[0]}{rest}e{'-' if point - 1 < 0 else '+'}{abs(point - 1):02}"
    return f"-{text}" if sign else text


def _shortest(value: float) -> Decimal:
    found = Decimal(repr(value))
    if abs(value) < _COARSE:
        return found
    for places in range(len(found.as_tuple().digits), 17):
        if not _halfway(found, value):
            break
        found = Decimal(f"{value:.{places}e}")
    return found


def _halfway(found: Decimal, value: float) -> bool:
    exact = Fraction(value)
    distance = abs(Fraction(found) - exact)
    if not distance:
        return False
    neighbours = (math.nextafter(value, math.inf), math.nextafter(value, -math.inf))
    return any(distance * 2 == abs(Fraction(each) - exact) for each in neighbours if math.isfinite(each))


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(text)
    return value


def _print_time(value: datetime) -> str:
    naive = value.replace(tzinfo=None).isoformat(sep=" ")
    text = naive.rstrip("0") if "." in naive else naive
    return text if value.tzinfo is None else f"{text}+00"


@contextmanager
def writing_parquet(file: Any, columns: Any) -> Iterator[Callable[[list[bytes]], None]]:
    """
    See `formats.writing`.

    Raises:
        MissingDependency: pyarrow is not installed.
        ExecutionError: A value has no place in Parquet, such as ``infinity`` in a timestamp.
    """
    require_pyarrow("archives in Parquet need pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [kind_of(column.type) for column in columns]
    schema = pa.schema([pa.field(column.name, kind.type) for column, kind in zip(columns, kinds, strict=True)])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        group: list[bytes] = []
        size = 0

        def flush() -> None:
            nonlocal size
            if group:
                writer.write_table(_table(group, columns, kinds, schema))
            group.clear()
            size = 0

        def write(records: list[bytes]) -> None:
            nonlocal size
            for each in records:
                group.append(each)
                size += len(each)
                if size >= ROW_GROUP:
                    flush()

        yield write
        flush()


def _table(group: list[bytes], columns: Any, kinds: list[ColumnKind], schema: Any) -> Any:
    import pyarrow as pa

    rows = [fields(each) for each in group]
    arrays = [
        pa.array(_read([row[place] for row in rows], column, kind), kind.type)
        for place, (column, kind) in enumerate(zip(columns, kinds, strict=True))
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _read(texts: list[str | None], column: ArchivedColumn, kind: ColumnKind) -> list[Any]:
    text: str | None = None
    try:
        found = []
        for text in texts:
            found.append(None if text is None else kind.read(text))
    except (ValueError, InvalidOperation) as error:
        raise ExecutionError(
            f"{column.name} ({column.type}) holds {text!r}, which Parquet can't represent; nothing was removed. "
            f"Archive this table with format='csv.gz'."
        ) from error
    return found


def reading_parquet(file: Any, columns: Any) -> Iterator[list[bytes]]:
    """
    See `formats.reading`.

    Raises:
        MissingDependency: pyarrow is not installed.
        VerificationFailed: The file is damaged, or has other columns.
    """
    require_pyarrow("archives in Parquet need pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [kind_of(column.type) for column in columns]
    try:
        # Checksums of pages are optional in Parquet; what they would find, the comparison with the table finds too.
        with pq.ParquetFile(file) as found:
            if found.schema_arrow.names != [column.name for column in columns]:
                raise VerificationFailed("the archive has other columns than its manifest")
            for batch in found.iter_batches(batch_size=4096, use_threads=False):
                yield [record(row) for row in _rows(batch, kinds)]
    except (pa.ArrowException, OSError) as error:
        raise VerificationFailed(f"the archive is damaged: {error}") from error


def _rows(batch: Any, kinds: list[ColumnKind]) -> Iterator[list[str | None]]:
    printed = [
        [None if value is None else kind.print(value) for value in column.to_pylist()]
        for column, kind in zip(batch.columns, kinds, strict=True)
    ]
    return (list(row) for row in zip(*printed, strict=True))
