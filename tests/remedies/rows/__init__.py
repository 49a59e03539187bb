"""The table, by subject."""

from tests.remedies.rows.conversions import CONVERSIONS
from tests.remedies.rows.coverage import COVERAGE
from tests.remedies.rows.findings import FINDINGS
from tests.remedies.rows.members import MEMBERS
from tests.remedies.rows.named import NAMED
from tests.remedies.rows.pending import PENDING
from tests.remedies.rows.refused import REFUSED
from tests.remedies.rows.servers import SERVERS

ROWS = (*PENDING, *NAMED, *FINDINGS, *COVERAGE, *MEMBERS, *CONVERSIONS, *REFUSED, *SERVERS)
