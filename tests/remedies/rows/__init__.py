"""The table, by subject."""

from tests.remedies.rows.findings import FINDINGS

ROWS = (*FINDINGS,)
