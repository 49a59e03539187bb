"""Whether a dump of this database can be restored elsewhere."""

from __future__ import annotations

from collections.abc import Collection

from sa_partman.finding import Finding, Severity


def dump_finding(options: Collection[str], version: str) -> Finding | None:
    """
    Args:
        options: That the server keeps for itself in columns, by name.
        version: Of the server, as it says it.

    Source: PostgreSQL 15.20's ``pg_dump`` leaves them out; those of 18.6 and 19beta1 write them as ALTER COLUMN SET.
    """
    if not options:
        return None
    names = ", ".join(sorted(options))
    return Finding(
        "dump",
        Severity.INFO,
        "",
        f"PostgreSQL {version} keeps an option of its own in the columns of this database ({names}): a pg_dump that "
        f"does not know it, such as 18.6's, writes it down, and pg_restore then makes no table on any other server; "
        f"pg_upgrade passes its checks and fails",
        f"dump with the pg_dump of {version} itself, and restore that in place of pg_upgrade",
    )
