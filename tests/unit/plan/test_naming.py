"""Default names and templates."""

from __future__ import annotations

import pytest

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.bounds.bound import DEFAULT, MINVALUE, Bound, HashBound, RangeBound
from sa_partman.names import QualifiedName
from sa_partman.plan.provision import partition_name
from sa_partman.spec.base import PartitionSpec
from tests.support.builders import EVENTS, declare, holds, numbers, span

MONTHLY = PartitionByRange("created_at", interval="1 month")
PARIS = PartitionByRange("created_at", interval="1 day", timezone="Europe/Paris")
TENANTS = PartitionByRange("region", "created_at", interval="1 month", tenants=["t1"])


@pytest.mark.parametrize(
    ("spec", "bound", "expected"),
    [
        (MONTHLY, span("2026-01-01", "2026-02-01"), "events_p20260101"),
        (MONTHLY, span("2026-01-10", "2026-02-01"), "events_p20260110_000000"),
        (MONTHLY, RangeBound((MINVALUE,), span("2026-01-10", "2026-02-01").lower), "events_pmin"),
        (PARIS, span("2026-01-09 23:00", "2026-01-10 23:00"), "events_p20260110"),
        (MONTHLY.with_(interval="15 minutes"), span("2026-01-01 13:30", "2026-01-01 13:45"), "events_p20260101_133000"),
        (MONTHLY.with_(name="{table}_{lower:%Y_%m}"), span("2026-01-01", "2026-02-01"), "events_2026_01"),
        (MONTHLY.with_(name="{upper:%Y}x{table}"), span("2026-01-01", "2026-02-01"), "2026xevents"),
        (TENANTS, span("2026-01-01", "2026-02-01", "t1"), "events_t1_p20260101"),
        (PartitionByRange("id", interval=100), numbers(100, 200), "events_p100"),
        (PartitionByRange("id", interval=100), numbers(-100, 0), "events_pm100"),
        (PartitionByHash("id", modulus=8), HashBound(8, 3), "events_h3"),
        (PartitionByHash("id", modulus=8, name="{table}_{remainder}of{modulus}"), HashBound(8, 3), "events_3of8"),
        (MONTHLY, DEFAULT, "events_default"),
    ],
)
def test_names(spec: PartitionSpec, bound: Bound, expected: str) -> None:
    """pg_partman's way by default; in the schema of the parent."""
    level = declare(spec, region="text").level

    assert QualifiedName("public", expected) == partition_name(level, EVENTS, bound)


def test_a_day_without_midnight() -> None:
    """It begins at 01:00 and is still that day."""
    spec = PartitionByRange("created_at", interval="1 day", timezone="America/Sao_Paulo")
    level = declare(spec).level

    assert "events_p20181104" == partition_name(level, EVENTS, span("2018-11-04 03:00", "2018-11-05 02:00")).name


@pytest.mark.parametrize(
    ("label", "values", "expected"),
    [("eu", ("de", "fr"), "events_eu"), (None, ("de", "fr"), "events_de_fr"), (None, (None,), "events_null")],
)
def test_names_of_lists(label: str | None, values: tuple[str | None, ...], expected: str) -> None:
    """By label; by values, when there is none."""
    level = declare(PartitionByList("region", values=["de"]), region="text").level

    assert expected == partition_name(level, EVENTS, holds(*values), label).name


def test_a_long_name_keeps_its_suffix() -> None:
    """The table's part is cut, and a hash keeps it apart."""
    parent = QualifiedName("public", "é" * 31)
    name = partition_name(declare(MONTHLY).level, parent, span("2026-01-01", "2026-02-01")).name

    assert name.endswith("_p20260101")
    assert 62 <= len(name.encode()) <= 63
