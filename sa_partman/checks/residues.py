"""Residues: invalid indexes, constraints NOT VALID, and detaches that can't be finalized, each with what heals it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sa_partman.catalog import FoundTable
from sa_partman.compare.residues import Change, InvalidIndex, Residues, explained
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName, quote

Changed = Mapping[tuple[QualifiedName, QualifiedName], tuple[Change, ...]]
"""Parents with a partition whose detach is pending: what was changed on the parent since."""


def residue_findings(found: FoundTable, residues: Residues, changed: Changed) -> Iterator[Finding]:
    """Those of *found* and of its partitions; a table that is not partitioned has none."""
    if found.strategy is None:
        return
    table, names = str(found.name), {found.name, *(each.name for each in found.walk())}
    oids = {found.oid, *(each.oid for each in found.walk())}
    for index in residues.indexes:
        if index.relation in oids:
            yield _invalid(table, index)
    for constraint in residues.constraints:
        if constraint.relation in oids:
            yield Finding(
                "not-valid",
                Severity.INFO,
                table,
                f"the constraint {constraint.name} of {constraint.table} is NOT VALID: older rows may break it",
                f"ALTER TABLE {constraint.table.quoted} VALIDATE CONSTRAINT {quote(constraint.name)}",
            )
    for (parent, partition), changes in changed.items():
        if parent in names:
            why = explained(parent, partition, changes)
            yield Finding("detach-blocked", Severity.ERROR, table, why, "run the statements of the message, in order")


def _invalid(table: str, index: InvalidIndex) -> Finding:
    if index.built:
        message = f"{index.name} on {index.table} is being built"
        return Finding("invalid-index", Severity.INFO, table, message)
    if index.partitioned:
        why, remedy = _incomplete(index)
        message = f"{index.name} on {index.table} is invalid, and no query uses it: {why}"
        return Finding("invalid-index", Severity.WARNING, table, message, remedy)
    message = f"{index.name} on {index.table} is invalid, its build was cut off: writes keep it up, no query uses it"
    drop = f"DROP INDEX CONCURRENTLY {index.name.quoted}"
    remedy = f"run: sa-partman run, or {drop}" if index.ours else drop
    return Finding("invalid-index", Severity.WARNING, table, message, remedy)


def _incomplete(index: InvalidIndex) -> tuple[str, str]:
    """Why an index of a partitioned table is invalid, and what makes it valid."""
    name = index.name.quoted
    if index.foreign is not None:
        return (
            f"PostgreSQL waits for a part of {index.foreign}, which is a foreign table and can have none",
            f"DROP INDEX {name}, and run op.create_partitioned_index again, which builds it in another way then",
        )
    if index.lacking is not None:
        return (
            f"the partition {index.lacking} lacks its part",
            f"run op.create_partitioned_index again, which goes on with what is there; or build the missing ones "
            f"CONCURRENTLY and ALTER INDEX {name} ATTACH PARTITION each; or DROP INDEX {name}",
        )
    if index.below is not None:
        return (
            f"its part {index.below} is invalid itself",
            f"follow the advice for {index.below}; this one becomes valid with it",
        )
    if index.attached is not None:
        return (
            "every partition has its part, but the one that lacked it is gone and PostgreSQL has not counted again",
            f"ALTER INDEX {name} ATTACH PARTITION {index.attached}",
        )
    return (
        "it was begun for partitions that are all gone",
        f"run op.create_partitioned_index again, or DROP INDEX {name} and create it anew",
    )
