"""The table, by subject."""

from tests.remedies.rows.conversions import CONVERSIONS
from tests.remedies.rows.findings import FINDINGS
from tests.remedies.rows.named import NAMED
from tests.remedies.rows.refused import REFUSED

ROWS = (*NAMED, *FINDINGS, *CONVERSIONS, *REFUSED)
