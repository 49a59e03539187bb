"""How far the rows reach: the same answer from every index and from none, and never more than one scan for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, Identity, Integer, MetaData, Numeric, Uuid, event

from sa_partman import PartitionByList, PartitionByRange
from sa_partman.ddl.render import quoted_sql
from sa_partman.errors import ExecutionError
from sa_partman.maintenance.converter import Converter
from tests.support.carrying import EVENTS, NOW, declared, rows, run

INDEXES = {
    "no index": "",
    "an index that begins with the key": "CREATE INDEX i ON events (created_at)",
    "the same, backwards": "CREATE INDEX i ON events (created_at DESC NULLS LAST, kind)",
    "an index with the key behind": "CREATE INDEX i ON events (kind, created_at)",
    "a BRIN index": "CREATE INDEX i ON events USING brin (created_at)",
    "a hash index": "CREATE INDEX i ON events USING hash (created_at)",
    "a partial index": "CREATE INDEX i ON events (created_at) WHERE created_at < '2024-06-01'",
}

ROWS = {
    "rows before now": ("SELECT", "up to 2024-07-01 00:00:00+00"),
    "no row": ("DELETE FROM events", "up to 2024-07-01 00:00:00+00"),
    "a row on the bound": (
        "UPDATE events SET created_at = '2024-07-01 00:00+00' WHERE id = 7",
        "up to 2024-08-01 00:00:00+00",
    ),
    "a row just below the bound": (
        "UPDATE events SET created_at = '2024-06-30 23:59:59.999999+00' WHERE id = 7",
        "up to 2024-07-01 00:00:00+00",
    ),
    "many rows in the future": (
        "UPDATE events SET created_at = timestamptz '2026-02-01 00:00+00' + id * interval '1 hour' WHERE id > 50",
        "up to 2026-03-01 00:00:00+00",
    ),
    "an infinite key": (
        "UPDATE events SET created_at = 'infinity' WHERE id IN (7, 8)",
        "2 rows lie outside the bound of the history partition (infinity, infinity)",
    ),
    "NULL": ("UPDATE events SET created_at = NULL WHERE id < 4", "3 rows have NULL in the partition key (created_at)"),
    "NULL, and a row in the future": (
        "UPDATE events SET created_at = CASE id WHEN 1 THEN timestamptz '2026-02-01 00:00+00' END WHERE id < 4",
        "2 rows have NULL in the partition key (created_at)",
    ),
    "NULL, and an infinite key": (
        "UPDATE events SET created_at = CASE id WHEN 1 THEN timestamptz 'infinity' END WHERE id < 4",
        "1 rows lie outside the bound of the history partition (infinity)",
    ),
}
ANALYZED = ["", "ANALYZE events"]


@contextmanager
def asked(engine: Engine, counting: str = "events") -> Iterator[list[str]]:
    """The queries of the table's rows."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT ") and f'FROM "public"."{counting}"' in statement:
            seen.append(statement)

    event.listen(engine, "after_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "after_cursor_execute", note)


def reached(engine: Engine, metadata: MetaData | None = None, **choices: Any) -> str:
    """What the plan says of the rows: how far the history is to reach, or why there is none."""
    plan = Converter(engine, declared() if metadata is None else metadata, now=NOW).plan("events", **choices)
    if plan.refusals:
        return "; ".join(each.what for each in plan.refusals)
    swap = next(step for step in plan.steps if step.id == "cutover")
    attach = next(each for each in quoted_sql(swap.actions) if "ATTACH PARTITION" in each)
    return f"up to {attach.partition('TO (')[2].partition('::')[0].strip(chr(39))}"


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
@pytest.mark.parametrize(("change", "answer"), ROWS.values(), ids=ROWS.keys())
def test_every_index_gives_the_same_answer(engine: Engine, change: str, answer: str, index: str) -> None:
    """What the rows are decides, not where it is read; statistics are never believed."""
    run(engine, f"{EVENTS} ALTER TABLE events ALTER created_at DROP NOT NULL; {index}")
    run(engine, "ANALYZE events")
    run(engine, change)

    assert answer in reached(engine)
    if "NULL" not in change and "CASE" not in change:
        run(engine, "ALTER TABLE events ALTER created_at SET NOT NULL; ANALYZE events")
        assert answer in reached(engine)


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
@pytest.mark.parametrize("null", ["DROP", "SET"])
def test_rows_that_fit_are_asked_for_once(engine: Engine, null: str, index: str) -> None:
    """Two questions only where an index answers the first one at once."""
    run(engine, f"{EVENTS} ALTER TABLE events ALTER created_at {null} NOT NULL; {index}")
    with asked(engine) as questions:
        reached(engine)

    leads = "ON events (created_at" in index and "WHERE" not in index
    assert 1 + (leads and null == "DROP") == len(questions)


def test_rows_in_the_future_cost_no_second_scan(engine: Engine) -> None:
    """The question that finds them tells the highest, too."""
    run(engine, EVENTS + "UPDATE events SET created_at = '2026-02-01' WHERE id = 7")
    with asked(engine) as questions:
        reached(engine)

    assert 1 == len(questions)


def test_a_boundary_of_the_user_is_asked_for_once(engine: Engine) -> None:
    """The highest key does not matter then."""
    run(engine, EVENTS)
    with asked(engine) as questions:
        reached(engine, boundary="2024-09-01")

    assert 1 == len(questions)
    run(engine, "UPDATE events SET created_at = '2026-02-01' WHERE id = 7")
    assert "1 rows lie outside" in reached(engine, boundary="2024-09-01")


def test_the_question_is_one_that_an_index_answers(engine: Engine) -> None:
    """A BRIN index is enough, and the table is not read."""
    run(engine, EVENTS + "CREATE INDEX i ON events USING brin (created_at); ALTER TABLE events ALTER created_at "
                         "DROP NOT NULL; ANALYZE events")  # fmt: skip
    with asked(engine) as questions:
        reached(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {questions[0]}"))

    assert 2 == plan.count("Bitmap Index Scan on i")


INTEGERS = """
    CREATE TABLE events (id bigint PRIMARY KEY, k {type}, l int);
    INSERT INTO events SELECT i, i * 10, i FROM generate_series(1, 200) i;
"""


@pytest.mark.parametrize("type", ["int", "bigint", "numeric"])
@pytest.mark.parametrize("index", ["", "CREATE INDEX i ON events (k)"])
@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("", "up to 2100"),
        ("UPDATE events SET k = 5100 WHERE id = 7", "up to 5200"),
        ("DELETE FROM events", "up to 100"),
        ("UPDATE events SET k = NULL WHERE id < 3", "2 rows have NULL"),
        ("UPDATE events SET k = NULL", "200 rows have NULL"),
    ],
)
def test_numbers_reach_as_far_as_the_highest(engine: Engine, type: str, index: str, change: str, answer: str) -> None:
    """There is no clock to propose a bound from."""
    column = Numeric() if type == "numeric" else BigInteger()
    metadata = declared(
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("k", column, primary_key=True, autoincrement=False),
        spec=PartitionByRange("k", interval=100, premake=1),
    )
    run(engine, f"{INTEGERS.format(type=type)} {index}")
    if change:
        run(engine, change)
    with asked(engine) as questions:
        answered = reached(engine, metadata)

    assert answer in answered
    if "NULL" not in answer and type != "numeric":
        assert (2 if index else 1) == len(questions)


