"""The manifest: what lies in an archive, as JSON beside it. An archive without one is not complete."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from sa_partman.archive.places import ArchivePlace, apart, place_of
from sa_partman.errors import ConfigurationError
from sa_partman.names import QualifiedName

SUFFIX = ".manifest.json"
_VERSION = 1
_Raw = bytes


@dataclass(frozen=True, slots=True)
class ArchivedColumn:
    """A column of the table; generated ones are not archived, because nobody can write them."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    Args:
        parent: What the table was a partition of.
        partition: The table.
        bound: As SQL; empty when nobody knew it any more.
        columns: In the order of the file.
        rows: How many.
        sha256: Of the rows as COPY printed them.
        checksum: Of the same rows, whatever their order.
        file: Its name, in the folder of the manifest.
        format: "csv.gz" or "parquet".
        bytes: Of the file.
        file_sha256: Of the file.
        created_at: ISO 8601.
        server_version: Such as "16.2".
        create: A statement that makes such a table, with its keys.
    """

    parent: QualifiedName
    partition: QualifiedName
    bound: str
    columns: tuple[ArchivedColumn, ...]
    rows: int
    sha256: str
    checksum: str
    file: str
    format: str
    bytes: int
    file_sha256: str
    created_at: str
    server_version: str
    create: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        return {"version": _VERSION, **asdict(self)}

    def to_json(self) -> _Raw:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def of_json(cls, text: _Raw, where: str) -> Manifest:
        """
        Raises:
            ConfigurationError: *text* is no manifest of ours; *where* it comes from is in the message.
        """
        try:
            found = json.loads(text)
            if found.pop("version") != _VERSION:
                raise ValueError("it is of a newer release; upgrade sa-partman")
            columns = tuple(ArchivedColumn(**column) for column in found.pop("columns"))
            parent, partition = (QualifiedName(**found.pop(name)) for name in ("parent", "partition"))
            return cls(parent=parent, partition=partition, columns=columns, **found)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError(f"{where} is no manifest of an archive: {error}") from error


def read_manifest(location: str) -> tuple[ArchivePlace, Manifest]:
    """
    The manifest at *location*, a path or URL, and the place where its archive lies, too.

    Raises:
        ConfigurationError: There is none.
    """
    folder, name = apart(location)
    place = place_of(folder)
    return place, manifest_in(place, name)


def manifest_in(place: ArchivePlace, name: str) -> Manifest:
    """
    Raises:
        ConfigurationError: There is none of that name.
    """
    try:
        with place.read(name) as file:
            text = file.read()
    except IsADirectoryError as error:
        raise ConfigurationError(
            f"{place.where(name)} is a directory; name a manifest in it: sa-partman archive list shows them"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{place.where(name)} can't be read: {error}") from error
    return Manifest.of_json(text, place.where(name))
