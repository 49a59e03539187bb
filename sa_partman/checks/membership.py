"""
Partitions that are no full members of their table, and what a role lacks to maintain it, with the GRANT that gives
it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sa_partman.catalog import FoundTable, Privileges
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName, quote
from sa_partman.table.membership import Difference, Member, Membership, differences

NAMED = 5
"""Partitions that one finding names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Differing:
    """
    A partition that differs from its table.

    Args:
        have: What it has.
    """

    oid: int
    name: QualifiedName
    have: Member
    want: Member
    differences: tuple[Difference, ...]

    @classmethod
    def judged(cls, oid: int, name: QualifiedName, have: Member, membership: Membership) -> Differing:
        want = membership.wanted(divided=have.divided)
        return cls(oid, name, have, want, tuple(differences(have, want)))


def membership_findings(
    table: QualifiedName, differing: Iterable[Differing], *, unmended: bool = False
) -> Iterator[Finding]:
    """
    Args:
        unmended: Only what a repair leaves as it is.
    """
    folded: dict[tuple[bool, bool, bool, str], list[Differing]] = defaultdict(list)
    for each in differing:
        stays = [one for one in each.differences if not unmended or one.moves or not each.have.reachable]
        for moves in (False, True):
            alike = [one for one in stays if one.moves is moves]
            if alike:
                exposes = any(one.exposes for one in alike)
                said = ", ".join(one.what for one in alike)
                folded[(moves, exposes, each.have.reachable, said)].append(each)
    for (moves, exposes, reachable, said), alike_ones in folded.items():
        yield _finding(table, alike_ones, said, moves=moves, exposes=exposes, reachable=reachable)


def unmakeable(table: QualifiedName, lacking: Iterable[str]) -> Finding:
    """No full member can be made, for want of privileges."""
    return Finding(
        "missing-privilege",
        Severity.ERROR,
        str(table),
        f"a new partition of {table} would lack something that its table or the other partitions have; "
        f"nothing was changed",
        "; ".join(lacking),
    )


def _finding(
    table: QualifiedName, alike: list[Differing], said: str, *, moves: bool, exposes: bool, reachable: bool
) -> Finding:
    more = f" and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
    names = ", ".join(str(each.name) for each in alike[:NAMED]) + more
    severity = Severity.INFO if moves else Severity.ERROR if exposes else Severity.WARNING
    leak = "; rows can be reached through it that its table guards" if exposes else ""
    return Finding("membership", severity, str(table), f"{names}: {said}{leak}", _remedy(alike[0], moves, reachable))


def _remedy(one: Differing, moves: bool, reachable: bool) -> str:
    if moves:
        return "; ".join(_moving(one)) + ", which rewrites it under ACCESS EXCLUSIVE; or leave it as it is"
    if not reachable and one.have.owner != one.want.owner:
        alter = f"ALTER TABLE {one.name.quoted} OWNER TO {quote(one.want.owner)}"
        return f"{alter}, as a superuser or as a member of both roles"
    who = "" if reachable else f"as {one.want.owner}, "
    return f"{who}run: sa-partman run --repair; or change the table, if the partitions are right"


def _moving(one: Differing) -> Iterator[str]:
    if one.have.tablespace != one.want.tablespace:
        place = "pg_default" if one.want.tablespace is None else quote(one.want.tablespace)
        yield f"ALTER TABLE {one.name.quoted} SET TABLESPACE {place}"
    if one.want.access_method is not None and one.have.access_method != one.want.access_method:
        yield f"ALTER TABLE {one.name.quoted} SET ACCESS METHOD {quote(one.want.access_method)}"


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
        yield _lacking_finding(
            name,
            f"{who} has the rights of {may.owner}, which owns {name}, and may not SET ROLE to it, so that new "
            f"partitions would belong to the wrong role",
            f"GRANT {owner} TO {role} WITH SET TRUE",
        )
    elif not may.may_set_role and may.owner_is_superuser:
        yield _lacking_finding(
            name,
            f"{who} does not own {name}, which belongs to the superuser {may.owner}",
            f"give the table and its partitions to a role that is no superuser (ALTER TABLE {name.quoted} OWNER TO "
            f"...), and connect as that one or as a member of it",
        )
    elif not may.may_set_role:
        yield _lacking_finding(
            name,
            f"{who} does not own {name}, which belongs to {may.owner}",
            f"connect as {may.owner}, or: GRANT {owner} TO {role}",
        )
    if not may.may_create:
        yield _lacking_finding(
            name,
            f"{may.owner or 'its owner'}, which owns {name}, may not create tables in schema {name.schema}",
            f"GRANT CREATE ON SCHEMA {_schema(name)} TO {owner}",
        )


def _lacking_finding(name: QualifiedName, message: str, remedy: str) -> Finding:
    return Finding("missing-privilege", Severity.ERROR, str(name), f"{message}; nothing was changed", remedy)


def _schema(name: QualifiedName) -> str:
    return "public" if name.schema in (None, "public") else quote(name.schema)
