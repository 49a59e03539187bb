"""Stretches: partitions that follow each other, passed over as one; what is missing between them stays the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman.bounds.bound import INFINITY, MAXVALUE, MINVALUE, FarTime, KeyValue, RangeBound
from sa_partman.bounds.interval import IntegerGrid, cells_from
from sa_partman.codecs import ULID, UUIDv7
from sa_partman.compare.covered import covered_by, gaps_in, uncovered
from sa_partman.key import KeyType
from sa_partman.spec.declared import Axis, axis_of
from sa_partman.spec.range_spec import RangeSpec

TICK = timedelta(microseconds=1)
INTEGERS = axis_of(RangeSpec("n", interval=10), KeyType.of("bigint"))


def bounds(*ends: tuple[KeyValue, KeyValue]) -> list[RangeBound]:
    return [RangeBound((lower,), (upper,)) for lower, upper in ends]


def axis(type: str, interval: str = "1 day", **changes: object) -> Axis:
    return axis_of(RangeSpec("at", interval=interval, **changes), KeyType.of(type))  # type: ignore[arg-type]


def test_nothing() -> None:
    assert () == covered_by([], INTEGERS)


def test_rows_of_partitions_in_any_order() -> None:
    assert ((0, 30), (50, 60)) == covered_by(bounds((20, 30), (0, 10), (10, 20), (50, 60)), INTEGERS)


def test_open_ends_reach_as_far_as_anything() -> None:
    assert ((None, None),) == covered_by(bounds((MINVALUE, 0), (0, 10), (10, MAXVALUE)), INTEGERS)
    assert ((None, 0), (10, None)) == covered_by(bounds((10, MAXVALUE), (MINVALUE, 0)), INTEGERS)


@pytest.mark.parametrize("far", [INFINITY, FarTime("294276-12-31 00:00:00+00", 10**18)])
def test_an_end_that_python_does_not_have_is_open(far: KeyValue) -> None:
    new_year = datetime(2024, 1, 1, tzinfo=UTC)

    assert ((new_year, None),) == covered_by(bounds((new_year, far)), axis("timestamp with time zone"))
    assert () == covered_by(bounds((far, MAXVALUE)), axis("timestamp with time zone"))


def test_dates_are_positions_at_midnight() -> None:
    found = bounds((date(2024, 1, 1), date(2024, 1, 2)), (date(2024, 1, 2), date(2024, 2, 1)))

    assert ((datetime(2024, 1, 1), datetime(2024, 2, 1)),) == covered_by(found, axis("date"))


def test_ends_that_are_no_positions_are_not_passed_over() -> None:
    """A UUID with random bits covers a little less than the day that it begins in."""
    codec = UUIDv7()
    first, second, third = (datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3))
    clean = [codec.encode(moment, KeyType.of("uuid").family) for moment in (first, second, third)]
    assert isinstance(clean[0], UUID)
    odd = UUID(int=clean[0].int + 1)
    uuids = axis("uuid", codec=codec)

    assert ((first, third),) == covered_by(bounds((clean[0], clean[1]), (clean[1], clean[2])), uuids)
    assert ((first + TICK, third),) == covered_by(bounds((odd, clean[1]), (clean[1], clean[2])), uuids)
    assert ((first, second - TICK),) == covered_by(bounds((clean[0], UUID(int=clean[1].int - 1))), uuids)


def test_a_number_between_two() -> None:
    numbers = axis_of(RangeSpec("n", interval=10), KeyType.of("numeric"))

    assert ((3, 7),) == covered_by(bounds((Decimal("2.5"), Decimal("7.5"))), numbers)
    assert ((0, 7),) == covered_by(bounds((Decimal("-0.5"), Decimal("7"))), numbers)


def test_texts_go_by_what_they_tell() -> None:
    """Of a text nobody knows how the server sorts it; of a ULID, when it was made."""
    codec = ULID()
    ends = [codec.encode(datetime(2024, 1, day, tzinfo=UTC), KeyType.of("text").family) for day in (1, 2, 3)]

    assert ((datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)),) == covered_by(
        bounds((ends[1], ends[2]), (ends[0], ends[1])), axis("text", codec=codec)
    )


def test_a_key_that_the_codec_cannot_place() -> None:
    assert () == covered_by(bounds((UUID(int=4 << 76), UUID(int=5 << 76))), axis("uuid", codec=UUIDv7()))


def test_behind_a_tenant() -> None:
    """What the columns behind it leave open is not covered."""
    found = [RangeBound(("a", lower, MINVALUE), ("a", lower + 10, MINVALUE)) for lower in (10, 0)]

    assert ((0, 20), (21, 30)) == covered_by([*found, RangeBound(("a", 20, 5), ("a", 30, MINVALUE))], INTEGERS, 1)


def test_gaps() -> None:
    assert [(0, 5), (15, 20)] == list(gaps_in(0, 20, [(5, 15)]))
    assert [] == list(gaps_in(7, 15, [(None, 8), (8, None)]))
    assert [(0, 3)] == list(gaps_in(0, 3, [(5, 15)]))
    assert [(15, 16)] == list(gaps_in(6, 16, [(0, 3), (5, 15)]))


@given(
    st.lists(st.integers(-60, 60), unique=True), st.sets(st.integers(0, 60)), st.integers(-80, 80), st.integers(0, 90)
)
def test_what_is_missing_is_the_same_as_cell_by_cell(
    edges: list[int], holes: set[int], first: int, length: int
) -> None:
    edges.sort()
    pairs = [pair for index, pair in enumerate(pairwise(edges)) if index not in holes]
    found = bounds(*pairs)
    grid, horizon = IntegerGrid(10), (first + length) // 10 * 10 + 10
    every = []
    for cell in cells_from(grid, first):
        if cell.lower >= horizon:
            break
        every.append((cell.lower, cell.upper))
    some: dict[tuple[int, int], None] = {}
    for lower, upper in gaps_in(grid.cell(first).lower, horizon, covered_by(found, INTEGERS)):
        cells = [(start, start + 10) for start in range(grid.cell(lower).lower, upper, 10)]
        some |= dict.fromkeys(cells)

        assert grid.count(lower, upper) == len(cells)
    assert list(uncovered(bounds(*every), found)) == list(uncovered(bounds(*some), found))
