"""The status, as values for the map and as text."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sa_partman.checks.status import PartitionStatus, State, TableStatus
from sa_partman.observe.map import GAP, about, bytes_below, leaves, lines_of, rows_below, size, size_of, total_rows
from sa_partman.observe.text import plain

START = datetime(2030, 1, 1, tzinfo=UTC)


def partition(
    begins: Any, ends: Any, state: State = State.KEPT, *, depth: int = 1, rows: int | None = 10, tenant: str = ""
) -> PartitionStatus:
    lower, upper = (each if isinstance(each, int) else each.isoformat() for each in (begins, ends))
    name, bound = f"public.events_{lower}", f"[{lower}, {upper})"
    return PartitionStatus(name, bound, lower, upper, state, depth, rows, 8192, bound, tenant, begins, ends)


def days(number: int, state: State = State.KEPT, first: int = 0, **more: Any) -> list[PartitionStatus]:
    edges = [START + timedelta(days=first + day) for day in range(number + 1)]
    return [partition(lower, upper, state, **more) for lower, upper in itertools.pairwise(edges)]


def divided(name: str, *below: PartitionStatus) -> list[PartitionStatus]:
    return [PartitionStatus(f"public.{name}", "in (x)", None, None, State.CURRENT, 1, None, 0, "in (x)"), *below]


def table(*partitions: PartitionStatus, problem: str = "", information: str = "") -> TableStatus:
    return TableStatus(
        "public.events",
        "PartitionByRange('at', interval='1 day')",
        "RANGE (at)",
        "kept for ever",
        START,
        problem,
        "2030-02-01T00:00:00+00:00" if partitions else None,
        2 if partitions else None,
        partitions,
        until="2030-02-01" if partitions else None,
        information=information,
    )


def test_a_cell_for_each_partition_in_key_order() -> None:
    (line,) = lines_of(table(*days(3), *days(1, State.CURRENT, 3)), 40)

    assert ["'30", "02", "03", "04"] == [cell.label for cell in line.cells]
    assert ["kept", "kept", "kept", "current"] == [cell.state for cell in line.cells]
    assert 1 == line.per_cell


def test_a_gap_has_a_cell() -> None:
    (line,) = lines_of(table(*days(2), *days(2, first=5)), 40)

    assert ["kept", "kept", GAP, "kept", "kept"] == [cell.state for cell in line.cells]


@pytest.mark.parametrize("number", [40, 41, 80, 400, 4000])
def test_there_are_never_more_cells_than_asked_for(number: int) -> None:
    (line,) = lines_of(table(*days(number)), 40)

    assert len(line.cells) <= 40
    assert number * 8192 == sum(cell.bytes for cell in line.cells)


def test_what_must_not_be_missed_shows_in_a_shared_cell() -> None:
    """A gap above all; the current partition above kept ones."""
    (line,) = lines_of(table(*days(50), *days(1, State.CURRENT, 50), *days(49, State.AHEAD, 51)), 10)
    assert "current" in [cell.state for cell in line.cells]

    (line,) = lines_of(table(*days(50), *days(49, first=51)), 10)
    assert GAP in [cell.state for cell in line.cells]


def test_months_and_hours_are_labelled_by_what_changes() -> None:
    edges = [datetime(*month, 1, tzinfo=UTC) for month in ((2029, 11), (2029, 12), (2030, 1), (2030, 2))]
    (months,) = lines_of(table(*(partition(*pair) for pair in itertools.pairwise(edges))), 40)
    assert ["'29", "Dec", "'30"] == [cell.label for cell in months.cells]

    edges = [START + timedelta(hours=21 + hour) for hour in range(6)]
    (hours,) = lines_of(table(*(partition(*pair) for pair in itertools.pairwise(edges))), 40)
    assert ["'30", "22", "23", "02", "01"] == [cell.label for cell in hours.cells]


def test_numbers_have_no_labels() -> None:
    (line,) = lines_of(table(partition(0, 100), partition(100, 200)), 40)

    assert ["", ""] == [cell.label for cell in line.cells]


def test_sub_partitions_have_a_line_for_each_branch() -> None:
    below = (partition(0, 100, depth=2), partition(100, 200, depth=2))

    lines = lines_of(table(*divided("eu", *below), *divided("us", *below)), 40)

    assert ["public.eu", "public.us"] == [line.label for line in lines]
    assert [2, 2] == [len(line.cells) for line in lines]


def test_each_tenant_has_a_line_without_a_gap_to_the_next_one() -> None:
    lines = lines_of(table(*days(2, tenant="1"), *days(2, tenant="2")), 40)

    assert [("1", ["kept", "kept"]), ("2", ["kept", "kept"])] == [
        (line.label, [cell.state for cell in line.cells]) for line in lines
    ]


def test_one_instant_that_is_written_in_two_ways_is_no_gap() -> None:
    """As pg_partman and others write the bounds of UUIDs."""
    first, second = days(2)
    (line,) = lines_of(table(first, replace(second, lower="the same, with other bits")), 40)

    assert ["kept", "kept"] == [cell.state for cell in line.cells]


def test_sums_are_over_leaves() -> None:
    below = [partition(0, 100, depth=2), partition(100, 200, depth=2, rows=None)]
    partitions = [*divided("eu", *below), partition(5, 6, rows=1)]

    assert (below[0], below[1], partitions[3]) == leaves(partitions)
    assert 10 == rows_below(partitions, 0)
    assert 2 * 8192 == bytes_below(partitions, 0)
    assert 11 == total_rows(partitions)
    assert () == leaves([])


def test_numbers_are_written_for_people() -> None:
    assert ["0 B", "999 B", "8.2 kB", "13.9 MB", "1.0 GB"] == [size(each) for each in (0, 999, 8192, 13.9e6, 1e9)]
    assert ["?", "~0", "~336,776"] == [about(each) for each in (None, 0, 336_776)]


def test_a_size_that_nobody_measured_is_unknown() -> None:
    """Of a foreign table, or one that is locked; what is known of the others is shown."""
    new = replace(partition(0, 1), bytes=None, rows=None)

    assert "?" == size_of([new])
    assert "8.2 kB" == size_of([new, partition(0, 100)])
    assert "0 B" == size_of([replace(new, bytes=0)])
    assert "0 B" == size_of(divided("eu"))
    assert "0 B" == size_of([])


def test_a_detached_table_is_no_partition() -> None:
    """It is listed, and not counted."""
    gone = PartitionStatus("public.events_old", "", None, None, State.DETACHED, 1, None, 8192)
    text = plain([table(partition(0, 100), gone)])

    assert "1 partition   8.2 kB" in text
    assert "events_old" in text


def test_a_table_that_does_not_fit_says_so() -> None:
    text = plain([table(problem="public.events is a plain table")])

    assert "ERROR: public.events is a plain table" in text
    assert "0 partitions" in text


def test_what_is_going_on_is_no_error() -> None:
    text = plain([table(information="a conversion is in progress")])

    assert "\n  a conversion is in progress" in text
    assert "ERROR" not in text


def test_columns_are_aligned() -> None:
    *_, columns, first, second = plain([table(partition(0, 100), partition(100, 200, rows=1_000_000))]).splitlines()

    assert columns.index("size") + 4 == first.index("8.2 kB") + 6 == second.index("8.2 kB") + 6
