"""All checks of one table, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sa_partman.catalog import FoundTable
from sa_partman.checks.coverage import Asked, Due, Runway, coverage_findings, places_of, runways_of
from sa_partman.checks.membership import privilege_note
from sa_partman.checks.risks import lock_findings, risk_findings
from sa_partman.checks.rows import DataFacts, LockTable, TableFacts, restored_findings, row_findings
from sa_partman.checks.structure import overdue_findings, structure_findings
from sa_partman.compare.context import Context
from sa_partman.compare.shape import conversion_finding, shape_finding
from sa_partman.finding import Finding
from sa_partman.spec.declared import DeclaredTable


@dataclass(frozen=True, slots=True)
class TableReading:
    """
    What was read beside the partitions.

    Args:
        rows: Of the rows.
        table: Of the table itself.
        lock_table: Of the server; None: unknown.
        runways: Of the table, when they were computed already to know what to read.
    """

    rows: DataFacts = field(default_factory=DataFacts)
    table: TableFacts = field(default_factory=TableFacts)
    lock_table: LockTable | None = None
    runways: tuple[Runway, ...] | None = None


def findings_of(
    declared: DeclaredTable,
    found: FoundTable | None,
    context: Context,
    due: Due,
    known: TableReading,
    asked: Asked | None = None,
) -> Iterator[Finding]:
    """
    Args:
        due: What a plan made at the same instant would do.
        known: What was read beside the partitions.
        asked: What else to look for.
    """
    misfit = shape_finding(declared, found)
    if misfit is not None or found is None:
        if misfit is not None:
            yield misfit
        return
    if found.conversion is not None:
        yield conversion_finding(found.conversion)
    places = tuple(places_of(declared, found, context))
    runways = tuple(runways_of(declared, found, context)) if known.runways is None else known.runways
    yield from coverage_findings(found, places, runways, due, asked or Asked())
    yield from overdue_findings(found, places_of(declared, found, context, gone=True), due.expired)
    yield from structure_findings(declared, found, context)
    yield from restored_findings(found)
    yield from lock_findings(found, places, known.table, known.lock_table)
    yield from risk_findings(found, places, runways, known.table)
    yield from row_findings(found.name, known.rows)
    lacking = privilege_note(found)
    if lacking is not None:
        yield lacking
