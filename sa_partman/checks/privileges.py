"""What a role lacks to maintain a table, and the very GRANT that gives it."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.catalog import FoundTable, Privileges
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName, quote


def privilege_finding(found: FoundTable) -> Finding | None:
    """Why the connected role can't maintain *found*, if so: the first thing that is missing."""
    return next(lacking_of(found.name, found.privileges), None)


def privilege_note(found: FoundTable) -> Finding | None:
    """The same for whoever only looks, such as the application's role: worth knowing, and nothing is wrong."""
    lacking = privilege_finding(found)
    if lacking is None:
        return None
    message = lacking.message.removesuffix("; nothing was changed")
    return Finding(lacking.code, Severity.INFO, lacking.table, message, f"to maintain it, {lacking.remedy}")


def lacking_of(name: QualifiedName, may: Privileges) -> Iterator[Finding]:
    """Everything that *may* lacks for maintaining the table *name*."""
    who = f"the role {may.role}" if may.role else "the connected role"
    role = quote(may.role) if may.role else "<the maintainer's role>"
    owner = quote(may.owner) if may.owner else "<the owner>"
    if not may.may_set_role and may.is_owner:
        yield _finding(
            name,
            f"{who} has the rights of {may.owner}, which owns {name}, and may not SET ROLE to it, so that new "
            f"partitions would belong to the wrong role",
            f"GRANT {owner} TO {role} WITH SET TRUE",
        )
    elif not may.may_set_role and may.owner_is_superuser:
        yield _finding(
            name,
            f"{who} does not own {name}, which belongs to the superuser {may.owner}",
            f"give the table and its partitions to a role that is no superuser (ALTER TABLE {name.quoted} OWNER TO "
            f"...), and connect as that one or as a member of it",
        )
    elif not may.may_set_role:
        yield _finding(
            name,
            f"{who} does not own {name}, which belongs to {may.owner}",
            f"connect as {may.owner}, or: GRANT {owner} TO {role}",
        )
    if not may.may_create:
        yield _finding(
            name,
            f"{may.owner or 'its owner'}, which owns {name}, may not create tables in schema {name.schema}",
            f"GRANT CREATE ON SCHEMA {_schema(name)} TO {owner}",
        )


def _finding(name: QualifiedName, message: str, remedy: str) -> Finding:
    return Finding("missing-privilege", Severity.ERROR, str(name), f"{message}; nothing was changed", remedy)


def _schema(name: QualifiedName) -> str:
    return "public" if name.schema in (None, "public") else quote(name.schema)
