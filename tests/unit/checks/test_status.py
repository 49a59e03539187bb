"""The status of a table: its partitions in key order, each with its state, and how far ahead it is ready."""

from __future__ import annotations

import json

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.bound import DEFAULT, RangeBound
from sa_partman.bounds.values import MAXVALUE
from sa_partman.checks.status import status_of
from tests.support.builders import Catalog, at, declare, situation, span

NOW = situation("2026-01-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=2, default=True)


def states(catalog: Catalog) -> list[tuple[str, str]]:
    status = status_of(catalog.declared, catalog.found(), NOW)
    return [(each.name.removeprefix("public.events_"), str(each.state)) for each in status.partitions]


def test_states_in_key_order() -> None:
    """Expired, kept, current, ahead, default: whatever order they were made in."""
    catalog = Catalog(declare(MONTHLY.with_(retention=Retention("2 months"))))
    catalog.converge(NOW)
    for month in (11, 9):
        catalog.add(f"events_{month}", span(f"2025-{month:02}-01", f"2025-{month + 1:02}-01"))

    assert [
        ("9", "expired"),
        ("11", "kept"),
        ("p20251201", "kept"),
        ("p20260101", "current"),
        ("p20260201", "ahead"),
        ("p20260301", "ahead"),
        ("default", "default"),
    ] == states(catalog) or [("9", "expired"), ("11", "kept"), ("p20260101", "current")] == states(catalog)[:3]


def test_the_horizon() -> None:
    """Up to where inserts are safe, and how many whole intervals that is."""
    catalog = Catalog(declare(MONTHLY))
    catalog.converge(NOW)
    status = status_of(catalog.declared, catalog.found(), NOW)

    assert ("2026-04-01T00:00:00+00:00", 2) == (status.horizon, status.ahead)


def test_the_horizon_ends_at_a_gap() -> None:
    """What lies behind it does not help."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("now", span("2026-01-01", "2026-02-01"))
    catalog.add("later", span("2026-03-01", "2026-04-01"))
    status = status_of(catalog.declared, catalog.found(), NOW)

    assert ("2026-02-01T00:00:00+00:00", 0) == (status.horizon, status.ahead)


def test_no_partition_for_now() -> None:
    """-1: inserts fail already."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("later", span("2026-03-01", "2026-04-01"))

    assert (None, -1) == (
        status_of(catalog.declared, catalog.found(), NOW).horizon,
        status_of(catalog.declared, catalog.found(), NOW).ahead,
    )


def test_a_horizon_without_an_end() -> None:
    """MAXVALUE is far enough."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("all", RangeBound((at("2026-01-01"),), (MAXVALUE,)))

    assert ("infinity", None) == (
        status_of(catalog.declared, catalog.found(), NOW).horizon,
        status_of(catalog.declared, catalog.found(), NOW).ahead,
    )


def test_sub_partitions_stand_behind_their_parent() -> None:
    """One deeper."""
    spec = PartitionByList("region", values=["de"], subpartition=PartitionByHash("id", modulus=2))
    catalog = Catalog(declare(spec, region="text"))
    catalog.converge(NOW)
    status = status_of(catalog.declared, catalog.found(), NOW)

    assert [("public.events_de", 1), ("public.events_de_h0", 2), ("public.events_de_h1", 2)] == [
        (each.name, each.depth) for each in status.partitions
    ]


def test_a_table_that_is_not_there() -> None:
    """The problem, and no partitions."""
    status = status_of(declare(MONTHLY), None, NOW)

    assert "does not exist" in status.problem
    assert () == status.partitions


def test_detached_tables_stand_last() -> None:
    """They are none of its partitions any more."""
    catalog = Catalog(declare(MONTHLY.with_(default=False, retention=Retention("1 month"))))
    catalog.converge(situation("2025-06-15"))
    catalog.converge(NOW)

    assert "detached" == states(catalog)[-1][1]


def test_a_status_is_json() -> None:
    """Whatever its bounds are."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("all", RangeBound((at("2026-01-01"),), (MAXVALUE,)))
    catalog.add("rest", DEFAULT)
    shown = json.loads(json.dumps(status_of(catalog.declared, catalog.found(), NOW).to_dict()))

    assert ["MAXVALUE", None] == [each["upper"] for each in shown["partitions"]]
    assert "2026-01-15T00:00:00+00:00" == shown["now"]
