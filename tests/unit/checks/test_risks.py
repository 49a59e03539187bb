"""What will go wrong: NULLs, keys that run ahead, more locks than there are, and nobody who runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.bounds.bound import DEFAULT
from sa_partman.checks.coverage import Asked, Due
from sa_partman.checks.risks import PREMAKE, stale_finding
from sa_partman.checks.rows import ByPartition, LastRuns, LockTable, TableFacts
from sa_partman.checks.suite import TableReading, findings_of
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.spec.base import PartitionSpec
from tests.support.builders import EVENTS, Catalog, context, declare, holds

NOW = context("2026-01-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
LAST = EVENTS.sibling("events_p20260201")
DAY = 86_400.0


def check(catalog: Catalog, facts: TableFacts, lock_table: LockTable | None = None) -> list[Finding]:
    known = TableReading(table=facts, lock_table=lock_table)
    return list(findings_of(catalog.declared, catalog.found(), NOW, Due(), known))


def converged(spec: PartitionSpec = MONTHLY, **columns: str) -> Catalog:
    catalog = Catalog(declare(spec, **columns))
    catalog.converge(NOW)
    return catalog


def test_a_key_that_may_be_null() -> None:
    """No range takes it; the remedy is the statement."""
    (finding,) = check(converged(), TableFacts(nullable=frozenset({"created_at", "other"})))

    assert ("null-key", Severity.WARNING) == (finding.code, finding.severity)
    assert "created_at may be NULL, and no partition of public.events takes a NULL: such rows fail" == finding.message
    assert 'ALTER TABLE "public"."events" ALTER COLUMN "created_at" SET NOT NULL' == finding.remedy


def test_a_default_partition_takes_null() -> None:
    catalog = converged()
    catalog.add("rest", DEFAULT)
    findings = check(catalog, TableFacts(nullable=frozenset({"created_at"})))

    assert ["undeclared-default"] == [each.code for each in findings]


@pytest.mark.parametrize(
    ("subscribed", "unlogged", "severity"),
    [(True, False, [Severity.WARNING]), (False, False, [Severity.INFO]), (True, True, [])],
)
def test_a_publication_by_the_names_of_partitions(subscribed: bool, unlogged: bool, severity: list[Severity]) -> None:
    """Where there is a subscriber it may stop; what is UNLOGGED is sent to none."""
    facts = TableFacts(by_partition=ByPartition(("p", "q"), subscribed))
    found = check(converged(MONTHLY.with_(unlogged=unlogged)), facts)

    assert severity == [each.severity for each in found]
    assert all("publication p, q sends rows" in each.message for each in found)


@pytest.mark.parametrize("null", [True, False])
def test_a_label_takes_null(null: bool) -> None:
    """Where NULL is among its values."""
    catalog = converged(PartitionByList("region", values=["de"]), region="text")
    if null:
        catalog.add("unknown", holds(None))
    findings = check(catalog, TableFacts(nullable=frozenset({"region"})))

    assert null is not ("null-key" in [each.code for each in findings])


def test_a_hash_takes_null() -> None:
    assert [] == check(converged(PartitionByHash("id", modulus=2)), TableFacts(nullable=frozenset({"id"})))


def test_a_key_below_a_list_that_may_be_null() -> None:
    """One finding, however many branches there are."""
    spec = PartitionByList("region", values=["de", "fr"], subpartition=MONTHLY)
    findings = check(converged(spec, region="text"), TableFacts(nullable=frozenset({"created_at"})))

    assert ["null-key"] == [each.code for each in findings]


def test_keys_that_run_ahead() -> None:
    """The last partition has been written to long before its time."""
    (finding,) = check(converged(), TableFacts(written=frozenset({LAST})))

    assert ("rows-near-end", Severity.WARNING) == (finding.code, finding.severity)
    assert "public.events_p20260201, the last partition before 2026-03-01" in finding.message
    assert finding.message.endswith("what comes behind it fails")


def test_rows_in_the_current_partition_are_no_risk() -> None:
    """Also where it is the last one: that is what the horizon is for."""
    catalog = converged(MONTHLY.with_(premake=0))

    assert [] == check(catalog, TableFacts(written=frozenset({EVENTS.sibling("events_p20260101")})))


@pytest.mark.parametrize(("slots", "said"), [(24, []), (23, ["lock-budget"])])
def test_more_locks_than_half_of_the_lock_table(slots: int, said: list[str]) -> None:
    """Two partitions and the table, with three indexes each, are twelve locks; half of 24."""
    findings = check(converged(), TableFacts(indexes=3), LockTable(slots, 1))

    assert said == [each.code for each in findings]


def test_the_lock_budget_names_the_setting() -> None:
    """The value that it asks for is enough."""
    facts, small = TableFacts(indexes=3), LockTable(4, 5)
    (finding,) = check(converged(), facts, small)

    assert "takes 12 locks (3 relations, each with 3 indexes), and the lock table of all sessions holds 20" in (
        finding.message
    )
    assert "ALTER SYSTEM SET max_locks_per_transaction = 5, and restart" in finding.remedy
    assert [] == check(converged(), facts, LockTable(5, 5))


def test_an_unknown_lock_table_is_no_problem() -> None:
    assert [] == check(converged(), TableFacts(indexes=1_000))


def test_too_large_a_premake() -> None:
    """Nobody needs that many partitions of the future."""
    large = Catalog(declare(MONTHLY.with_(premake=PREMAKE + 1)))
    enough = Catalog(declare(MONTHLY.with_(premake=PREMAKE)))

    assert (["premake"], []) == (
        [each.code for each in check(large, TableFacts())],
        [each.code for each in check(enough, TableFacts())],
    )


def test_every_tenant_has_a_premake_of_its_own() -> None:
    spec = PartitionByRange("tenant", "created_at", interval="1 month", premake=2_501, tenants=["a", "b"])

    assert ["premake"] == [each.code for each in check(Catalog(declare(spec, tenant="text")), TableFacts())]


def stale(last: LastRuns | None, *specs: PartitionSpec, max_age: timedelta | None = None) -> Finding | None:
    tables = [declare(spec, QualifiedName("public", f"t{index}")) for index, spec in enumerate(specs)]
    return stale_finding(last, tables, max_age)


def test_no_good_run_for_two_intervals() -> None:
    """Of the shortest interval; a month has 28 days at least."""
    weekly = PartitionByRange("created_at", interval="1 week")
    fresh, old = LastRuns(14 * DAY, 90 * DAY, 0), LastRuns(14 * DAY + 1, 90 * DAY, 0)
    finding = stale(old, MONTHLY, weekly)

    assert stale(fresh, MONTHLY, weekly) is None
    assert stale(old, MONTHLY) is None
    assert finding is not None
    assert ("stale-maintenance", Severity.WARNING, "") == (finding.code, finding.severity, finding.table)
    assert finding.message.startswith("no run has ended well for 14.0 days; at most 14.0 days were expected")
    assert "schedule: sa-partman run --yes" == finding.remedy


def test_no_good_run_ever() -> None:
    """Counted from the first one that was tried."""
    finding = stale(LastRuns(None, 100 * DAY, 0), MONTHLY)

    assert finding is not None
    assert finding.message.startswith("no run has ever ended well, for 100.0 days")
    assert stale(LastRuns(None, 3 * DAY, 0), MONTHLY) is None


def test_an_age_of_ones_own() -> None:
    """Also for tables whose intervals say nothing of time."""
    numbers = PartitionByRange("id", interval=100)

    assert stale(LastRuns(7 * DAY, 7 * DAY, 0), numbers) is None
    assert stale(LastRuns(7 * DAY, 7 * DAY, 0), numbers, max_age=timedelta(days=6)) is not None
    assert stale(LastRuns(7 * DAY, 7 * DAY, 0), MONTHLY, max_age=timedelta(days=8)) is None


def test_without_an_audit_nothing_is_known() -> None:
    assert stale(None, MONTHLY) is None


def test_an_age_that_nobody_knows_is_not_young_enough() -> None:
    """Whoever asks for one is told that no run was audited."""
    finding = stale(None, MONTHLY, max_age=timedelta(days=2))

    assert finding is not None
    assert ("stale-maintenance", Severity.WARNING) == (finding.code, finding.severity)
    assert "no successful run on record" in finding.message
    assert "sa-partman run --yes --audit" in finding.remedy


def test_lengths_in_words() -> None:
    """As in declarations; of a month where an age is meant, 30 days."""
    asked = Asked.of("7d", "1 month 2 days", "app")

    assert ("1 week", timedelta(days=32), "app") == (str(asked.min_horizon), asked.max_age, asked.as_role)
    assert Asked() == Asked.of()
    with pytest.raises(ValueError, match="is not an interval"):
        Asked.of("soon")
