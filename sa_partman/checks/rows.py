"""Rows that are in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.checks.data import DataFacts
from sa_partman.finding import Finding, Severity


def row_findings(table: str, facts: DataFacts) -> Iterator[Finding]:
    for default in facts.default_rows:
        blocked = ", ".join(f"{what} ({rows} rows)" for what, rows in default.blocked)
        ranges = f"; they block {blocked}" if blocked else ""
        about = "about " if default.sampled else ""
        yield Finding(
            "default-rows",
            Severity.WARNING,
            table,
            f"{about}{default.rows} rows sit in the default partition {default.partition}{ranges}",
            "the next run moves up to 100,000 rows into each partition that it makes",
        )
    for misplaced in facts.misplaced:
        seen = "at least " if misplaced.sampled else ""
        yield Finding(
            "misplaced-rows",
            Severity.WARNING,
            table,
            f"{seen}{misplaced.rows} rows in {misplaced.partition} have a key that the codec can't place in time",
            "find out what writes them; retention goes by the partition that they are in",
        )
