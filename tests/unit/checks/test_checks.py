"""Checks: what is found wrong, how bad it is, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.bound import DEFAULT
from sa_partman.catalog import DetachedTable, FoundTable, Privileges
from sa_partman.checks.coverage import Asked
from sa_partman.checks.membership import privilege_finding
from sa_partman.checks.rows import Blocked, DataFacts, DefaultRows, Misplaced
from sa_partman.checks.structure import MANY
from sa_partman.checks.suite import TableReading, findings_of
from sa_partman.compare.context import Context
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.checking import due_of
from sa_partman.names import QualifiedName
from sa_partman.plan.table import plan_table
from sa_partman.spec.declared import DeclaredTable
from tests.support.builders import EVENTS, Catalog, context, declare, found, holds, numbers, partition, span

NOW = context("2026-01-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)


def check(
    declared: DeclaredTable,
    table: FoundTable | None,
    here: Context = NOW,
    facts: DataFacts | None = None,
    asked: Asked | None = None,
) -> list[Finding]:
    due = due_of(plan_table(declared, table, here))
    return list(findings_of(declared, table, here, due, TableReading(facts or DataFacts()), asked))


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def converged(spec: PartitionByRange = MONTHLY) -> Catalog:
    catalog = Catalog(declare(spec))
    catalog.converge(NOW)
    return catalog


def test_a_converged_table() -> None:
    """Nothing to say."""
    assert [] == check(converged().declared, converged().found())


def test_a_missing_table() -> None:
    """An error, with the command that makes it."""
    (finding,) = check(declare(MONTHLY), None)

    assert ("missing-table", Severity.ERROR) == (finding.code, finding.severity)
    assert "alembic upgrade head" in finding.remedy
    assert finding.is_problem


@pytest.mark.parametrize(
    ("there", "code", "severity"),
    [
        ([("2026-02-01", "2026-03-01")], "no-current", Severity.ERROR),
        ([("2026-01-01", "2026-02-01")], "horizon", Severity.WARNING),
        (
            [("2025-10-01", "2025-11-01"), ("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01")],
            "gap",
            Severity.ERROR,
        ),
    ],
)
def test_what_is_missing(there: list[tuple[str, str]], code: str, severity: Severity) -> None:
    """Now, ahead, or in between; the message says which ranges, the remedy is a run."""
    table = found(declare(MONTHLY), *(partition(f"p{low}", span(low, high)) for low, high in there))
    (finding,) = check(declare(MONTHLY), table)

    assert (code, severity) == (finding.code, finding.severity)
    assert "sa-partman run" in finding.remedy
    assert "[20" in finding.message


def test_with_a_default_partition_nothing_fails() -> None:
    """So what is missing is a warning only."""
    table = found(declare(MONTHLY.with_(default=True)), partition("rest", DEFAULT))

    assert {Severity.WARNING} == {each.severity for each in check(declare(MONTHLY.with_(default=True)), table)}


def test_a_missing_label() -> None:
    """Its inserts fail."""
    spec = PartitionByList("region", values=["de", "fr"])
    declared = declare(spec, region="text")
    (finding,) = check(declared, found(declared, partition("de", holds("de"))))

    assert ("missing", Severity.ERROR) == (finding.code, finding.severity)
    assert "in (fr)" in finding.message


def test_what_is_overdue() -> None:
    """Expired for longer than an interval: nobody seems to run."""
    catalog = Catalog(declare(MONTHLY.with_(retention=Retention("1 month"))))
    catalog.converge(context("2025-12-15"))
    catalog.converge(NOW)
    catalog.add("old", span("2025-10-01", "2025-11-01"))
    (finding,) = check(catalog.declared, catalog.found())

    assert ("overdue", Severity.WARNING) == (finding.code, finding.severity)
    assert "1 expired more than an interval ago, public.old 44.0 days ago: public.old" == finding.message


def test_what_has_just_expired() -> None:
    """Every interval's end expires something, and the next run removes it: no problem."""
    catalog = Catalog(declare(MONTHLY.with_(retention=Retention("1 month"))))
    catalog.converge(context("2025-12-15"))
    catalog.converge(NOW)
    catalog.add("old", span("2025-11-01", "2025-12-01"))
    (finding,) = check(catalog.declared, catalog.found())

    assert ("expired", Severity.INFO, False) == (finding.code, finding.severity, finding.is_problem)
    assert "1 expired within the last interval: public.old" == finding.message


def test_a_whole_interval_makes_it_overdue() -> None:
    """To the second: expired on 1 December, with another month expired since."""
    catalog, here = Catalog(declare(MONTHLY.with_(retention=Retention("1 month")))), context("2026-01-01")
    catalog.converge(here)
    catalog.add("november", span("2025-11-01", "2025-12-01"))
    catalog.add("october", span("2025-10-01", "2025-11-01"))
    findings = check(catalog.declared, catalog.found(), here)

    assert [("overdue", "public.october"), ("expired", "public.november")] == [
        (each.code, each.message.rpartition(": ")[2]) for each in findings if each.code in ("overdue", "expired")
    ]


