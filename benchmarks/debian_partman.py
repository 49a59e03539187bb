"""
Debian's PostgreSQL 15 with its pg_partman 4.7, in a folder of its own: nothing is installed.

The server's files are copied beside the extension's, since PostgreSQL looks for extensions next to its own programs.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.ground import AHEAD, Ground, analyze, create, today
from sa_partman.throwaway import Binaries

PACKAGES = ("postgresql-15", "postgresql-15-partman")
_INSTALLED = Path("/usr/lib/postgresql/15")


class NotHere(Exception):
    """Debian's packages can't be had."""


def binaries(cache: Path) -> Binaries:
    """
    Raises:
        NotHere: No Debian, or no network.
    """
    folder = cache / "debian-15-partman"
    programs = folder / "usr/lib/postgresql/15/bin"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _unpack(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotHere(f"Debian's {' and '.join(PACKAGES)} can't be had here") from error
        (folder / "complete").touch()
    version = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return Binaries(programs, "Debian", version.split()[2])


def _unpack(folder: Path) -> None:
    wanted = list(PACKAGES)
    if _INSTALLED.exists():
        wanted.remove("postgresql-15")
        for place in ("lib", "share"):
            shutil.copytree(f"/usr/{place}/postgresql/15", folder / f"usr/{place}/postgresql/15", symlinks=True)
    with tempfile.TemporaryDirectory() as downloads:
        subprocess.run(["apt-get", "download", *wanted], cwd=downloads, check=True, capture_output=True)
        for package in Path(downloads).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder], check=True)


def fill(engine: Engine, tables: int, partitions: int) -> Ground:
    """Tables that pg_partman made the partitions of, with its names; without its default partitions."""
    day = today(engine)
    first = day - timedelta(days=partitions - AHEAD - 1)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA partman")
        connection.exec_driver_sql("CREATE EXTENSION pg_partman SCHEMA partman")
    create(engine, tables)
    for number in range(tables):
        with engine.begin() as connection:
            connection.exec_driver_sql(
                f"SELECT partman.create_parent('public.t{number}', 'at', 'native', 'daily', p_premake := {AHEAD}, "
                f"p_start_partition := '{first}', p_jobmon := false)"
            )
            connection.exec_driver_sql(f"DROP TABLE t{number}_default")
    with engine.begin() as connection:
        # It makes no partitions without rows unless it is told to. Of half a day ahead it makes a whole one or none.
        connection.exec_driver_sql("UPDATE partman.part_config SET infinite_time_partitions = true")
        afternoon = "(now()::time >= time '12:00')::int"
        connection.exec_driver_sql(f"UPDATE partman.part_config SET premake = {AHEAD} - {afternoon}")
    analyze(engine)
    return Ground(engine, tables, partitions, day)
