"""The status of a table: its partitions in key order, each with its state, and how far ahead it is ready."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from sa_partman import (
    ULID,
    Epoch,
    PartitionByHash,
    PartitionByList,
    PartitionByRange,
    Retention,
    Snowflake,
    UUIDv7,
)
from sa_partman.bounds.bound import DEFAULT, MAXVALUE, MINVALUE, FarTime, RangeBound
from sa_partman.catalog import LostConversion, UnfinishedConversion
from sa_partman.checks.status import status_of
from sa_partman.codecs.codec import Codec
from tests.support.builders import EVENTS, Catalog, at, context, declare, span

NOW = context("2026-01-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=2, default=True)


FAR = UUID("fff00000-0000-7000-8000-000000000000")


@pytest.mark.parametrize(
    ("sql", "codec", "lower", "upper", "state"),
    [
        ("uuid", None, FAR, MAXVALUE, "ahead"),
        ("bigint", Epoch("s"), 9 * 10**17, MAXVALUE, "ahead"),
        ("text", ULID(), "7A", MAXVALUE, "ahead"),
        ("bigint", Epoch("s"), MINVALUE, -5 * 10**17, "kept"),
        ("date", None, MINVALUE, FarTime("4000-01-01 BC", -188_395_804_800_000_000), "kept"),
    ],
)
def test_a_bound_that_python_can_not_place_in_time(
    sql: str, codec: Codec | None, lower: Any, upper: Any, state: str
) -> None:
    """It is before now, or after."""
    catalog = Catalog(declare(PartitionByRange("k", interval="1 day", premake=0, codec=codec), k=sql))
    catalog.add("far", RangeBound((lower,), (upper,)))

    assert ("far", state) in [(name.removeprefix("public."), found) for name, found in states(catalog)]


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
    catalog.converge(context("2025-06-15"))
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


HIDDEN: dict[str, tuple[Codec, str]] = {
    "uuid": (UUIDv7(), "uuid"),
    "ulid": (ULID(), "text"),
    "snowflake": (Snowflake(epoch="2015-01-01"), "bigint"),
    "epoch": (Epoch("ms"), "bigint"),
}


@pytest.mark.parametrize("codec", HIDDEN)
def test_what_a_codec_hides_is_shown_as_the_instants(codec: str) -> None:
    """The bound and the horizon; a program gets the values as they are."""
    hidden, kind = HIDDEN[codec]
    catalog = Catalog(declare(PartitionByRange("key", interval="1 month", premake=1, codec=hidden), key=kind))
    catalog.converge(NOW)
    status = status_of(catalog.declared, catalog.found(), NOW)

    assert ["[2026-01-01, 2026-02-01)", "[2026-02-01, 2026-03-01)"] == [each.shown for each in status.partitions]
    assert "2026-03-01" == status.until
    first, last = (json.loads(json.dumps(each.to_dict())) for each in status.partitions)
    assert "2026" not in first["bound"]
    assert str(first["upper"]) in first["bound"]
    assert str(last["upper"]) == status.to_dict()["horizon"]


def test_instants_are_shown_on_every_level() -> None:
    """Below a list, and behind a tenant in the same key."""
    ranges = PartitionByRange("key", interval="1 month", premake=0)
    catalog = Catalog(declare(PartitionByList("region", values=["de"], subpartition=ranges), region="text", key="uuid"))
    catalog.converge(NOW)
    _, below = status_of(catalog.declared, catalog.found(), NOW).partitions
    assert (2, "[2026-01-01, 2026-02-01)") == (below.depth, below.shown)

    tenants = PartitionByRange("tenant", "key", interval="1 month", premake=0, tenants=[7])
    catalog = Catalog(declare(tenants, tenant="integer", key="uuid"))
    catalog.converge(NOW)
    (one,) = status_of(catalog.declared, catalog.found(), NOW).partitions
    assert ("[(7, 2026-01-01), (7, 2026-02-01))", "7") == (one.shown, one.tenant)


def test_a_value_that_is_none_of_the_codec_is_shown_as_it_is() -> None:
    """A bound of somebody else's, and the ends of the key."""
    uuid4 = UUID("a8098c1a-f86e-411a-bd1a-00112444be1e")
    catalog = Catalog(declare(PartitionByRange("key", interval="1 month"), key="uuid"))
    catalog.add("rest", RangeBound((uuid4,), (MAXVALUE,)))
    (one,) = status_of(catalog.declared, catalog.found(), NOW).partitions

    assert f"[{uuid4}, MAXVALUE)" == one.bound == one.shown


