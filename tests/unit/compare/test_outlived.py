"""Rows that are older than the retention and stay: until when, and which they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from sa_partman import ULID, Epoch, PartitionByList, PartitionByRange, Retention, UUIDv7
from sa_partman.bounds.bound import DEFAULT, MAXVALUE, MINVALUE, Bound, KeyValue, ListBound, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.compare.expired_rows import Outlived, outlived_of
from sa_partman.marks import restored
from sa_partman.plan.conversion.request import outlived_history
from sa_partman.spec.base import PartitionSpec
from tests.support.builders import EVENTS, TIMESTAMP, at, context, declare, found, partition, span

NOW = "2030-06-15 12:00"
KEPT = Retention("14 months", then="drop")
MONTHLY = PartitionByRange("created_at", interval="1 month", retention=KEPT)
NUMBERED = PartitionByRange("id", interval=1000, retention=Retention(12))


def outlived(
    spec: PartitionSpec,
    bound: Bound,
    now: str = NOW,
    comment: str | None = None,
    highest: int | None = None,
    **columns: str,
) -> Outlived | None:
    """Of the one partition that there is."""
    declared = declare(spec, **columns)
    known = {} if highest is None else {"highest": {1: highest}}
    one = partition("history", bound, 2, comment)
    return next((each for _, each in outlived_of(declared, found(declared, one), context(now, **known))), None)


def up_to(end: KeyValue, start: KeyValue = MINVALUE) -> RangeBound:
    return RangeBound((start,), (end,))


@pytest.mark.parametrize(
    ("spec", "kind", "end", "until", "condition"),
    [
        (MONTHLY, "timestamp with time zone", at("2030-07-01"), at("2031-09-01"), "< '2029-04-15 12:00"),
        (MONTHLY, TIMESTAMP, datetime(2030, 7, 1), datetime(2031, 9, 1), "< '2029-04-15 12:00:00'"),
        (MONTHLY, "date", datetime(2030, 7, 1).date(), datetime(2031, 9, 1), "< '2029-04-15'"),
        (
            MONTHLY.with_(timezone="Europe/Paris"),
            "timestamp with time zone",
            at("2030-06-30 22:00"),
            at("2031-08-31 22:00"),
            "< '2029-04-15 12:00",
        ),
        (
            MONTHLY.with_(retention=Retention("90 days")),
            "timestamp with time zone",
            at("2030-07-01"),
            at("2030-09-29"),
            "< '2030-03-17",
        ),
        (
            MONTHLY.with_(retention=Retention(2)),
            "timestamp with time zone",
            at("2030-07-01"),
            at("2030-09-01"),
            "< '2030-04-01",
        ),
        (
            MONTHLY.with_(codec=UUIDv7()),
            "uuid",
            UUIDv7().encode(at("2030-07-01"), "uuid"),  # type: ignore[arg-type]
            at("2031-09-01"),
            "< '01",
        ),
        (
            MONTHLY.with_(codec=ULID()),
            "text",
            ULID().encode(at("2030-07-01"), "text"),  # type: ignore[arg-type]
            at("2031-09-01"),
            "< '01",
        ),
        (MONTHLY.with_(codec=Epoch("s")), "bigint", int(at("2030-07-01").timestamp()), at("2031-09-01"), "< '1870"),
    ],
)
def test_until_the_upper_bound_is_as_old_as_the_retention(
    spec: PartitionByRange, kind: str, end: KeyValue, until: Position, condition: str
) -> None:
    """By the calendar of the declared zone; for a count, that many intervals behind it."""
    seen = outlived(spec, up_to(end), created_at=kind)

    assert seen is not None
    assert until == seen.until
    assert seen.condition.startswith(f'"created_at" {condition}')


def test_keys_that_are_numbers_have_to_grow() -> None:
    """Twelve intervals behind the one that holds the highest key."""
    seen = outlived(NUMBERED, up_to(105_000), highest=104_007)

    assert seen is not None
    assert ("12 intervals", 117_000) == (seen.keep, seen.until)
    assert "< '92000'::bigint" in seen.condition
    assert (
        "rows older than 12 intervals stay in events_history until keys reach 117,000, when all of it expires at once"
        == seen.told("events_history", None)
    )


@pytest.mark.parametrize(
    ("spec", "bound", "comment"),
    [
        (MONTHLY.with_(retention=None), up_to(at("2030-07-01")), None),
        (MONTHLY, span("2030-06-01", "2030-07-01"), None),
        (MONTHLY, span("2029-04-01", "2029-05-01"), None),
        (MONTHLY, span("2029-05-01", "2030-07-01"), None),
        (MONTHLY, up_to(at("2029-04-01")), None),
        (MONTHLY, up_to(at("2030-07-01")), restored("a", at("2030-01-01"))),
        (MONTHLY.with_(default=True), DEFAULT, None),
    ],
    ids=["kept for ever", "now's", "the cutoff's", "all younger", "expired", "restored", "default"],
)
def test_nothing_is_said_of(spec: PartitionByRange, bound: Bound, comment: str | None) -> None:
    """Where retention does all that it can, or is not asked to."""
    assert outlived(spec, bound, comment=comment) is None


def test_a_partition_of_somebody_else_that_is_wider_than_an_interval() -> None:
    """The year of which some months are older."""
    seen = outlived(MONTHLY, span("2029-01-01", "2030-01-01"))

    assert seen is not None
    assert at("2031-03-01") == seen.until


def test_for_good_without_an_upper_bound() -> None:
    seen = outlived(MONTHLY, up_to(MAXVALUE))

    assert seen is not None
    assert "rows older than 1 year 2 months stay in h for good: it has no upper bound" == seen.told("h", None)


def test_for_good_where_the_level_with_the_retention_is_missing() -> None:
    """A history below a list is not divided by time."""
    spec = PartitionByList("region", values={"eu": ["de", "fr"]}, subpartition=MONTHLY)
    seen = outlived(spec, ListBound(frozenset({"de", "fr"})), region="text")

    assert seen is not None
    assert "for good: it is not PARTITION BY RANGE (created_at)" in seen.told("h", None)
    assert "2029-04-15" in seen.condition


def test_each_tenant_by_a_retention_of_its_own() -> None:
    """One that is kept for ever has nothing that is too old."""
    spec = PartitionByRange(
        "tenant", "created_at", interval="1 month", tenants=["a", "b"], retention={"a": Retention("1 month")}
    )
    wide = {tenant: span("2029-01-01", "2030-07-01", tenant) for tenant in "ab"}

    assert outlived(spec, wide["b"], tenant="text") is None
    seen = outlived(spec, wide["a"], tenant="text")
    assert seen is not None
    assert ("1 month", at("2030-08-01")) == (seen.keep, seen.until)
    assert seen.condition.startswith('"created_at" <')


@pytest.mark.parametrize(("rows", "said"), [(1460, "estimates 1,460 of them"), (1, "estimates hardly any of them")])
def test_how_many_is_an_estimate(rows: int, said: str) -> None:
    seen = outlived(MONTHLY, up_to(at("2030-07-01")))

    assert seen is not None
    assert said in seen.told("h", rows)
    assert {"older_than": "1 year 2 months", "until": "2031-09-01T00:00:00+00:00", "rows": rows} == seen.to_dict(rows)


@pytest.mark.parametrize(
    ("keep", "until"), [("9000 years", None), (10**9, None), ("1 month", at("2030-08-01")), (0, at("2030-07-01"))]
)
def test_far_ends(keep: Any, until: Position | None) -> None:
    """What lies beyond the calendar is for good."""
    history = up_to(at("2030-07-01"))
    level = declare(MONTHLY.with_(retention=Retention(keep))).level
    seen = outlived_history(level, history, EVENTS, context(NOW))

    assert until == (None if seen is None else seen.until)


def test_a_history_of_numbers_reaches_to_the_highest_key() -> None:
    """So much is known of it before the conversion: the highest key lies in its last interval."""
    seen = outlived_history(declare(NUMBERED).level, up_to(105_000), EVENTS, context(NOW))

    assert seen is not None
    assert (117_000, """"id" < '92000'::bigint""") == (seen.until, seen.condition)
