"""What the connected role may not do with a table."""

from __future__ import annotations

from sa_partman.catalog import FoundTable
from sa_partman.finding import Finding, Severity


def privilege_finding(found: FoundTable) -> Finding | None:
    """Why the connected role can't maintain *found*, if so."""
    name, may = found.name, found.privileges
    if not may.is_owner:
        return Finding(
            "missing-privilege",
            Severity.ERROR,
            str(name),
            f"the connected role does not own {name}, which belongs to {may.owner}; nothing was changed",
            f"connect as {may.owner}, or: GRANT {may.owner} TO <the maintainer's role>",
        )
    if not may.may_create:
        return Finding(
            "missing-privilege",
            Severity.ERROR,
            str(name),
            f"the connected role may not create tables in schema {name.schema}; nothing was changed",
            f"GRANT CREATE ON SCHEMA {name.schema} TO <the maintainer's role>",
        )
    return None
