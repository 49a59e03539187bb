"""Partitions that came back from an archive: kept by their mark, whatever the retention says."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.catalog import FoundTable
from sa_partman.checks.coverage import some
from sa_partman.finding import Finding, Severity
from sa_partman.marks import is_restored


def restored_findings(found: FoundTable) -> Iterator[Finding]:
    """One for all of them; they are there because somebody wants them."""
    names = [str(each.name) for each in found.walk() if is_restored(each.comment)]
    if names:
        yield Finding(
            "restored",
            Severity.INFO,
            str(found.name),
            f"{len(names)} restored from an archive, and kept until you drop them: {some(names)}",
            "drop them when they are no longer needed, or remove their comments and run: sa-partman run --adopt",
        )
