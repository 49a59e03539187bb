"""
All benchmarks of the maintainer, in one table: Markdown on stdout and in results.md, JSON in results.json.

Run: ``python -m benchmarks.run [--quick] [--conversion] [--only PART]``, or ``nox -s bench``. It starts servers of its
own. What counts are ratios, measured in one run, contenders in turn, the median of five.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmarks import autogenerate, debian_partman, ground, looking, startup, waiting
from benchmarks.maintaining import Meeting, partman, partsmith
from benchmarks.measure import ROUNDS, Row, narrated, said
from sa_partman.throwaway import Server, find

HERE = Path(__file__).parent
SIZES = ((10, 30), (100, 30), (100, 100), (1, 1_000))
QUICK = ((5, 10), (20, 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds: to see that it works")
    parser.add_argument("--conversion", action="store_true", help="conversions too: benchmarks/conversion.py")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="only this part; repeatable")
    parser.add_argument("--cache", type=Path, default=Path(".nox/.cache"), help="where downloads are kept")
    given = parser.parse_args()
    rows: list[Row] = []
    with Server.start(find(), settings=ground.SETTINGS) as server:
        for name, part in PARTS.items():
            if name in (given.only or PARTS):
                with narrated(name):
                    rows.extend(said(part(server, given)))
        _tell(rows, _about(server), keep=not given.quick and not given.only)
    if given.conversion:
        subprocess.run([sys.executable, HERE / "conversion.py"], check=True)


def _tell(rows: list[Row], about: dict[str, str], *, keep: bool) -> None:
    table = _markdown(rows, about)
    print(table, flush=True)
    if keep:
        (HERE / "results.md").write_text(table + "\n", encoding="utf-8")
        document = {"about": about, "rows": [asdict(row) for row in rows]}
        (HERE / "results.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _rounds(given: argparse.Namespace) -> int:
    return 2 if given.quick else ROUNDS


def _sizes(given: argparse.Namespace) -> tuple[tuple[int, int], ...]:
    return QUICK if given.quick else SIZES


def _maintaining(server: Server, given: argparse.Namespace) -> Iterator[Row]:
    """Ours against the bare statements, and pg-partsmith; then large catalogs, on the largest of these."""
    meetings = [Meeting("nobody", None)]
    if find_spec("pg_partsmith") is not None:
        meetings.append(Meeting(f"pg-partsmith {version('pg-partsmith')}", partsmith, 20))
    else:
        yield Row("pg-partsmith", "not installed", ">= 20 x")
    for tables, partitions in _sizes(given):
        with ground.database(server.url(), f"m{tables}x{partitions}") as engine:
            ground.create(engine, tables)
            made = ground.fill(engine, tables, partitions)
            for meeting in meetings:
                yield from meeting.rows(made, _rounds(given))
    yield from meetings[0].growth()


def _partman(_: Server, given: argparse.Namespace) -> Iterator[Row]:
    """pg_partman on Debian's PostgreSQL 15, and ours on the same server."""
    try:
        programs = debian_partman.binaries(given.cache.resolve())
    except debian_partman.NotHere as reason:
        yield Row("pg_partman", str(reason), ">= 2 x")
        return
    with Server.start(programs, settings=ground.SETTINGS) as server:
        for tables, partitions in _sizes(given):
            with ground.database(server.url(), f"p{tables}x{partitions}") as engine:
                made = debian_partman.fill(engine, tables, partitions)
                with engine.connect() as connection:
                    found = connection.exec_driver_sql(
                        "SELECT extversion FROM pg_extension WHERE extname = 'pg_partman'"
                    ).scalar_one()
                meeting = Meeting(f"pg_partman {found} (PostgreSQL {programs.version})", partman, 2)
                yield from meeting.rows(made, _rounds(given))


def _looking(server: Server, given: argparse.Namespace) -> Iterator[Row]:
    for tables, partitions, limit in ((5, 20, 1.0),) if given.quick else ((100, 100, 1.0), (50, 1_000, 5.0)):
        with ground.database(server.url(), f"l{tables}x{partitions}") as engine:
            ground.create(engine, tables, key=False)
            yield from looking.rows(ground.fill(engine, tables, partitions), limit, 2 if given.quick else 3)


def _autogenerate(server: Server, given: argparse.Namespace) -> Iterator[Row]:
    for referenced in (False, True):
        with ground.database(server.url(), f"autogenerate{int(referenced)}") as engine:
            sizes = (0, 100) if given.quick else autogenerate.SIZES
            yield from autogenerate.rows(engine, sizes, _rounds(given), referenced=referenced)


def _waiting(server: Server, _: argparse.Namespace) -> Iterator[Row]:
    with ground.database(server.url(), "waiting") as engine:
        yield from waiting.rows(engine)


def _startup(_: Server, given: argparse.Namespace) -> Iterator[Row]:
    yield from startup.rows(_rounds(given))


PARTS = {
    "maintaining": _maintaining,
    "partman": _partman,
    "looking": _looking,
    "autogenerate": _autogenerate,
    "waiting": _waiting,
    "startup": _startup,
}


def _about(server: Server) -> dict[str, str]:
    return {
        "PostgreSQL": server.binaries.version,
        "Python": platform.python_version(),
        **{name: version(name) for name in ("SQLAlchemy", "alembic", "psycopg")},
        "cores": str(os.cpu_count()),
        "load at the end": ", ".join(f"{each:.1f}" for each in os.getloadavg()),
    }


def _markdown(rows: list[Row], about: dict[str, str]) -> str:
    said = "; ".join(f"{name} {value}" for name, value in about.items())
    lines = [
        "# Benchmarks",
        "",
        f"Made by `nox -s bench`. {said}. Ratios count, times depend on the machine and on what else it does.",
        "",
        "| what | target | measured | |",
        "|---|---|---|---|",
    ]
    verdict = {True: "met", False: "**missed**", None: ""}
    lines += [f"| {row.what} | {row.target} | {row.measured} | {verdict[row.met]} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
