"""Why partitions can't be rewritten: all reasons, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.request import Refusal
from sa_partman.plan.rewrite.request import RewriteRequest
from sa_partman.table.definition import TableDefinition


def refusals_of(request: RewriteRequest) -> Iterator[Refusal]:
    """Each names what is in the way, and what the user can do about it."""
    definition = request.definition
    yield from (Refusal(each, "grant it, or connect as the owner") for each in definition.missing_rights)
    if request.identity is None:
        yield Refusal(
            f"no row of {request.parent} can be known again: it has no primary key, and no unique index over columns "
            f"that are NOT NULL",
            "add one (it has to contain the partition key)",
        )
    for source in request.sources:
        if source.kind != "r":
            what = "is a foreign table" if source.kind == "f" else "is partitioned itself"
            yield Refusal(f"{source.name} {what}", "rewrite the partitions that hold its rows")
        if source.hidden:
            yield hidden_rows(str(source.name))
        for thing in source.own:
            yield Refusal(f"{source.name} has for itself, and its successors would not have: {thing}", "drop it first")
    if request.below:
        yield Refusal(
            f"the partitions of {request.parent} are to be PARTITION BY {request.below} themselves, and rows are not "
            f"moved into such a tree yet",
            "rewrite the partitions below, one parent at a time",
        )
    if request.hidden:
        yield hidden_rows(str(request.parent))
    if request.taken:
        yield Refusal(f"the name {request.staging}, which this needs, is taken", "rename or drop that table")
    yield from request.sending
    yield from divided_refusals(definition, request.divided)
    yield from unproven_refusals(definition)
    for inbound in definition.inbound:
        if inbound.table == request.parent:
            yield Refusal(
                f"the foreign key {inbound.name} of {inbound.table} refers to the table itself",
                "drop it, and add it again",
            )


def divided_refusals(definition: TableDefinition, divided: Iterable[QualifiedName]) -> Iterator[Refusal]:
    """
    Args:
        divided: Tables that refer to the one of *definition* and are partitioned themselves.
    """
    for table in divided:
        if not definition.features.has_unproven_keys:
            yield Refusal(
                f"{table} is partitioned and refers to {definition.name}: PostgreSQL {definition.server} can add that "
                f"foreign key again only by reading all its rows while everybody waits",
                "upgrade to PostgreSQL 18, or drop that foreign key, and add it again afterwards",
            )


def unproven_refusals(definition: TableDefinition) -> Iterator[Refusal]:
    """What a copy of every row would break."""
    for constraint in definition.constraints:
        if constraint.kind in "cf" and not constraint.validated and "NOT ENFORCED" not in constraint.definition:
            yield Refusal(
                f"the constraint {constraint.name} of {definition.name} is NOT VALID, and a copy of a row that breaks "
                f"it would be refused",
                f"prove it (VALIDATE CONSTRAINT {quote(constraint.name)}), or drop it",
            )


def hidden_rows(table: str) -> Refusal:
    """What the connected role does not see, it can't move; the server refuses to look then."""
    return Refusal(
        f"row level security hides rows of {table} from this role",
        "connect as a role with BYPASSRLS, or as an owner without FORCE ROW LEVEL SECURITY",
    )
