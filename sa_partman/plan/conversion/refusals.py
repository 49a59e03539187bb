"""What can't be carried, found before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.anatomy import Anatomy, InboundKey, Index
from sa_partman.plan.conversion.request import ConversionRequest, Profile
from sa_partman.plan.conversion.steps import Refusal

_COPY = "a strategy that copies the rows comes in a later release"


def refusals_of(request: ConversionRequest, anatomy: Anatomy, profile: Profile) -> Iterator[Refusal]:
    """Every reason, in the order of importance."""
    yield from (_kind(obstacle) for obstacle in anatomy.obstacles)
    if anatomy.persistence == "u":
        yield Refusal("the table is UNLOGGED", "ALTER TABLE ... SET LOGGED first, or declare unlogged= leaves anew")
    yield from _rows(request, profile)
    yield from _keys(request, anatomy)
    yield from (_inbound(each) for each in anatomy.inbound if not settled(each, request))
    yield from _triggers(anatomy)
    yield from _dependents(anatomy)
    yield from _constraints(anatomy)
    if anatomy.replica_identity == "i":
        yield Refusal(
            f"the replica identity is the index {anatomy.replica_index}, which each new partition would need anew",
            "ALTER TABLE ... REPLICA IDENTITY DEFAULT or FULL",
        )


def _kind(obstacle: str) -> Refusal:
    return Refusal(obstacle, "change that first; it can't be carried to a partitioned table")


def _rows(request: ConversionRequest, profile: Profile) -> Iterator[Refusal]:
    sample = f" ({', '.join(profile.sample)})" if profile.sample else ""
    if profile.nulls:
        key = ", ".join(request.declared.level.key.columns)
        yield Refusal(
            f"{profile.nulls} rows have NULL in the partition key ({key})",
            f"fill them: UPDATE {request.table.quoted} SET ... WHERE {key} IS NULL",
        )
    if profile.outside:
        yield Refusal(
            f"{profile.outside} rows lie outside the bound of the history partition{sample}",
            "choose a later boundary (--boundary), correct those rows, or wait for the strategy that copies",
        )


def _keys(request: ConversionRequest, anatomy: Anatomy) -> Iterator[Refusal]:
    key = set(request.declared.level.key.columns)
    for level in request.declared.levels():
        key.update(level.key.columns)
    for index in anatomy.indexes:
        if not index.valid:
            yield Refusal(f"the index {index.name} is invalid", "REINDEX INDEX CONCURRENTLY it, or drop it")
        elif index.kind == "x":
            yield Refusal(f"the exclusion constraint {index.name}", "drop it, or keep the table plain")
        elif not index.immediate:
            yield Refusal(f"the constraint {index.name} is deferrable", "make it NOT DEFERRABLE")
        elif index.unique and index.kind != "p" and index.name not in request.choices.unique:
            missing = sorted(key - set(index.columns))
            if missing:
                yield _unique(index, missing)


def _unique(index: Index, missing: list[str]) -> Refusal:
    return Refusal(
        f"{index.name} is unique over ({', '.join(map(str, index.columns))}) and lacks {', '.join(missing)}: "
        f"a partitioned table can't enforce it",
        f"extend it in the model and migrate that first, keep it on the history only (--unique {index.name}=local), "
        f"or drop it (--unique {index.name}=drop)",
    )


def settled(inbound: InboundKey, request: ConversionRequest) -> bool:
    """Whether the foreign key may be dropped, because somebody said so."""
    return request.choices.inbound == "drop"


def _inbound(inbound: InboundKey) -> Refusal:
    return Refusal(
        f"{inbound.table} refers to it by {inbound.name} ({', '.join(inbound.columns)}), and a partitioned table's "
        f"unique keys contain the partition key",
        "drop that foreign key (--inbound drop), or replace it by one that contains the partition key",
    )


def _triggers(anatomy: Anatomy) -> Iterator[Refusal]:
    for trigger in anatomy.triggers:
        if trigger.row and trigger.transition_tables:
            yield Refusal(
                f"the row trigger {trigger.name} has transition tables, which partitioned tables refuse",
                "make it a statement trigger, or drop it",
            )


def _dependents(anatomy: Anatomy) -> Iterator[Refusal]:
    for dependent in anatomy.dependents:
        if not dependent.restore:
            yield Refusal(
                f"the {dependent.kind} {dependent.identity} depends on the table and would stay with its history",
                "drop it before, and make it again after the conversion",
            )


def _constraints(anatomy: Anatomy) -> Iterator[Refusal]:
    for constraint in anatomy.constraints:
        if constraint.kind == "c" and not constraint.validated:
            yield Refusal(
                f"the CHECK constraint {constraint.name} is NOT VALID", "ALTER TABLE ... VALIDATE CONSTRAINT it first"
            )
        if constraint.kind == "c" and constraint.no_inherit:
            yield Refusal(
                f"the CHECK constraint {constraint.name} is NO INHERIT", "make it an ordinary one, or drop it"
            )
        if constraint.kind == "f" and not constraint.validated:
            yield Refusal(f"the foreign key {constraint.name} is NOT VALID", "VALIDATE it first, or drop it")
        if constraint.kind == "f" and constraint.references == anatomy.name:
            yield Refusal(f"the foreign key {constraint.name} refers to the table itself", _COPY)
