"""Foreign keys: nothing is cascaded, families go together, and a row that is referred to keeps its partition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Engine,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    event,
)
from sqlalchemy.schema import CreateTable

from sa_partman import Archive, PartitionByRange, Retention, StepEvent, Veto, before
from sa_partman.postgres import relations
from tests.support.archives import JANUARY, MARCH, kept
from tests.support.builders import at
from tests.support.database import HASTY, codes, holding, leaves, outcomes, scalar, sql, upkeep

KEY = ("id", "created_at")


def family(orders: PartitionByRange, items: PartitionByRange) -> MetaData:
    """``orders``, and ``items`` which refer to them; both by time."""
    metadata = MetaData()
    columns: list[Any] = [Column("id", BigInteger, autoincrement=False), Column("created_at", DateTime(timezone=True))]
    Table("orders", metadata, *columns, PrimaryKeyConstraint(*KEY), orders)
    Table(
        "items",
        metadata,
        Column("id", BigInteger, autoincrement=False),
        Column("created_at", DateTime(timezone=True)),
        Column("order_id", BigInteger),
        Column("order_at", DateTime(timezone=True)),
        PrimaryKeyConstraint(*KEY),
        ForeignKeyConstraint(["order_id", "order_at"], ["orders.id", "orders.created_at"]),
        items,
    )
    return metadata


def filled(engine: Engine, metadata: MetaData, *statements: str) -> MetaData:
    """Made in January, with an order in January and one in February, and an item of each."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table))
    upkeep(engine, metadata, JANUARY).run()
    upkeep(engine, metadata, "2026-02-15").provision()
    sql(engine, "INSERT INTO orders VALUES (1, '2026-01-02'), (2, '2026-02-02')")
    for statement in statements:
        sql(engine, statement)
    return metadata


def items(*rows: str) -> str:
    return f"INSERT INTO items VALUES {', '.join(rows)}"


DROP = kept("drop")


@pytest.mark.parametrize(
    ("orders", "done"),
    [(DROP, 2), (kept("detach"), 2), (kept("drop", grace="1 day"), 2)],
    ids=["drop", "detach", "grace"],
)
def test_a_family_goes_together(engine: Engine, orders: PartitionByRange, done: int) -> None:
    """In one run: first what refers, then what it refers to; although the metadata has them the other way."""
    metadata = filled(engine, family(orders, DROP), items("(1, '2026-01-03', 1, '2026-01-02')"))
    result = upkeep(engine, metadata, MARCH).prune()

    assert ["items_p20260101", "orders_p20260101"] == [step.step.partition.name for step in result.steps]
    assert ["done"] * done == outcomes(result)
    assert 1 == scalar(engine, "SELECT count(*) FROM orders")
    assert not upkeep(engine, metadata, MARCH).prune()


def test_the_plan_shows_the_same_order(engine: Engine) -> None:
    metadata = filled(engine, family(DROP, DROP))
    plan = upkeep(engine, metadata, MARCH).plan()

    assert ["items_p20260101", "orders_p20260101"] == [s.partition.name for s in plan.steps if s.purpose.removes]
    assert plan.sql().index("DROP TABLE public.items_p20260101") < plan.sql().index(
        "DROP TABLE public.orders_p20260101"
    )


def test_a_key_that_only_the_database_has(engine: Engine) -> None:
    """The order is that of the catalog, whatever the models say."""
    metadata = MetaData()
    for name in ("a", "b"):
        columns: list[Any] = [
            Column("id", BigInteger, autoincrement=False),
            Column("created_at", DateTime(timezone=True)),
        ]
        Table(name, metadata, *columns, PrimaryKeyConstraint(*KEY), DROP)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table))
    upkeep(engine, metadata, JANUARY).run()
    sql(engine, "INSERT INTO b VALUES (1, '2026-01-02'); INSERT INTO a VALUES (1, '2026-01-02')")
    sql(engine, "ALTER TABLE a ADD FOREIGN KEY (id, created_at) REFERENCES b")
    result = upkeep(engine, metadata, MARCH).prune()

    assert ["a_p20260101", "b_p20260101"] == [step.step.partition.name for step in result.steps]
    assert ["done", "done"] == outcomes(result)


