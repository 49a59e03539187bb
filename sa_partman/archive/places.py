"""Places where archives lie: a directory, or a folder of an object store."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from sa_partman.archive.object_store import opened_store
from sa_partman.errors import ConfigurationError, MissingDependency

_PLAIN = re.compile(r"[\w.-]+")


class ArchivePlace(Protocol):
    """A flat folder. What it has once it never replaces."""

    def create(self, name: str, token: str) -> Any:
        """
        A context manager that gives a binary file. The file appears under *name* when the block ends well, complete and
        durable; after an error or a crash it is not there.

        Args:
            token: The same for writers that exclude each other: what a crash left is overwritten by the next one.
        """

    def read(self, name: str) -> Any:
        """A context manager that gives a binary file."""

    def remove(self, name: str) -> None:
        """For what we have just written ourselves, and turned out to be wrong."""

    def stems(self, wanted: str) -> Iterator[str]:
        """Beginnings of names for a new archive, to be tried in turn; without end."""
        raise NotImplementedError

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        raise NotImplementedError

    def names(self) -> list[str]:
        """Sorted."""
        raise NotImplementedError

    def where(self, name: str) -> str:
        """The path or URL of a file here."""
        raise NotImplementedError


class Directory:
    """
    A directory of this machine, which has to exist: a mount that is missing must not be taken for an empty archive.

    Raises:
        ConfigurationError: It does not.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            raise ConfigurationError(
                f"{self.path} is no directory; nothing was archived or read. Create it, or mount what should be there."
            )

    @contextmanager
    def create(self, name: str, token: str) -> Iterator[IO[bytes]]:
        """See `ArchivePlace.create`."""
        partial = self.path / f".sa_partman.{token}.partial"
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, replaces nothing.
            os.link(partial, self.path / name)
        finally:
            with suppress(OSError):
                partial.unlink()
        self._sync()

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        """See `ArchivePlace.read`."""
        with (self.path / name).open("rb") as file:
            yield file

    def remove(self, name: str) -> None:
        """See `ArchivePlace.remove`."""
        (self.path / name).unlink()

    def stems(self, wanted: str) -> Iterator[str]:
        """*wanted*, and then with a number: a name that somebody takes meanwhile is refused at the end."""
        yield wanted
        yield from (f"{wanted}-{number}" for number in count(2))

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.path / name).exists()

    def names(self) -> list[str]:
        """What is there and complete."""
        return sorted(each.name for each in self.path.iterdir() if not each.name.startswith("."))

    def where(self, name: str) -> str:
        """The absolute path of a file here."""
        return str(self.path.absolute() / name)


def place_of(to: str) -> ArchivePlace:
    """
    The place that *to* names: a directory, or a URL.

    Raises:
        MissingDependency: A URL needs pyarrow, which is not installed.
        ConfigurationError: There is no such directory, or no such kind of URL.
    """
    if to.startswith("file://"):
        return Directory(unquote(urlsplit(to).path))
    if "://" not in to:
        return Directory(to)
    require_pyarrow(f"archives at {to.partition('://')[0]}:// need pyarrow")
    return opened_store(to)


def require_pyarrow(what: str) -> None:
    """
    Raises:
        MissingDependency: It is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingDependency(what, extra="archive") from error


def apart(location: str) -> tuple[str, str]:
    """The place and the file name of *location*, the path or URL of a file; what follows ``?`` belongs to the place."""
    path, mark, options = location.partition("?") if "://" in location else (location, "", "")
    place, _, name = path.rpartition("/")
    return (place or ("/" if location.startswith("/") else ".")) + mark + options, name


def file_name(*words: str) -> str:
    """*words* joined by dots; what is no plain word gets a hash, so that every file system takes it."""
    return ".".join(word if _PLAIN.fullmatch(word) and len(word.encode()) < 64 else _hashed(word) for word in words)


def _hashed(word: str) -> str:
    plain = "_".join(_PLAIN.findall(word))[:24]
    return f"{plain}_{hashlib.sha256(word.encode()).hexdigest()[:8]}"
