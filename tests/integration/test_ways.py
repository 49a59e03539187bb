"""How many rooms somebody has to open who follows what happens, from the call to the last statement."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine

import alembic_ext.autogenerate  # noqa: F401 -- its operations; Alembic finds them by itself from 1.18 on
from sa_partman import PartitionByRange
from tests.support.builders import at
from tests.support.database import made, new_table, sql, upkeep

ROOT = str(Path(__file__).parents[2])
PACKAGES = tuple(f"{ROOT}/{package}/" for package in ("sa_partman", "alembic_ext"))
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)

pytestmark = pytest.mark.once


@contextmanager
def entered() -> Iterator[set[str]]:
    """The files of the package that have a function which was called in the block, in whatever thread."""
    seen: set[str] = set()

    def called(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        # Bodies of modules and classes run when they are imported, and say nothing of the way.
        if event == "call" and code.co_flags & CO_OPTIMIZED and code.co_filename.startswith(PACKAGES):
            seen.add(code.co_filename.removeprefix(f"{ROOT}/"))

    before = sys.getprofile(), threading.getprofile()
    threading.setprofile(called)
    sys.setprofile(called)
    try:
        yield seen
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])


def of_the_second(prepare: Callable[[str], Callable[[], None]]) -> list[str]:
    """What the work that *prepare* gives enters; the first time is for what is imported, and kept, on the way."""
    prepare("first")()
    work = prepare("second")
    with entered() as seen:
        work()
    return sorted(seen)


def test_a_run_that_makes_two_partitions(engine: Engine) -> None:
    def prepare(name: str) -> Callable[[], None]:
        table = new_table(MONTHLY, name=name)
        table.metadata.create_all(engine)
        maintainer = upkeep(engine, table, "2030-06-15")
        maintainer.run()
        later = maintainer.at(at("2030-08-15"))

        def run() -> None:
            assert 2 == len(made(later.run()))

        return run

    rooms = of_the_second(prepare)

    assert len(rooms) <= 45, "\n".join(rooms)


def test_a_migration_that_converts_a_small_table(engine: Engine) -> None:
    def prepare(name: str) -> Callable[[], None]:
        sql(engine, f"CREATE TABLE {name} (id bigint PRIMARY KEY, created_at timestamptz NOT NULL)")

        context = MigrationContext.configure(connection)
        op: Any = Operations(context)

        def migrate() -> None:
            with context.begin_transaction():
                op.partition_table(name, MONTHLY, primary_key=["id", "created_at"])

        return migrate

    with engine.connect() as connection:
        rooms = of_the_second(prepare)

    assert len(rooms) <= 35, "\n".join(rooms)
