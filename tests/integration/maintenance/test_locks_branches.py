"""A branch that goes leaves first: what somebody changed since the look is left as it is."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sa_partman import PartitionByHash, PartitionByRange, Retention
from sa_partman.engine import execute
from tests.support.database import new_table, relations, sql, upkeep

WIDE = PartitionByRange(
    "created_at",
    interval="1 month",
    premake=0,
    retention=Retention("1 month", then="drop"),
    subpartition=PartitionByHash("id", modulus=4),
)
OLD = "events_p20300101"


@pytest.mark.parametrize(
    ("change", "left"),
    [
        # A leaf that somebody took out, and wants to keep.
        (f"ALTER TABLE {OLD} DETACH PARTITION {OLD}_h2", {f"public.{OLD}_h2"}),
        # Another partition that bears the name now, and is not expired.
        (
            f"ALTER TABLE events DETACH PARTITION {OLD}; "
            f"ALTER TABLE events ATTACH PARTITION {OLD} FOR VALUES FROM ('2039-01-01+00') TO ('2039-02-01+00')",
            {f"public.{OLD}", *(f"public.{OLD}_h{each}" for each in range(4))},
        ),
    ],
)
def test_it_was_changed_since_the_look(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, change: str, left: set[str]
) -> None:
    """Neither the name of a branch nor that of a leaf is enough to drop a table."""
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, new_table(WIDE), "2030-01-15").run().ok
    monkeypatch.setattr(execute, "room", lambda *_: 1)
    drop = execute._drop

    def later(*arguments: object, **options: object) -> None:
        monkeypatch.setattr(execute, "_drop", drop)
        sql(engine, change)
        drop(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(execute, "_drop", later)

    upkeep(engine, new_table(WIDE), "2030-04-15").prune()

    assert left <= relations(engine)


def test_a_referenced_table_loses_a_branch(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Detached and marked first, then emptied, then dropped; nothing else that bears its name then."""
    sql(
        engine,
        "CREATE TABLE events (id bigint, created_at timestamptz, UNIQUE (id, created_at)) "
        "PARTITION BY RANGE (created_at)",
    )
    sql(
        engine,
        "CREATE TABLE notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES events (id, created_at))",
    )
    assert upkeep(engine, new_table(WIDE), "2030-01-15").run().ok
    monkeypatch.setattr(execute, "room", lambda *_: 1)
    drop = execute._drop

    def swapped(*arguments: object) -> None:
        drop(*arguments)  # type: ignore[arg-type]
        sql(engine, f"ALTER TABLE {OLD} RENAME TO aside; CREATE TABLE {OLD} (id bigint)")

    monkeypatch.setattr(execute, "_drop", swapped)
    upkeep(engine, new_table(WIDE), "2030-04-15").prune()

    assert {f"public.{OLD}", "public.aside"} <= relations(engine)
