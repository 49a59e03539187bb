"""
Autogenerate while the database has many partitions, against stock Alembic and against itself with none.

Stock Alembic runs in a process of its own (``python -m benchmarks.autogenerate URL``), where nothing of ours is loaded.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date

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
_FIRST = 700_000


def metadata(*, declared: bool, referenced: bool) -> MetaData:
    found = MetaData()
    spec = []
    if declared:
        from sa_partman import PartitionByRange

        spec = [PartitionByRange("at", interval="1 day", premake=1)]
    Table(
        "days",
        found,
        Column("id", BigInteger, Identity(), primary_key=True),
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
    Args:
        referenced: With a foreign key of another table to the partitioned one.
    """
    import alembic_ext.autogenerate  # noqa: F401

    model = metadata(declared=True, referenced=referenced)
    model.create_all(engine)
    taken: dict[int, float] = {}
    what = "autogenerate, a foreign key refers to the table" if referenced else "autogenerate"
    there = 0
    for size in sizes:
        _add(engine, there, size)
        there = size
        assert compare(engine, model) == 0
        taken[size] = interleaved([lambda: compare(engine, model)], rounds)[0]
        if not referenced:
            # With partitions it takes so long that once is enough.
            stock = _stock(engine, 1 if size else rounds)
            yield faster(f"{what}, {size:,} partitions: faster than stock Alembic", taken[size], stock)
    for size in sizes[1:]:
        yield at_most(f"{what}, {size:,} partitions against none", taken[size], taken[sizes[0]], 1.5)


def _add(engine: Engine, there: int, wanted: int) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for start in range(there, wanted, 500):
            connection.exec_driver_sql(
                f"DO $$ BEGIN FOR d IN {start}..{min(start + 500, wanted) - 1} LOOP EXECUTE format("
                "'CREATE TABLE days_x%%s PARTITION OF days FOR VALUES FROM (%%L) TO (%%L)', d, "
                f"date '{date.fromordinal(_FIRST)}' + d, date '{date.fromordinal(_FIRST + 1)}' + d); END LOOP; END $$"
            )
    analyze(engine)


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