def test_how_long_numbers_are_overdue() -> None:
    """In keys."""
    spec = PartitionByRange("id", interval=100, retention=Retention(2), premake=0)
    catalog, here = Catalog(declare(spec)), context("2026-01-15", highest={1: 1_050})
    catalog.converge(here)
    catalog.add("old", numbers(0, 100))
    (finding,) = [each for each in check(catalog.declared, catalog.found(), here) if each.code == "overdue"]

    assert "1 expired more than an interval ago, public.old 700 keys ago: public.old" == finding.message


def test_a_pending_detach() -> None:
    """An error with the very statement that ends it."""
    table = converged().found()
    pending = replace(table.partitions[0], detach_pending=True)
    finding = next(
        each
        for each in check(declare(MONTHLY), replace(table, partitions=(pending, *table.partitions[1:])))
        if each.code == "detach-pending"
    )

    assert 'ALTER TABLE "public"."events" DETACH PARTITION "public"."events_p20260101" FINALIZE' in finding.remedy


def test_a_default_partition_that_nobody_declared() -> None:
    """Worth knowing, and no problem."""
    catalog = converged()
    catalog.add("rest", DEFAULT)
    (finding,) = check(catalog.declared, catalog.found())

    assert ("undeclared-default", False) == (finding.code, finding.is_problem)


def test_detached_tables() -> None:
    """Counted, and no problem."""
    table = replace(converged().found(), detached=(DetachedTable(EVENTS.sibling("old"), 99, EVENTS),))

    assert [("detached", False)] == [(each.code, each.is_problem) for each in check(declare(MONTHLY), table)]


def test_many_partitions() -> None:
    """A query without the key looks into each."""
    spec = PartitionByHash("id", modulus=MANY + 1)
    catalog = Catalog(declare(spec))
    catalog.converge(NOW)

    assert ["many-partitions"] == codes(check(catalog.declared, catalog.found()))


def test_a_partition_that_is_divided_otherwise() -> None:
    """Respected as it is."""
    spec = MONTHLY.with_(subpartition=PartitionByHash("id", modulus=2))
    flat = converged().found()

    assert {("other-subpartition", Severity.INFO)} == {
        (each.code, each.severity) for each in check(declare(spec), flat)
    }


def test_rows_in_a_default_partition() -> None:
    """Counted, with what becomes of them."""
    facts = DataFacts((DefaultRows(EVENTS.sibling("rest"), 7, (Blocked("[1999-06-01, 1999-07-01)", 3),)),), ())
    (finding,) = check(declare(MONTHLY), converged().found(), facts=facts)

    assert ("default-rows", Severity.WARNING) == (finding.code, finding.severity)
    assert (
        "7 rows sit in the default partition public.rest; of these, no run makes a partition for "
        "[1999-06-01, 1999-07-01) (3 rows)" == finding.message
    )


@pytest.mark.parametrize(("sampled", "word"), [(True, "at least 3 rows"), (False, "3 rows")])
def test_misplaced_rows(sampled: bool, word: str) -> None:
    """A sample sees some of them only, and says so."""
    facts = DataFacts((), (Misplaced(EVENTS.sibling("p"), 3, sampled),))
    (finding,) = check(declare(MONTHLY), converged().found(), facts=facts)

    assert finding.message.startswith(word)


@pytest.mark.parametrize(
    ("privileges", "remedy"),
    [
        (Privileges(is_owner=False, owner="boss", is_same=False, may_set_role=False), 'GRANT "boss" TO'),
        (
            Privileges(is_owner=False, owner="root", is_same=False, may_set_role=False, owner_is_superuser=True),
            "OWNER TO ...)",
        ),
        (Privileges(owner="boss", role="me", is_same=False, may_set_role=False), 'GRANT "boss" TO "me" WITH SET TRUE'),
        (Privileges(may_create=False), "GRANT CREATE ON SCHEMA public"),
    ],
)
def test_missing_privileges(privileges: Privileges, remedy: str) -> None:
    """Found before anything is tried."""
    finding = privilege_finding(replace(converged().found(), privileges=privileges))

    assert finding is not None
    assert remedy in finding.remedy
    assert "nothing was changed" in finding.message


def test_a_key_that_is_another() -> None:
    """Both are shown."""
    table = found(declare(PartitionByRange("id", interval=100)))
    (finding,) = check(declare(MONTHLY), table)

    assert "other-key" == finding.code
    assert "RANGE (id)" in finding.message


def test_the_same_key_with_another_strategy() -> None:
    """That is no match either."""
    table = found(declare(PartitionByHash("created_at", modulus=2)))

    assert ["other-key"] == codes(check(declare(MONTHLY), table))


def test_a_finding_as_a_dict() -> None:
    """For programs: plain text only."""
    (finding,) = check(declare(MONTHLY, QualifiedName("a", "b")), None)

    assert {"code": "missing-table", "severity": "error", "table": "a.b"} == {
        key: value for key, value in finding.to_dict().items() if key in ("code", "severity", "table")
    }