@pytest.mark.parametrize("orders", [DROP, kept("detach"), kept("drop", grace="1 day")], ids=str)
def test_rows_that_are_referred_to_keep_their_partition(engine: Engine, orders: PartitionByRange) -> None:
    """It is reported, with the table that refers; the other tables go on, and nothing was changed."""
    metadata = filled(engine, family(orders, DROP), items("(1, '2026-01-03', 1, '2026-01-02')"))
    sql(engine, items("(2, '2026-02-03', 1, '2026-01-02')"))  # kept, and refers to an expired order
    result = upkeep(engine, metadata, MARCH).prune()

    assert ["done", "failed"] == outcomes(result)
    assert "items" in result.steps[1].error
    assert "referenced" in result.steps[1].error
    assert "Key (order_id, order_at)=(1, 2026-01-02" in result.steps[1].error
    assert "referencing_tables=" in result.steps[1].error
    assert "orders_p20260101" in leaves(engine, "orders")
    assert 2 == scalar(engine, "SELECT count(*) FROM orders")
    assert 1 == scalar(engine, "SELECT count(*) FROM items")


def test_converged_runs_do_not_read_foreign_keys(engine: Engine) -> None:
    """Only a removal needs them."""
    metadata = filled(engine, family(DROP, DROP))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    text = str(relations._INBOUND)[:40]
    upkeep(engine, metadata, "2026-02-15").run()
    before = [each for each in statements if text in each]
    upkeep(engine, metadata, MARCH).run()

    assert ([], 1) == (before, sum(text in each for each in statements))


# -- referencing tables ------------------------------------------------------------------------------------------------

NOTES = """
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at_ timestamptz, order_ bigint,
    FOREIGN KEY (order_, at_) REFERENCES orders (id, created_at));
INSERT INTO notes (order_, at_) SELECT 1, '2026-01-02' FROM generate_series(1, {rows});
INSERT INTO notes (order_, at_) SELECT 2, '2026-02-02' FROM generate_series(1, 3);
INSERT INTO notes (order_, at_) VALUES (NULL, NULL), (1, NULL)
"""


def starred(retention: Retention) -> MetaData:
    metadata = MetaData()
    columns: list[Any] = [Column("id", BigInteger, autoincrement=False), Column("created_at", DateTime(timezone=True))]
    spec = PartitionByRange("created_at", interval="1 month", premake=0, retention=retention)
    Table("orders", metadata, *columns, PrimaryKeyConstraint(*KEY), spec)
    return metadata


@pytest.fixture
def batches(engine: Engine) -> Iterator[list[int]]:
    """How many rows each DELETE took."""
    found: list[int] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("DELETE"):
            found.append(cursor.rowcount)

    event.listen(engine, "after_cursor_execute", note)
    yield found
    event.remove(engine, "after_cursor_execute", note)


@pytest.mark.parametrize(
    ("options", "purposes"),
    [
        ({"then": "drop"}, ["drop", "drop"]),
        ({"then": "detach"}, ["detach", "detach"]),
        ({"then": "drop", "grace": "1 day"}, ["detach", "detach"]),
    ],
    ids=["drop", "detach", "grace"],
)
def test_referencing_tables(engine: Engine, batches: list[int], options: dict[str, Any], purposes: list[str]) -> None:
    """Rows that refer to an expired one go in batches, before it; those of others, and NULLs, stay."""
    metadata = filled(
        engine, starred(Retention("1 month", referencing_tables=("notes",), **options)), NOTES.format(rows=12_000)
    )
    plan = upkeep(engine, metadata, MARCH).plan()
    result = upkeep(engine, metadata, MARCH).prune()

    assert "DELETE FROM public.notes s WHERE s.ctid = ANY (ARRAY(SELECT s.ctid FROM public.notes s" in plan.sql()
    assert purposes == [step.step.purpose for step in result.steps]
    assert ["done", "done"] == outcomes(result)
    assert [12_000, None] == [step.rows for step in result.steps]
    assert [5_000, 5_000, 2_000] == batches
    assert [(None, 1), (1, 1), (2, 3)] == sorted(
        (tuple(row) for row in sql(engine, "SELECT order_, count(*) FROM notes GROUP BY order_")),
        key=lambda row: row[0] or 0,
    )
    assert not upkeep(engine, metadata, MARCH).prune()