def test_null_in_the_second_column_of_a_key_is_found(engine: Engine) -> None:
    """A range takes it in no column."""
    spec = PartitionByRange("created_at", "amount", interval="1 month", premake=1)
    columns = (
        Column("id", BigInteger, Identity(), primary_key=True, autoincrement=True),
        Column("created_at", DateTime(timezone=True), primary_key=True),
        Column("amount", Integer, primary_key=True, autoincrement=False),
    )
    run(engine, EVENTS + "ALTER TABLE events ALTER amount DROP NOT NULL; UPDATE events SET amount = NULL WHERE id < 4")

    assert "3 rows have NULL in the partition key (created_at, amount)" in reached(
        engine, declared(*columns, spec=spec)
    )


def test_uuids_of_the_future_move_the_bound(engine: Engine) -> None:
    """A type without max() is asked again, and only then."""
    made = "CAST('{time}' || '7000800000000000' || lpad(to_hex(i), 4, '0') AS uuid)"
    past, future = (made.format(time=f"{ms:012x}"[:12]) for ms in (1714521600000, 1769904000000))
    metadata = declared(
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("k", Uuid, primary_key=True),
        spec=PartitionByRange("k", interval="1 month", premake=1),
    )
    run(engine, "CREATE TABLE events (id bigint PRIMARY KEY, k uuid)")
    run(engine, f"INSERT INTO events SELECT i, {past} FROM generate_series(1, 20) i")
    with asked(engine) as questions:
        assert "up to 0190" in reached(engine, metadata)
    assert 1 == len(questions)

    run(engine, f"UPDATE events SET k = {future.replace('to_hex(i)', 'to_hex(id)')} WHERE id = 7")
    assert "up to 019c" in reached(engine, metadata)


def test_the_values_of_a_list_are_read_once(engine: Engine) -> None:
    """All of them are known then, and NULL with them."""
    columns = (
        Column("id", BigInteger, Identity(), primary_key=True, autoincrement=True),
        Column("amount", Integer, primary_key=True, autoincrement=False),
    )
    metadata = declared(*columns, spec=PartitionByList("amount", values={"all": list(range(301)), "more": [999]}))
    run(engine, EVENTS)
    with asked(engine) as questions:
        reached(engine, metadata)
    assert 1 == len(questions)

    run(engine, "ALTER TABLE events ALTER amount DROP NOT NULL; UPDATE events SET amount = NULL WHERE id = 7")
    assert "belong to no label" in reached(engine, metadata)


def test_rows_that_come_beyond_the_bound_while_it_is_proven_stop_the_conversion_and_stay(engine: Engine) -> None:
    """Between the question and the promise somebody may write one: VALIDATE finds it, and it is not lost."""
    run(engine, EVENTS)
    late = "INSERT INTO events (created_at) VALUES ('2031-01-01')"
    error = stopped(engine, late)

    assert "step 'validate' failed" in error
    assert [(1,)] == rows(engine, "SELECT count(*) FROM events WHERE created_at > '2030-01-01'")
    converter = Converter(engine, declared(), now=NOW)
    converter.abort("events")
    converter.convert("events")
    assert [(301,)] == rows(engine, "SELECT count(*) FROM events_history")


def stopped(engine: Engine, late: str) -> str:
    """The error of a conversion during whose first step *late* is done."""
    done: list[str] = []

    def report(step: Any, seconds: float) -> None:
        if not done:
            run(engine, late)
            done.append(step.id)

    with pytest.raises(ExecutionError) as caught:
        Converter(engine, declared(), now=NOW).convert("events", report=report)
    return str(caught.value)