def test_sizes_are_estimated_measured_or_unknown() -> None:
    """An ANALYZE of a table gives what is divided -1 pages, and rows."""
    catalog = Catalog(declare(MONTHLY.with_(premake=3, default=False)))
    catalog.converge(NOW)
    kept, new, unknown, divided = catalog.found().partitions
    found = replace(
        catalog.found(),
        partitions=(
            replace(kept, rows=0.0, pages=2),
            new,
            unknown,
            replace(divided, kind="p", strategy="HASH", rows=5.0, pages=-1),
        ),
    )
    status = status_of(catalog.declared, found, replace(NOW, sizes={new.oid: 8192}))

    assert [16384, 8192, None, 0] == [each.bytes for each in status.partitions]


@pytest.mark.parametrize("cut_over", [False, True])
def test_a_conversion_in_progress_says_how_it_goes_on(cut_over: bool) -> None:
    """Also after the swap, when the table is partitioned as declared."""
    catalog = Catalog(declare(MONTHLY))
    catalog.converge(NOW)
    conversion = UnfinishedConversion(EVENTS, 1, False, "validate: prove it", cut_over, EVENTS.sibling("events_pnew"))
    plain: dict[str, Any] = {} if cut_over else {"strategy": None, "key": None, "partitions": ()}
    status = status_of(catalog.declared, replace(catalog.found(), conversion=conversion, **plain), NOW)

    told = "a conversion of public.events is in progress; next step: validate: prove it; "
    assert "" == status.problem
    assert status.information.startswith(told)
    assert "sa-partman convert public.events --resume" in status.to_dict()["information"]
    assert cut_over is bool(status.partitions)


def test_a_lost_conversion_is_a_problem() -> None:
    """It does not end by itself; what ends it is said."""
    catalog = Catalog(declare(MONTHLY))
    conversion = LostConversion(EVENTS, ("a CHECK",), ("DROP IT",))
    lost = replace(catalog.found(), conversion=conversion, strategy=None, key=None, partitions=())
    status = status_of(catalog.declared, lost, NOW)

    assert "" == status.information
    assert status.problem.endswith("DROP IT")


def test_rows_past_their_retention_are_said_once_however_many_tenants_have_them() -> None:
    """With the number that is known of the first; of hardly any nothing is said."""
    spec = PartitionByRange(
        "tenant", "created_at", interval="1 month", tenants=["a", "b", "c"], retention=Retention("1 month")
    )
    catalog = Catalog(declare(spec, tenant="text"))
    for tenant in "abc":
        catalog.add(f"events_{tenant}", span("2025-01-01", "2026-02-01", tenant))
    a, b, c = (each.oid for each in catalog.found().partitions)

    def told(**rows: int) -> str:
        older = {{"a": a, "b": b, "c": c}[name]: number for name, number in rows.items()}
        return status_of(catalog.declared, catalog.found(), replace(NOW, outlived=older)).lingering

    stay = "rows older than 1 month stay in public.events_{} until 2026-03-01, when all of it expires at once"
    assert f"{stay.format('a')}; and 2 more partitions like it" == told()
    assert f"{stay.format('b')}; the planner estimates 70 of them now; and 1 more partition like it" == told(a=1, b=70)
    assert "" == told(a=1, b=1, c=1)
