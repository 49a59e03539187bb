"""The formats: each writes records into a file, and reads the very same records from it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import BufferedReader
from typing import IO, Any

from sa_partman.archive.manifest import ArchivedColumn
from sa_partman.archive.records import Splitter, record
from sa_partman.errors import VerificationFailed

Columns = Sequence[ArchivedColumn]
Write = Callable[[list[bytes]], object]

_PIECE = 1 << 20
_READ_AHEAD = 8 << 20


def writing(format: str, file: Any, columns: Columns) -> AbstractContextManager[Write]:
    """
    A block in which records are written to *file*; it is complete when the block has ended.

    Raises:
        MissingDependency: The format needs pyarrow, which is not installed.
    """
    if format == "parquet":
        from sa_partman.archive.parquet import writing_parquet

        return writing_parquet(file, columns)
    return _writing_csv(file, columns)


def reading(format: str, file: Any, columns: Columns) -> Iterator[list[bytes]]:
    """
    The records of *file*, a few at a time.

    Raises:
        VerificationFailed: It is damaged.
    """
    if format == "parquet":
        from sa_partman.archive.parquet import reading_parquet

        return reading_parquet(file, columns)
    return _reading_csv(file, columns)


@contextmanager
def _writing_csv(file: IO[bytes], columns: Columns) -> Iterator[Write]:
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
        packed.write(record([column.name for column in columns]))
        yield lambda records: packed.write(b"".join(records))


def _reading_csv(file: Any, columns: Columns) -> Iterator[list[bytes]]:
    header, splitter = record([column.name for column in columns]), Splitter()
    try:
        # By itself it reads a few kilobytes at a time, and each of them would be a request to an object store.
        with BufferedReader(file, _READ_AHEAD) as ahead, gzip.GzipFile(fileobj=ahead, mode="rb") as packed:
            if packed.read(len(header)) != header:
                raise VerificationFailed("the archive has other columns than its manifest")
            while data := packed.read(_PIECE):
                yield splitter.feed(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise VerificationFailed(f"the archive is damaged: {error}") from error
    if splitter.rest:
        raise VerificationFailed("the archive ends in the middle of a row")
