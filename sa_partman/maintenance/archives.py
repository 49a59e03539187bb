"""What lies in an archive, for programs: look at a place, read an archive to the end; no database is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sa_partman.archive.manifest import SUFFIX, Manifest, manifest_in, read_manifest
from sa_partman.archive.places import place_of
from sa_partman.archive.store import verify_archive
from sa_partman.errors import ConfigurationError
from sa_partman.spec.archive import shown


@dataclass(frozen=True, slots=True)
class Archived:
    """
    An archive that is complete.

    Args:
        location: The path or URL of its manifest, without credentials.
        manifest: What is in it.
    """

    location: str
    manifest: Manifest

    def to_dict(self) -> dict[str, Any]:
        return {"manifest": self.location, **self.manifest.to_dict()}


def archives(to: str) -> tuple[Archived, ...]:
    """See `Maintainer.archives`."""
    return tuple(each for each in looked_through(to) if isinstance(each, Archived))


def looked_through(to: str) -> Iterator[Archived | ConfigurationError]:
    """
    Every archive at *to*, by name, and why another manifest is none.

    Raises:
        ConfigurationError: There is no such place, or it does not answer.
    """
    place = place_of(to)
    try:
        names = place.names()
    except OSError as error:
        raise ConfigurationError(f"{shown(to)} can't be read: {error}") from error
    for name in names:
        if name.endswith(SUFFIX):
            try:
                yield Archived(place.where(name), manifest_in(place, name))
            except ConfigurationError as error:
                yield error


def verify(manifest: str) -> Archived:
    """See `Maintainer.verify`."""
    place, found = read_manifest(manifest)
    verify_archive(place, found)
    return Archived(shown(manifest), found)
