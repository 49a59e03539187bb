"""Names fit 63 bytes, and differ where the partitions differ."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.bounds.bound import Bound, HashBound, ListBound, RangeBound
from sa_partman.bounds.interval import Interval, cells_from
from sa_partman.names import MAX_BYTES, QualifiedName, fit_name, join_name, label_of
from sa_partman.plan.provision import partition_name
from sa_partman.spec.declared import RangeLevel
from tests.support.builders import declare
from tests.support.strategies import INSTANTS, INTERVALS, ZONES

TABLES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63).filter(
    lambda name: len(name.encode()) <= MAX_BYTES
)


@given(one=TABLES, other=TABLES, suffix=st.text("abc_19é", min_size=1, max_size=80))
def test_joined_names(one: str, other: str, suffix: str) -> None:
    """Also for two tables that share their first 60 bytes."""
    names = {join_name(one, suffix), join_name(other, suffix)}

    assert all(0 < len(name.encode()) <= MAX_BYTES for name in names)
    assert len({one, other}) == len(names)


@given(text=st.text("aé😀_", min_size=1, max_size=200), other=st.text("aé😀_", min_size=1, max_size=200))
def test_fitted_names(text: str, other: str) -> None:
    """What fits is left alone."""
    assert len(fit_name(text).encode()) <= MAX_BYTES
    assert (text == other) == (fit_name(text) == fit_name(other))
    assert len(text.encode()) > MAX_BYTES or text == fit_name(text)


@given(one=st.text(max_size=50) | st.none() | st.integers(), other=st.text(max_size=50) | st.none() | st.integers())
def test_labels(one: object, other: object) -> None:
    """Labels differ where the values differ, read alike by case or not; they are plain lower-case words."""
    assert (str(one) == str(other) and (one is None) == (other is None)) == (label_of(one) == label_of(other))
    assert label_of(one).lower() == label_of(one)
    assert len(label_of(one)) <= 40


@given(table=TABLES, interval=INTERVALS, zone=ZONES, now=INSTANTS)
def test_range_partitions(table: str, interval: Interval, zone: str, now: datetime) -> None:
    """Sixty in a row have sixty names."""
    spec = PartitionByRange("created_at", interval=interval, timezone=zone)
    level = declare(spec).level
    assert isinstance(level, RangeLevel)
    cells = islice(cells_from(level.axis.grid, now), 60)
    names = [_name(level, table, RangeBound((cell.lower,), (cell.upper,))) for cell in cells]

    _differ_and_fit(names)


@given(table=TABLES, width=st.integers(1, 10**9), start=st.integers(-(10**12), 10**12))
def test_integer_partitions(table: str, width: int, start: int) -> None:
    """Negative ones too."""
    level = declare(PartitionByRange("id", interval=width)).level
    assert isinstance(level, RangeLevel)
    cells = islice(cells_from(level.axis.grid, start), 20)
    names = [_name(level, table, RangeBound((cell.lower,), (cell.upper,))) for cell in cells]

    _differ_and_fit(names)


@given(table=TABLES, values=st.lists(st.text(max_size=70) | st.none(), min_size=1, max_size=20, unique=True))
def test_list_partitions(table: str, values: list[str | None]) -> None:
    """Whatever the values are."""
    spec = PartitionByList("region", values=values)
    level = declare(spec, region="text").level
    names = [_name(level, table, ListBound(frozenset(each)), label) for label, each in spec.values.labelled]

    _differ_and_fit(names)


@given(table=TABLES, modulus=st.integers(1, 100))
def test_hash_partitions(table: str, modulus: int) -> None:
    """One a remainder."""
    level = declare(PartitionByHash("id", modulus=modulus)).level
    names = [_name(level, table, HashBound(modulus, remainder)) for remainder in range(modulus)]

    _differ_and_fit(names)


def _name(level: object, table: str, bound: Bound, label: str | None = None) -> str:
    return partition_name(level, QualifiedName("public", table), bound, label).name  # type: ignore[arg-type]


def _differ_and_fit(names: list[str]) -> None:
    assert len(names) == len(set(names))
    assert all(len(name.encode()) <= MAX_BYTES for name in names)
