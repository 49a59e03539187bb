"""
Autogenerate while the database has many partitions, against stock Alembic and against itself with none.

Stock Alembic runs in a process of its own (``python -m benchmarks.autogenerate URL``), where nothing of ours is loaded.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import partial
from itertools import pairwise

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Engine,
    ForeignKeyConstraint,
    Identity,
    MetaData,
    Table,
    Text,
    create_engine,
)

from benchmarks.ground import analyze
from benchmarks.measure import Row, at_most, faster, interleaved

SIZES = (0, 1_500, 4_000)
YOUNG = ("t0", "t1", "t2")
"""Made after the partitions, as the tables of a project that goes on are: plans depend on it."""
_FIRST = 700_000
_MORE_ROUNDS = 5
"""One comparison takes some hundredths of a second."""


def metadata(*, declared: bool, referenced: bool) -> MetaData:
    found = MetaData()
    spec = []
    if declared:
        from sa_partman import PartitionByRange

        spec = [PartitionByRange("at", interval="1 day", premake=1)]
    Table(
        "days",
        found,
        Column("id", BigInteger, Identity(), primary_key=True, autoincrement=True),
        Column("at", Date, primary_key=True),
        Column("kind", Text, index=True),
        *spec,
    )
    key = [ForeignKeyConstraint(["day_id", "day_at"], ["days.id", "days.at"])] if referenced else []
    Table(
        "other",
        found,
        Column("id", BigInteger, primary_key=True),
        Column("day_id", BigInteger),
        Column("day_at", Date),
        *key,
    )
    for number in range(20):
        Table(f"t{number}", found, Column("id", BigInteger, primary_key=True), Column("x", Text, index=True))
    return found


def compare(engine: Engine, model: MetaData) -> int:
    with engine.connect() as connection:
        return len(compare_metadata(MigrationContext.configure(connection), model))


def rows(engine: Engine, sizes: tuple[int, ...], rounds: int, *, referenced: bool) -> Iterator[Row]:
    """
    All sizes in turn, each in a copy of the database.

    Args:
        referenced: With a foreign key of another table to the partitioned one.
    """
    import alembic_ext.autogenerate  # noqa: F401

    model = metadata(declared=True, referenced=referenced)
    what = "autogenerate, a foreign key refers to the table" if referenced else "autogenerate"
    model.create_all(engine, [table for table in model.sorted_tables if table.name not in YOUNG])
    with ExitStack() as stack:
        there: list[Engine] = []
        for before, size in pairwise((0, *sizes)):
            _add(engine, before, size)
            there.append(stack.enter_context(_copied(engine, f"with{size}")))
            model.create_all(there[-1])
            analyze(there[-1])
            assert compare(there[-1], model) == 0
        taken = interleaved([partial(compare, each, model) for each in there], rounds * _MORE_ROUNDS)
        for size, copy, seconds in zip(sizes, there, taken, strict=True):
            if not referenced:
                # With partitions it takes so long that once is enough.
                stock = _stock(copy, 1 if size else rounds)
                yield faster(f"{what}, {size:,} partitions: faster than stock Alembic", seconds, stock)
        for size, seconds in zip(sizes[1:], taken[1:], strict=True):
            yield at_most(f"{what}, {size:,} partitions against none", seconds, taken[0], 1.5)


def _add(engine: Engine, there: int, wanted: int) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for start in range(there, wanted, 500):
            connection.exec_driver_sql(
                f"DO $$ BEGIN FOR d IN {start}..{min(start + 500, wanted) - 1} LOOP EXECUTE format("
                "'CREATE TABLE days_x%%s PARTITION OF days FOR VALUES FROM (%%L) TO (%%L)', d, "
                f"date '{date.fromordinal(_FIRST)}' + d, date '{date.fromordinal(_FIRST + 1)}' + d); END LOOP; END $$"
            )


@contextmanager
def _copied(engine: Engine, suffix: str) -> Iterator[Engine]:
    """An engine on a copy of the database, which is dropped in the end."""
    name = f"{engine.url.database}_{suffix}"
    admin = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    engine.dispose()
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {engine.url.database}")
    copy = create_engine(engine.url.set(database=name))
    try:
        yield copy
    finally:
        copy.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


def _stock(engine: Engine, rounds: int) -> float:
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.autogenerate", url, str(rounds)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    url, rounds = sys.argv[1:]
    engine, model = create_engine(url), metadata(declared=False, referenced=False)
    if rounds != "1":
        compare(engine, model)
    print(interleaved([lambda: compare(engine, model)], int(rounds))[0])


if __name__ == "__main__":
    main()
