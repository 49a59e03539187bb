"""Writing an archive, finding one again, and reading it to the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sa_partman.archive.formats import Write, reading, writing
from sa_partman.archive.manifest import SUFFIX, Manifest
from sa_partman.archive.places import ArchivePlace, file_name
from sa_partman.archive.records import Tally
from sa_partman.archive.tables import DetachedNow
from sa_partman.engine.background import aside, entered_aside
from sa_partman.errors import ConfigurationError, VerificationFailed
from sa_partman.names import QualifiedName
from sa_partman.ports import Waiting

_PIECE = 8 << 20
_IN_FLIGHT = 32 << 20
"""Bytes that a store may have taken and not yet kept: what an upload in the background holds in memory."""


def write_archive(
    place: ArchivePlace,
    table: DetachedNow,
    parent: QualifiedName,
    bound: str,
    format: str,
    fill: Callable[[Write], Tally],
    waiting: Waiting,
) -> Manifest:
    """
    A new archive beside those that are there: written, read back to the end, and only then given its manifest.

    Args:
        bound: That the table had, as SQL; empty when nobody knows.
        fill: Writes every row, and says what it wrote.
        waiting: Of the run.

    Raises:
        OSError: The place does not take it; what was written of it is removed.
        VerificationFailed: What it gives back is not what was written; it is removed.
    """
    stem = aside(waiting, lambda: _free_stem(place, table.name, format))
    data = f"{stem}.{format}"
    token = hashlib.sha256(table.database.encode()).hexdigest()[:8]
    with entered_aside(waiting, _file(place, data, token, format, table)) as (write, counted):
        tally = fill(write)
    manifest = Manifest(
        parent,
        table.name,
        bound,
        table.columns,
        tally.rows,
        tally.sha256,
        tally.checksum,
        data,
        format,
        counted.size,
        counted.sha256,
        datetime.now(UTC).isoformat(timespec="seconds"),
        table.server_version,
        table.create,
    )
    aside(waiting, lambda: _complete(place, table, manifest, stem + SUFFIX, token))
    return manifest


@contextmanager
def _file(
    place: ArchivePlace, name: str, token: str, format: str, table: DetachedNow
) -> Iterator[tuple[Write, _Counted]]:
    with place.create(name, token) as file:
        counted = _Counted(file)
        with writing(format, counted, table.columns) as write:
            yield write, counted


def _complete(place: ArchivePlace, table: DetachedNow, manifest: Manifest, name: str, token: str) -> None:
    """Reads the file back to the end, and gives it its manifest of that *name*."""
    try:
        verify_archive(place, manifest, AGAIN)
    except VerificationFailed:
        with suppress(OSError):  # what it could not read it can't remove either
            place.remove(manifest.file)
        raise
    with place.create(name, token) as file:
        file.write(manifest.to_json())
    _remove_copies(place, table, manifest)


def _remove_copies(place: ArchivePlace, table: DetachedNow, manifest: Manifest) -> None:
    """A run that was cut off before it wrote its manifest has left a file; it goes if it holds the very same rows."""
    stem, ending = _stem(table.name), f".{manifest.format}"
    for name in place.names():
        base = name.removesuffix(ending)
        if base == name or not (base == stem or base.startswith(f"{stem}-")) or place.has(base + SUFFIX):
            continue
        if name == manifest.file or not _holds(place, replace(manifest, file=name)):
            continue
        if not place.has(base + SUFFIX):  # it took a while to read, and may be somebody's archive by now
            place.remove(name)


def _holds(place: ArchivePlace, manifest: Manifest) -> bool:
    """Whether the file has the rows that *manifest* tells of, however it was compressed."""
    tally = Tally()
    try:
        for records in read_archive(place, manifest):
            tally.add(records)
    except (OSError, VerificationFailed):
        return False
    return (tally.rows, tally.sha256) == (manifest.rows, manifest.sha256)


def archives_of(place: ArchivePlace, table: QualifiedName) -> Iterator[tuple[str, Manifest]]:
    """
    The archives of tables of that name here, each with the name of its manifest.

    Raises:
        OSError: One can't be read, or the place can't.
        ConfigurationError: There is no such place.
    """
    stem = _stem(table)
    for name in place.names():
        if not name.endswith(SUFFIX) or not (name == stem + SUFFIX or name.startswith(f"{stem}-")):
            continue
        try:
            with place.read(name) as file:
                text = file.read()
            manifest = Manifest.of_json(text, name)
        except (ConfigurationError, FileNotFoundError):
            continue  # somebody else's file, or gone by now
        if manifest.partition == table:
            yield name, manifest


def read_archive(place: ArchivePlace, manifest: Manifest) -> Iterator[list[bytes]]:
    """
    Its rows, a few at a time.

    Raises:
        VerificationFailed: It is damaged.
        OSError: It can't be read.
    """
    with place.read(manifest.file) as file:
        yield from reading(manifest.format, file, manifest.columns)


_PUT_BACK = "Put back a copy of the file and of its manifest, if there is one."
AGAIN = "The next run archives the table again."


def verify_archive(place: ArchivePlace, manifest: Manifest, remedy: str = _PUT_BACK) -> None:
    """
    Reads the whole archive, and compares it with its manifest.

    Args:
        remedy: What helps when they differ.

    Raises:
        VerificationFailed: They differ.
    """
    where = place.where(manifest.file)
    tally = Tally()
    try:
        file_hash = hashlib.sha256()
        with place.read(manifest.file) as file:
            while piece := file.read(_PIECE):
                file_hash.update(piece)
        if file_hash.hexdigest() != manifest.file_sha256:
            raise VerificationFailed("its bytes are not those that were written")
        for records in read_archive(place, manifest):
            tally.add(records)
    except (OSError, VerificationFailed) as error:
        raise VerificationFailed(f"{where}: {error}; nothing was changed. {remedy}") from error
    if (tally.rows, tally.sha256, tally.checksum) != (manifest.rows, manifest.sha256, manifest.checksum):
        raise VerificationFailed(
            f"{where}: it holds {tally.rows} rows (SHA-256 {tally.sha256}), but its manifest says {manifest.rows} "
            f"({manifest.sha256}); nothing was changed. {remedy}"
        )


def _stem(table: QualifiedName) -> str:
    return file_name(table.schema or "", table.name)


def _free_stem(place: ArchivePlace, table: QualifiedName, format: str) -> str:
    stems = place.stems(_stem(table))
    return next(name for name in stems if not place.has(f"{name}.{format}") and not place.has(name + SUFFIX))


@dataclass(slots=True)
class _Counted:
    """A file that knows what was written into it."""

    file: Any
    size: int = 0
    _flushed: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    closed = False

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.file.write(piece)
        self.size += len(piece)
        self._hash.update(piece)
        if self.size - self._flushed > _IN_FLIGHT:
            self.file.flush()
            self._flushed = self.size
        return len(piece)

    def flush(self) -> None:
        self.file.flush()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        """Whoever opened the file closes it."""