def test_a_hook_against_the_drop_keeps_the_referencing_rows(engine: Engine) -> None:
    """What is on legal hold is not emptied of what belongs to it."""
    metadata = filled(
        engine, starred(Retention("1 month", then="drop", referencing_tables=("notes",))), NOTES.format(rows=3)
    )

    @before("drop")
    def hold(_: StepEvent) -> None:
        raise Veto("legal hold")

    result = upkeep(engine, metadata, MARCH, hooks=[hold]).prune()

    assert ["vetoed"] == outcomes(result)
    assert 8 == scalar(engine, "SELECT count(*) FROM notes")


def test_a_referencing_table_of_another_partition_with_the_name(engine: Engine) -> None:
    """The names were exchanged since the plan: the rows that refer to what is not expired stay."""
    metadata = filled(
        engine, starred(Retention("1 month", then="drop", referencing_tables=("notes",))), NOTES.format(rows=3)
    )

    @before("drop")
    def swap(_: StepEvent) -> None:
        if "january" not in leaves(engine, "orders"):
            sql(engine, "ALTER TABLE orders_p20260101 RENAME TO january")
            sql(engine, "ALTER TABLE orders_p20260201 RENAME TO orders_p20260101")

    upkeep(engine, metadata, MARCH, hooks=[swap]).prune()

    assert 8 == scalar(engine, "SELECT count(*) FROM notes")


def test_a_referencing_table_that_is_not_named_is_not_touched(engine: Engine) -> None:
    """Its rows keep the partition."""
    metadata = filled(engine, starred(Retention("1 month", then="drop")), NOTES.format(rows=3))
    result = upkeep(engine, metadata, MARCH).prune()

    assert ["failed"] == outcomes(result)
    assert '"notes"' in result.steps[0].error
    assert 8 == scalar(engine, "SELECT count(*) FROM notes")


def test_a_referencing_table_that_does_not_refer(engine: Engine) -> None:
    """A declaration that does not fit removes nothing, and says so."""
    metadata = filled(
        engine, starred(Retention("1 month", then="drop", referencing_tables=("notes",))), "CREATE TABLE notes ()"
    )
    result = upkeep(engine, metadata, MARCH).prune()

    assert ([], ["satellite"], False) == (outcomes(result), codes(result.findings), result.ok)
    assert "orders_p20260101" in leaves(engine, "orders")


def test_a_locked_row_of_a_referencing_table(engine: Engine) -> None:
    """What was deleted before stays deleted, the partition stays, and the next run goes on."""
    metadata = filled(
        engine, starred(Retention("1 month", then="drop", referencing_tables=("notes",))), NOTES.format(rows=6_000)
    )
    with holding(engine, "SELECT FROM notes WHERE id = 5900 FOR UPDATE"):
        result = upkeep(engine, metadata, MARCH, lock=HASTY).prune()

    assert ["deferred"] == outcomes(result)
    assert 1_000 + 5 == scalar(engine, "SELECT count(*) FROM notes")
    assert "orders_p20260101" in leaves(engine, "orders")
    again = upkeep(engine, metadata, MARCH).prune()
    assert (["done", "done"], 1_000) == (outcomes(again), again.steps[0].rows)


def test_a_referencing_table_with_referencing_tables_of_its_own(engine: Engine) -> None:
    """Nothing is cascaded there either."""
    metadata = filled(
        engine,
        starred(Retention("1 month", then="drop", referencing_tables=("notes",))),
        NOTES.format(rows=2),
        "CREATE TABLE stars (note bigint REFERENCES notes); INSERT INTO stars VALUES (1)",
    )
    result = upkeep(engine, metadata, MARCH).prune()

    assert ["failed"] == outcomes(result)
    assert '"stars"' in result.steps[0].error
    assert "the partition was not touched" in result.steps[0].error
    assert 2 == scalar(engine, "SELECT count(*) FROM notes WHERE order_ = 1 AND at_ IS NOT NULL")


def test_referencing_tables_and_an_archive(engine: Engine, tmp_path: Any) -> None:
    """Deleted, detached, archived, dropped: in one run, in this order."""
    metadata = filled(
        engine,
        starred(Retention("1 month", then=Archive(tmp_path), referencing_tables=("notes",))),
        NOTES.format(rows=2),
    )
    result = upkeep(engine, metadata, MARCH).prune()

    assert [2, None, 1, None] == [step.rows for step in result.steps]
    assert result.ok
    assert at(MARCH) == result.now
