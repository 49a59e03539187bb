"""The table, by subject."""

from tests.remedies.row import Row
from tests.remedies.rows.conversions import CONVERSIONS
from tests.remedies.rows.coverage import COVERAGE
from tests.remedies.rows.declarations import DECLARATIONS
from tests.remedies.rows.findings import FINDINGS
from tests.remedies.rows.fitting import FITTING
from tests.remedies.rows.leaving import LEAVING
from tests.remedies.rows.members import MEMBERS
from tests.remedies.rows.missing import MISSING
from tests.remedies.rows.named import NAMED
from tests.remedies.rows.pending import PENDING
from tests.remedies.rows.planning import PLANNING
from tests.remedies.rows.programs import PROGRAMS
from tests.remedies.rows.refused import REFUSED
from tests.remedies.rows.servers import SERVERS

ROWS: tuple[Row, ...] = (
    *PENDING,
    *NAMED,
    *FINDINGS,
    *COVERAGE,
    *MEMBERS,
    *CONVERSIONS,
    *LEAVING,
    *REFUSED,
    *SERVERS,
    *DECLARATIONS,
    *FITTING,
    *MISSING,
    *PLANNING,
    *PROGRAMS,
)
