"""A folder of an object store, through ``pyarrow.fs``: objects appear whole or not at all, and can't be renamed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sa_partman.errors import ConfigurationError
from sa_partman.spec.archive import shown


class Store:
    """
    A folder of an object store.

    Args:
        system: A ``pyarrow.fs.FileSystem``.
        folder: In it, without a slash at the end.
        url: How people call it.
    """

    def __init__(self, system: Any, folder: str, url: str) -> None:
        self.system, self.folder, self.url = system, folder.rstrip("/"), url

    @contextmanager
    def create(self, name: str, token: str) -> Iterator[Any]:
        """See `Place.create`; *token* is not needed."""
        del token
        path = f"{self.folder}/{name}"
        try:
            # By default it would compress what is called .gz once more.
            with self.system.open_output_stream(path, compression=None) as file:
                yield file
        except BaseException:
            # pyarrow completes an upload whatever happened, so what has been written of it is there now.
            with suppress(OSError):
                self.system.delete_file(path)
            raise

    @contextmanager
    def read(self, name: str) -> Iterator[Any]:
        """See `Place.read`."""
        with self.system.open_input_file(f"{self.folder}/{name}") as file:
            yield file

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        self.system.delete_file(f"{self.folder}/{name}")

    def stems(self, wanted: str) -> Iterator[str]:
        """With chance in each: the later one of two writers would replace what the other has, without a word."""
        while True:
            yield f"{wanted}-{secrets.token_hex(6)}"

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return bool(self.system.get_file_info(f"{self.folder}/{name}").is_file)

    def names(self) -> list[str]:
        """
        What is there.

        Raises:
            ConfigurationError: The store has no such bucket, which must not be taken for an empty archive.
        """
        from pyarrow.fs import FileSelector

        found = self.system.get_file_info(FileSelector(self.folder, allow_not_found=True))
        if not found:
            self._require_bucket()
        return sorted(each.base_name for each in found if each.is_file)

    def _require_bucket(self) -> None:
        from pyarrow.fs import FileType

        bucket = self.folder.partition("/")[0]
        with suppress(OSError):  # not everybody who may use a folder may ask for the bucket
            if self.system.get_file_info(bucket).type == FileType.NotFound:
                raise ConfigurationError(
                    f"{self.url}: the store has no bucket {bucket!r}; nothing was archived or read. Create it, "
                    "or correct the URL."
                )

    def where(self, name: str) -> str:
        """The URL of a file here, which opens it again; but for credentials, which are for the environment."""
        folder, mark, options = self.url.partition("?")
        return f"{folder.rstrip('/')}/{name}{mark}{options}"


def opened_store(url: str) -> Store:
    """
    What *url* names; needs pyarrow.

    Raises:
        ConfigurationError: It is no URL that pyarrow opens.
    """
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    try:
        system, folder = FileSystem.from_uri(url)
    except (ArrowException, OSError) as error:
        said = str(error).replace(url, shown(url))
        raise ConfigurationError(f"{shown(url)}: {said}; nothing was archived or read. Correct the URL.") from None
    return Store(system, folder, shown(url))
