"""All checks of one table, in order."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.catalog import FoundTable
from sa_partman.checks.coverage import Due, coverage_findings
from sa_partman.checks.data import DataFacts
from sa_partman.checks.privileges import privilege_finding
from sa_partman.checks.rows import row_findings
from sa_partman.checks.structure import structure_findings
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding
from sa_partman.spec.declared import DeclaredTable


def findings_of(
    declared: DeclaredTable, found: FoundTable | None, situation: Situation, due: Due, facts: DataFacts
) -> Iterator[Finding]:
    """
    Args:
        due: What a plan made at the same instant would do.
        facts: What was read of the rows.
    """
    misfit = shape_finding(declared, found)
    if misfit is not None or found is None:
        if misfit is not None:
            yield misfit
        return
    yield from coverage_findings(declared, found, situation, due)
    yield from structure_findings(declared, found, situation)
    yield from row_findings(str(found.name), facts)
    lacking = privilege_finding(found)
    if lacking is not None:
        yield lacking
