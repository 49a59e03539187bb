"""Stretches: partitions that follow each other, passed over as one; what is missing stays the same."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from sa_partman.bounds.bound import RangeBound
from sa_partman.bounds.grid import IntegerGrid, UtcGrid, cells_from
from sa_partman.bounds.interval import Interval
from sa_partman.bounds.values import MAXVALUE, MINVALUE, KeyValue
from sa_partman.codecs import UUIDv7
from sa_partman.compare.covered import Covered, cells_outside, covered_by
from sa_partman.compare.ranges import uncovered
from sa_partman.key import KeyType
from sa_partman.spec.axis import Axis, axis_of
from sa_partman.spec.range_spec import RangeSpec

INTEGERS = axis_of(RangeSpec("n", interval=10), KeyType.of("bigint"))


def bounds(*ends: tuple[KeyValue, KeyValue]) -> list[RangeBound]:
    return [RangeBound((lower,), (upper,)) for lower, upper in ends]


def axis(type: str, interval: str = "1 day", **changes: object) -> Axis:
    return axis_of(RangeSpec("at", interval=interval, **changes), KeyType.of(type))  # type: ignore[arg-type]


def test_nothing() -> None:
    assert Covered((), ()) == covered_by([], INTEGERS)


def test_rows_of_partitions_in_any_order() -> None:
    found = bounds((20, 30), (0, 10), (10, 20), (50, 60))

    assert Covered(((0, 30), (50, 60)), ()) == covered_by(found, INTEGERS)


def test_open_ends_stand_by_themselves() -> None:
    found = bounds((MINVALUE, 0), (0, 10), (10, MAXVALUE))

    assert Covered(((0, 10),), (found[0], found[2])) == covered_by(found, INTEGERS)


def test_dates_are_positions_at_midnight() -> None:
    found = bounds((date(2024, 1, 1), date(2024, 1, 2)), (date(2024, 1, 2), date(2024, 2, 1)))

    assert ((datetime(2024, 1, 1), datetime(2024, 2, 1)),) == covered_by(found, axis("date")).stretches


def test_ends_that_are_no_positions_are_not_passed_over() -> None:
    """A UUID with random bits covers less than the day that it begins in."""
    codec = UUIDv7()
    clean = [codec.encode(datetime(2024, 1, day, tzinfo=UTC), KeyType.of("uuid").family) for day in (1, 2, 3)]
    assert isinstance(clean[0], UUID)
    odd = UUID(int=clean[0].int + 1)
    uuids = axis("uuid", codec=codec)

    assert ((datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)),) == covered_by(
        bounds((clean[0], clean[1]), (clean[1], clean[2])), uuids
    ).stretches
    assert () == covered_by(bounds((odd, clean[1]), (clean[1], clean[2])), uuids).stretches


def test_a_key_that_the_codec_cannot_place() -> None:
    found = bounds((UUID(int=1), UUID(int=2)))

    assert Covered((), tuple(found)) == covered_by(found, axis("uuid", codec=UUIDv7()))


def test_behind_a_tenant() -> None:
    found = [RangeBound(("a", lower, MINVALUE), ("a", lower + 10, MINVALUE)) for lower in (10, 0)]
    odd = RangeBound(("a", 20, 5), ("a", 30, MINVALUE))

    assert Covered(((0, 20),), (odd,)) == covered_by([*found, odd], INTEGERS, 1)


def test_the_cell_that_a_stretch_ends_in_is_not_passed_over() -> None:
    cells = cells_outside(IntegerGrid(10), 0, 40, [(0, 15)])

    assert [(10, 20), (20, 30), (30, 40)] == [(cell.lower, cell.upper) for cell in cells]


def test_a_stretch_to_the_end_of_time_asks_for_no_cell_beyond() -> None:
    grid = UtcGrid(Interval.parse("1 year"))
    far = (datetime(2020, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))

    assert [] == list(cells_outside(grid, datetime(2024, 5, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC), [far]))


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
    some = [
        (cell.lower, cell.upper) for cell in cells_outside(grid, first, horizon, covered_by(found, INTEGERS).stretches)
    ]

    assert list(uncovered(bounds(*every), found)) == list(uncovered(bounds(*some), found))
